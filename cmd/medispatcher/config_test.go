package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

const token = "0123456789abcdef"

func load(t *testing.T, n needs, file string, env ...string) (Config, error) {
	t.Helper()
	cfg, _, err := loadConfig(env, file, n)
	return cfg, err
}

func TestDefaults(t *testing.T) {
	cfg, err := load(t, needsRedis|needsListen, "")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.RedisURL != "redis://127.0.0.1:6379/0" || cfg.KeyPrefix != "medis" || cfg.MaxBody != 1<<20 || cfg.RetryCoefficient != 10*time.Second {
		t.Errorf("%+v", cfg)
	}
	r := cfg.rules()
	if r.Defaults.Concurrency != 8 || r.Defaults.Drop.Action != "keep" || r.Defaults.Encoding != "json" || !r.Defaults.Alert.Enabled || r.MaxTimeout != 30*time.Second {
		t.Errorf("%+v", r)
	}
	if !r.Denied(netip.MustParseAddr("169.254.169.254")) || r.Denied(netip.MustParseAddr("10.0.0.1")) {
		t.Error("metadata addresses, and only those, are denied")
	}
}

// Every wrong value of every variable, and every conflict.
func TestWrongVariables(t *testing.T) {
	for _, c := range []struct {
		env  string // space between variables
		want []string
	}{
		{"MEDIS_REDIS_URL=http://x", []string{"MEDIS_REDIS_URL=http://x: invalid URL scheme"}},
		{"MEDIS_REDIS_URL=redis://u:hush@h:1/x", []string{"MEDIS_REDIS_URL=redis://u:********@h:1/x: invalid database number"}},
		{"MEDIS_REDIS_URL=redis://h1:1,h2:2/3", []string{"a Redis Cluster has only database 0"}},
		{"MEDIS_REDIS_URL=redis://h?master_name=m&cluster=true", []string{"choose one"}},
		{"MEDIS_KEY_PREFIX=a{b", []string{"MEDIS_KEY_PREFIX=a{b: "}},
		{"MEDIS_PARTITIONS=0", []string{"MEDIS_PARTITIONS=0: give a whole number from 1 to 1024"}},
		{"MEDIS_PARTITIONS=1025", []string{"from 1 to 1024"}},
		{"MEDIS_PARTITIONS=99999999999999999999", []string{"from 1 to 1024"}},
		{"MEDIS_LISTEN=nonsense", []string{"MEDIS_LISTEN=nonsense: give host:port, such as 127.0.0.1:5601"}},
		{"MEDIS_LISTEN=127.0.0.1:99999", []string{"give host:port"}},
		{"MEDIS_LISTEN=:5601", []string{"MEDIS_LISTEN=:5601: it can be reached from other machines: set MEDIS_ADMIN_TOKEN"}},
		{"MEDIS_LISTEN=0.0.0.0:5601", []string{"set MEDIS_ADMIN_TOKEN"}},
		{"MEDIS_LISTEN=[::]:5601", []string{"set MEDIS_ADMIN_TOKEN"}},
		{"MEDIS_LISTEN=example.com:5601", []string{"set MEDIS_ADMIN_TOKEN"}},
		{"MEDIS_LISTEN=[::1]:5601", nil},
		{"MEDIS_LISTEN=localhost:0", nil},
		{"MEDIS_LISTEN=0.0.0.0:5601 MEDIS_ADMIN_TOKEN=" + token, nil},
		{"MEDIS_ADMIN_TOKEN=hush", []string{"MEDIS_ADMIN_TOKEN=********: has 4 characters; give 16 or more"}},
		{"MEDIS_ADMIN_TOKEN=0123456789abcdeü", []string{"MEDIS_ADMIN_TOKEN=********: has a space"}},
		{"MEDIS_LOG_LEVEL=loud", []string{"MEDIS_LOG_LEVEL=loud: give one of debug, info, warn, error"}},
		{"MEDIS_LOG_LEVEL=WARN", nil},
		{"MEDIS_LOG_FORMAT=xml", []string{"give one of auto, tint, text, json"}},
		{"MEDIS_SENT_LOG=maybe", []string{"MEDIS_SENT_LOG=maybe: give true or false"}},
		{"MEDIS_ENV=a/b", []string{"MEDIS_ENV=a/b: give at most 64 of"}},
		{"MEDIS_FANOUT_WORKERS=65", []string{"from 1 to 64"}},
		{"MEDIS_CONCURRENCY=0", []string{"MEDIS_CONCURRENCY=0: give a whole number"}},
		{"MEDIS_CONCURRENCY=abc MEDIS_MAX_CONCURRENCY=4", []string{"MEDIS_CONCURRENCY=abc: give a whole number"}},
		{"MEDIS_CONCURRENCY=20 MEDIS_MAX_CONCURRENCY=10", []string{"MEDIS_CONCURRENCY=20 is above MEDIS_MAX_CONCURRENCY=10: lower the first or raise the second"}},
		{"MEDIS_MAX_CONCURRENCY=4", []string{"MEDIS_CONCURRENCY=8 is above MEDIS_MAX_CONCURRENCY=4"}},
		{"MEDIS_RETRY_CONCURRENCY=61", []string{"MEDIS_RETRY_CONCURRENCY=61 is above MEDIS_MAX_RETRY_CONCURRENCY=60"}},
		{"MEDIS_RETRY_CONCURRENCY=-1", []string{"MEDIS_RETRY_CONCURRENCY=-1: give"}},
		{"MEDIS_MAX_RETRY_CONCURRENCY=x", []string{"MEDIS_MAX_RETRY_CONCURRENCY=x: give"}},
		{"MEDIS_INTERVAL=-1s", []string{"MEDIS_INTERVAL=-1s: give a duration from 0s to 1h"}},
		{"MEDIS_TIMEOUT=5", []string{"MEDIS_TIMEOUT=5: give a duration from 1ms to 1h, such as 500ms or 1m30s"}},
		{"MEDIS_TIMEOUT=31s", []string{"MEDIS_TIMEOUT=31s is above MEDIS_MAX_TIMEOUT=30s"}},
		{"MEDIS_MAX_TIMEOUT=2h", []string{"MEDIS_MAX_TIMEOUT=2h: give"}},
		{"MEDIS_MAX_RETRIES=-1", []string{"MEDIS_MAX_RETRIES=-1: give"}},
		{"MEDIS_RETRY_COEFFICIENT=25h", []string{"MEDIS_RETRY_COEFFICIENT=25h: give"}},
		{"MEDIS_MAX_BODY=0", []string{"MEDIS_MAX_BODY=0: give a size from 1B to 512MiB, such as 1048576, 512KiB or 1MiB"}},
		{"MEDIS_MAX_BODY=-5", []string{"give a size"}},
		{"MEDIS_MAX_BODY=1XB", []string{"give a size"}},
		{"MEDIS_MAX_BODY=1GiB", []string{"give a size"}},
		{"MEDIS_DEAD_MAXLEN=-1", []string{"MEDIS_DEAD_MAXLEN=-1: give"}},
		{"MEDIS_DEDUPE_WINDOW=0s", []string{"MEDIS_DEDUPE_WINDOW=0s: give a duration from 1ms"}},
		{"MEDIS_SECRET_OVERLAP=soon", []string{"MEDIS_SECRET_OVERLAP=soon: give"}},
		{"MEDIS_DEV_REDIS_LISTEN=6380", []string{"MEDIS_DEV_REDIS_LISTEN=6380: give host:port"}},
		{"MEDIS_SHUTDOWN_TIMEOUT=-1s", []string{"MEDIS_SHUTDOWN_TIMEOUT=-1s: give"}},
		{"MEDIS_HEARTBEAT=1ms", []string{"MEDIS_HEARTBEAT=1ms: give"}},
		{"MEDIS_HEARTBEAT=4s", []string{"MEDIS_DEAD_AFTER=10s is less than three times MEDIS_HEARTBEAT=4s: one lost heartbeat would look like a crash; give the first at least 12s"}},
		{"MEDIS_DEAD_AFTER=never", []string{"MEDIS_DEAD_AFTER=never: give"}},
		{"MEDIS_DENY_CIDRS=10.0.0.0/8,,nope,1.2.3.4/99,", []string{`"nope": write an address`, `"1.2.3.4/99": write an address`}},
		{"MEDIS_DENY_CIDRS=10.0.0.0/8,::1", nil},
		{"MEDIS_PARTITIONS=x MEDIS_TIMEOUT=x MEDIS_KEY_PREFIX={ MEDIS_HEARTBEAT=5s", []string{"MEDIS_PARTITIONS", "MEDIS_TIMEOUT", "MEDIS_KEY_PREFIX", "MEDIS_DEAD_AFTER"}},
	} {
		_, err := load(t, needsRedis|needsListen, "", strings.Fields(c.env)...)
		if err == nil {
			if c.want != nil {
				t.Errorf("%s is let pass", c.env)
			}
			continue
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: a secret is shown: %v", c.env, err)
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(c.want) {
			t.Errorf("%s: %d problems, want %d:\n%v", c.env, len(lines), len(c.want), err)
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s: %q is not in %q", c.env, want, lines[i])
			}
		}
	}
}

