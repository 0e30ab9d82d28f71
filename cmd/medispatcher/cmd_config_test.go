package main

import (
	"encoding/json"
	"flag"
	"reflect"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
)

const token = "3f9c0e5b7a1d4826"

var update = flag.Bool("update", false, "update the docs")

// TestEveryCommandChecksConfig: every command refuses a wrong configuration with exit 2 before it does anything.
func TestEveryCommandChecksConfig(t *testing.T) {
	for _, args := range [][]string{
		{"serve"}, {}, {"dev"}, {"status"}, {"config"}, {"publish", "a", "b"},
		{"sub", "ls"}, {"sub", "get", "a"}, {"sub", "put", "a"}, {"sub", "set", "a", "b=c"}, {"sub", "rm", "a"}, {"sub", "pause", "a"}, {"sub", "resume", "a"},
	} {
		code, _, stderr := runWith(t, nil, []string{"MEDIS_PARTITIONS=0"}, args...)
		if code != cli.ExitUsage {
			t.Errorf("%q: exit %d", args, code)
		}
		checkLines(t, stderr, "MEDIS_PARTITIONS=0")
	}
}

func TestConfigCommand(t *testing.T) {
	file := writeFile(t, "c.env", "MEDIS_TIMEOUT=90s\n")
	env := []string{"MEDIS_REDIS_URL=redis://u:hush@h:1", "MEDIS_ADMIN_TOKEN=hush" + token, "MEDIS_MAX_TIMEOUT=2m", "MEDIS_DENY_CIDRS=10.0.0.0/8,::1"}
	code, out, stderr := runWith(t, nil, env, "-f", file, "config")
	if code != cli.ExitOK || stderr != "" || strings.Contains(out, "hush") {
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
	var list []config.Line
	want := 0
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		if f.Tag.Get("env") != "" {
			want++
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != cli.ExitUsage || len(list) != want {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if list[2] != (config.Line{Name: "MEDIS_PARTITIONS", Value: "abc", Source: config.FromEnv}) {
		t.Errorf("the wrong value is not shown: %+v", list[2])
	}
}

func TestCommandsRefuseBadEnvFile(t *testing.T) {
	file := writeFile(t, "c.env", "A=1\nMEDIS_ADMIN_TOKEN hush\nB=2")
	code, _, stderr := runWith(t, nil, nil, "-f", file, "config")
	if code != cli.ExitUsage || strings.Contains(stderr, "hush") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	checkLines(t, stderr, file+", line 2: is not NAME=value")
	code, _, stderr = runWith(t, nil, nil, "-f", "/no/such.env", "status")
	if code != cli.ExitUsage {
		t.Error(code)
	}
	checkLines(t, stderr, "cannot read /no/such.env: no such file or directory")
}
