package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := "3f9c0e5b7a1d4826"
	token, tokens := file("token", good+"\n"), file("tokens", "ann:reader:0"+good+"\r\n# for scrapes\nprom:metrics:1"+good+"\r\n")
	cfg, s, err := Load([]string{"MEDIS_ADMIN_TOKEN_FILE=" + token, "MEDIS_TOKENS_FILE=" + tokens, "MEDIS_REDIS_URL_FILE=" + file("url", "redis://u:hush@h:1/0")}, "", NeedsListen|NeedsRedis)
	if err != nil || cfg.AdminToken != good || len(cfg.AccessTokens()) != 3 || cfg.RedisURL != "redis://u:hush@h:1/0" {
		t.Errorf("%+v %v", cfg.AccessTokens(), err)
	}
	if at := slices.IndexFunc(s.List(&cfg), func(l Line) bool { return l.Name == "MEDIS_ADMIN_TOKEN" }); s.List(&cfg)[at].Source != FromSecret {
		t.Errorf("%+v", s.List(&cfg)[at])
	}
	for name, test := range map[string]struct {
		env  []string
		says string
	}{
		"missing":     {[]string{"MEDIS_ADMIN_TOKEN_FILE=/nowhere/token"}, "MEDIS_ADMIN_TOKEN_FILE=/nowhere/token: no such file or directory"},
		"a directory": {[]string{"MEDIS_ADMIN_TOKEN_FILE=" + dir}, "is not a file"},
		"a device":    {[]string{"MEDIS_ADMIN_TOKEN_FILE=/dev/zero"}, "is not a file"},
		"empty":       {[]string{"MEDIS_ADMIN_TOKEN_FILE=" + file("empty", "\n")}, "is empty"},
		"no text":     {[]string{"MEDIS_ADMIN_TOKEN_FILE=" + file("binary", "a\x00b")}, "is no text"},
		"too large":   {[]string{"MEDIS_ADMIN_TOKEN_FILE=" + file("large", strings.Repeat("x", 2<<20))}, "is larger than 1 MiB"},
		"both":        {[]string{"MEDIS_ADMIN_TOKEN_FILE=" + token, "MEDIS_ADMIN_TOKEN=0" + good}, "MEDIS_ADMIN_TOKEN_FILE=" + token + " and MEDIS_ADMIN_TOKEN: are both set"},
		"weak":        {[]string{"MEDIS_ADMIN_TOKEN_FILE=" + file("weak", "changeme-changeme")}, "can be guessed"},
	} {
		_, _, err := Load(test.env, "", NeedsListen)
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), good) || strings.Contains(err.Error(), "changeme") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, want := range []string{"MEDIS_REDIS_URL_FILE", "MEDIS_RECOVER_REDIS_URL_FILE", "MEDIS_ADMIN_TOKEN_FILE", "MEDIS_TOKENS_FILE", "MEDIS_PUSH_PROXY_FILE", "MEDIS_ALERT_URLS_FILE"} {
		if !slices.Contains(secretFiles(), want) {
			t.Errorf("no %s", want)
		}
	}
}