// Every command refuses a wrong configuration with exit 2 before it does anything.
func TestEveryCommandChecksConfig(t *testing.T) {
	for _, args := range [][]string{
		{"serve"}, {}, {"dev"}, {"status"}, {"config"}, {"publish", "a", "b"},
		{"sub", "ls"}, {"sub", "get", "a"}, {"sub", "put", "a"}, {"sub", "set", "a", "b=c"}, {"sub", "rm", "a"}, {"sub", "pause", "a"}, {"sub", "resume", "a"},
	} {
		code, _, stderr := runWith(t, nil, []string{"MEDIS_PARTITIONS=0"}, args...)
		if code != exitUsage {
			t.Errorf("%q: exit %d", args, code)
		}
		checkLines(t, stderr, "MEDIS_PARTITIONS=0")
	}
}

// A command asks only for what it uses.
func TestNeeds(t *testing.T) {
	if _, err := load(t, needsRedis, "", "MEDIS_LISTEN=0.0.0.0:1"); err != nil {
		t.Errorf("a command that does not listen: %v", err)
	}
	if _, err := load(t, needsListen, "", "MEDIS_REDIS_URL=http://x"); err != nil {
		t.Errorf("dev, which has a Redis of its own: %v", err)
	}
}

func TestEnvFilePrecedence(t *testing.T) {
	file := writeFile(t, "c.env", "MEDIS_CONCURRENCY=3\nexport MEDIS_TIMEOUT='7s' # comment\nMEDIS_INTERVAL=1s\nOTHER=x\n")
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
		{strings.Repeat("#", maxEnvFile+1), "is larger than 1MiB"},
	} {
		file := writeFile(t, "c.env", c.content)
		code, _, stderr := runWith(t, nil, nil, "-f", file, "config")
		if code != exitUsage || strings.Contains(stderr, "hush") {
			t.Errorf("exit %d: %s", code, stderr)
		}
		checkLines(t, stderr, c.want)
		contains(t, stderr, file)
	}
	code, _, stderr := runWith(t, nil, nil, "-f", "/no/such.env", "status")
	if code != exitUsage {
		t.Error(code)
	}
	checkLines(t, stderr, "cannot read /no/such.env: no such file or directory")
}

