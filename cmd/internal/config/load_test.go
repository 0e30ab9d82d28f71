package config

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

func TestEnvFilePrecedence(t *testing.T) {
	file := writeFile(t, "MEDIS_CONCURRENCY=3\nexport MEDIS_TIMEOUT='7s' # comment\nMEDIS_INTERVAL=1s\nOTHER=x\n")
	cfg, err := load(t, 0, file, "MEDIS_CONCURRENCY=4", "MEDIS_INTERVAL=")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Concurrency != 4 || cfg.Timeout != 7*time.Second || cfg.Interval != 0 {
		t.Errorf("%d %s %s", cfg.Concurrency, cfg.Timeout, cfg.Interval)
	}
	if _, set := os.LookupEnv("MEDIS_TIMEOUT"); set {
		t.Error("the file was loaded into the process")
	}
}

func TestBadEnvFile(t *testing.T) {
	for _, c := range []struct{ content, want string }{
		{"A=1\nMEDIS_ADMIN_TOKEN hush\nB=2", "line 2: is not NAME=value"},
		{"A=1\n\nB=\"x\ny\"\n# c\nMEDIS_ADMIN_TOKEN=\"hush\n", "line 6: opens a quote that is never closed"},
		{"hush", "line 1: is not NAME=value"},
		{strings.Repeat("#", maxEnvFile+1), " is larger than 1MiB; is it a file of NAME=value lines?"},
		{"# a\nMY-NAME=\"x\"\n", "line 2: is not NAME=value"},
		{"export A: 'hush\n\nB=2\n", "line 1: opens a quote that is never closed"},
	} {
		file := writeFile(t, c.content)
		_, settings, err := Load(nil, file, 0)
		if problems, ok := errors.AsType[Problems](err); !ok || len(problems) != 1 || settings != nil {
			t.Errorf("%q: %v, %v", c.content, settings, err)
			continue
		}
		if text := err.Error(); !strings.HasPrefix(text, file) || !strings.HasSuffix(text, c.want) {
			t.Errorf("%q: %s, want %s", c.content, text, c.want)
		}
	}
	if values, err := readEnvFile(writeFile(t, "\ufeffA=1\n")); err != nil || values["A"] != "1" {
		t.Errorf("with a byte order mark: %v, %v", values, err)
	}
	_, _, err := Load(nil, "/no/such.env", 0)
	if want := "cannot read /no/such.env: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestUnknownVariables(t *testing.T) {
	var b bytes.Buffer
	s, err := find([]string{"MEDIS_REDIS_ULR=hush", "MEDIS_SERVICE_HOST=1", "MEDIS_LISTEN=x", "PATH=/"}, "")
	if err != nil {
		t.Fatal(err)
	}
	s.WarnUnknown(slog.New(slog.NewTextHandler(&b, nil)))
	for _, want := range []string{"name=MEDIS_REDIS_ULR", "did you mean MEDIS_REDIS_URL?", "name=MEDIS_SERVICE_HOST", "medispatcher config lists all variables"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if n := strings.Count(b.String(), "level=WARN"); n != 2 || strings.Contains(b.String(), "hush") {
		t.Errorf("%d warnings: %s", n, b.String())
	}
}

func TestUnknownVariablesNearest(t *testing.T) {
	names := variableNames()
	for in, want := range map[string]string{
		"MEDIS_REDIS_ULR": "MEDIS_REDIS_URL", "MEDIS_PARTITION": "MEDIS_PARTITIONS", "MEDIS_TIMEUOT": "MEDIS_TIMEOUT",
		"MEDIS_PORT_5601_TCP": "", "MEDIS_SERVICE_HOST": "",
	} {
		if got := medispatcher.Nearest(in, names); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.env")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