func TestUnknownVariables(t *testing.T) {
	var b bytes.Buffer
	s, err := findSettings([]string{"MEDIS_REDIS_ULR=hush", "MEDIS_SERVICE_HOST=1", "MEDIS_LISTEN=x", "PATH=/"}, "")
	if err != nil {
		t.Fatal(err)
	}
	s.warnUnknown(slog.New(slog.NewTextHandler(&b, nil)))
	contains(t, b.String(), "name=MEDIS_REDIS_ULR", "did you mean MEDIS_REDIS_URL?", "name=MEDIS_SERVICE_HOST", "medispatcher config lists all variables")
	if n := strings.Count(b.String(), "level=WARN"); n != 2 || strings.Contains(b.String(), "hush") {
		t.Errorf("%d warnings: %s", n, b.String())
	}
}

func TestConfigCommand(t *testing.T) {
	file := writeFile(t, "c.env", "MEDIS_TIMEOUT=90s\n")
	env := []string{"MEDIS_REDIS_URL=redis://u:hush@h:1", "MEDIS_ADMIN_TOKEN=hush" + token, "MEDIS_MAX_TIMEOUT=2m", "MEDIS_DENY_CIDRS=10.0.0.0/8,::1"}
	code, out, stderr := runWith(t, nil, env, "-f", file, "config")
	if code != exitOK || stderr != "" || strings.Contains(out, "hush") {
		t.Errorf("exit %d, %q, %s", code, stderr, out)
	}
	rows := map[string]string{}
	for line := range strings.SplitSeq(out, "\n") {
		if f := strings.Fields(line); len(f) == 3 {
			rows[f[0]] = f[1] + " " + f[2]
		}
	}
	for name, want := range map[string]string{
		"NAME": "VALUE SOURCE", "MEDIS_REDIS_URL": "redis://u:********@h:1 env", "MEDIS_ADMIN_TOKEN": "******** env",
		"MEDIS_TIMEOUT": "1m30s file", "MEDIS_DEDUPE_WINDOW": "10m default", "MEDIS_DENY_CIDRS": "10.0.0.0/8,::1 env", "MEDIS_ENV": "(none) default",
	} {
		if rows[name] != want {
			t.Errorf("%s: %q, want %q", name, rows[name], want)
		}
	}
	code, out, _ = runWith(t, nil, append(env, "MEDIS_PARTITIONS=abc"), "-f", file, "config", "--json")
	var list []shownVariable
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitUsage || len(list) != len(variables()) {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if list[2] != (shownVariable{"MEDIS_PARTITIONS", "abc", fromEnv}) {
		t.Errorf("what is wrong is to be seen: %+v", list[2])
	}
}

func TestMaskURL(t *testing.T) {
	for in, want := range map[string]string{
		"redis://h:1/0":             "redis://h:1/0",
		"redis://:hush@h:1/0":       "redis://:********@h:1/0",
		"redis://u:hu@sh@h1:1,h2:2": "redis://u:********@h1:1,h2:2",
		"redis://u:hu/s?h@h:1":      "redis://u:********@h:1",
		"u:hush@h:1":                "u:********@h:1",
		"redis://h?master_name=m&sentinel_password=hush": "redis://h?master_name=m&sentinel_password=********",
		"unix://u:hush@/run/r.sock?db=1":                 "unix://u:********@/run/r.sock?db=1",
		"://%zz:hush@":                                   "://%zz:********@",
	} {
		if got := maskURL(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"redis://u:x@h:1/0": "h:1", "redis://h1:1,h2:2?cluster=true": "h1:1,h2:2", "unix://u:x@/run/r.sock?db=1": "/run/r.sock", "unix:///run/r.sock": "/run/r.sock",
	} {
		if got := redisAt(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[string]Size{"0": 0, "1048576": 1 << 20, "512KiB": 512 << 10, "1MiB": 1 << 20, "1 mib": 1 << 20, "2MB": 2e6, "3kb": 3000, "7B": 7, "1GiB": 1 << 30} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%s: %d, %v", in, s, err)
		}
		var again Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s is written %s", in, s)
		}
	}
	for _, in := range []string{"", "B", "-1", "1.5MiB", "x", "9999999999GiB", "1KiBB"} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q is %d", in, s)
		}
	}
}

// Each variable has what the table and the checks need, and a default that is allowed.
func TestTags(t *testing.T) {
	cfg, err := load(t, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variables() {
		if !strings.HasPrefix(v.name, envPrefix) || v.doc == "" {
			t.Errorf("%+v", v)
		}
		if v.kind.Kind() == reflect.Int64 || v.kind.Kind() == reflect.Int {
			if v.min == "" || v.max == "" {
				t.Errorf("%s has no bounds", v.name)
			}
		}
		if !v.within(reflect.ValueOf(cfg).Field(v.index).Interface()) {
			t.Errorf("the default of %s is not allowed", v.name)
		}
	}
}

var update = flag.Bool("update", false, "write docs/configuration.md anew")

func TestConfigurationDoc(t *testing.T) {
	const file = "../../docs/configuration.md"
	if *update {
		if err := os.WriteFile(file, []byte(configDoc()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != configDoc() {
		t.Errorf("docs/configuration.md is not current (%v); make it anew with: go test ./cmd/medispatcher -run TestConfigurationDoc -update", err)
	}
}
