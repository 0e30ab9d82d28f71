package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

const oldThings = "migrate/testdata"

// TestMigrate carries over an installation of medispatcher 2, and feeds it to this version.
func TestMigrate(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	out := filepath.Join(t.TempDir(), "new")
	args := []string{"migrate", "--config", oldThings + "/medispatcher.toml", "--tables", oldThings, "--out", out}
	code, stdout, stderr := c.run("", args...)
	if code != cli.ExitFailed || !strings.HasPrefix(stdout, "13 variables and 2 subscriptions written to "+out) {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
	want := []string{
		"medispatcher.toml:2: DAEMON_USER: is left out: ",
		`medispatcher.toml:4: ListenAddr = "0.0.0.0:5601": this address is not a loopback, so MEDIS_ADMIN_TOKEN must be set`,
		"medispatcher.toml:5: QueueServerAddr: is left out: ",
		"medispatcher.toml:6: NameOfMainQueue: is left out: ",
		"medispatcher.toml:9: ListenersOfMainQueue: is left out: ",
		"medispatcher.toml:19: MsgQueueFaultToleranceListNamePrefix: is left out: ",
		"medispatcher.toml:20: Colour: is left out: ",
		"medispatcher.toml:21: SplitLog: is left out: ",
		"medispatcher.toml:23: Database: is left out: ",
		`medispatcher.toml:31: Redis.Addr = "127.0.0.1:6379": this Redis now holds every message`,
		`message_classes.csv:4: subscription 104: is left out: its topic "User/Login"`,
		"subscription_params.json:3: subscription 101: Concurrency = 50: becomes 20, which MaxSendersPerChannel held it at",
		`subscription_params.json:8: subscription 101: AlerterEmails = "ops@example.com": is left out: `,
		`subscription_params.json:16: subscription 102: Concurrency = "many": is left out: it is not a whole number`,
		`subscription_params.json:17: subscription 102: Colour = "blue": is left out: `,
		"subscription_params.json:18: Concurrency: is left out: there is no subscription 999",
		"subscriptions.tsv:4: subscription 103: is left out: its status is 1, which means cancelled",
		"subscriptions.tsv:6: subscription 105: is left out: message_classes has no class_id 99",
		`subscriptions.tsv:7: subscription 106: is left out: urls[0]: "ftp://wrong.internal/hook" must begin with http`,
		"subscriptions.tsv:8: subscription 101: stands in line 2 already; this row is left out",
		"medispatcher: 3 subscriptions in use left out, see above",
	}
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if !slices.EqualFunc(lines, want, strings.HasPrefix) {
		t.Errorf("stderr:\n%s", stderr)
	}
	if strings.Contains(stderr+stdout, "p@ss") || strings.Contains(stderr, "not-carried-over") {
		t.Error("a password is shown")
	}

	env, err := os.ReadFile(filepath.Join(out, "medispatcher.env"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(env), "MEDIS_REDIS_URL=redis://:p%40ss%20word@127.0.0.1:6379/4\n", "MEDIS_ENV=PUB\n", "MEDIS_CONCURRENCY=5\n",
		"MEDIS_MAX_CONCURRENCY=20\n", "MEDIS_TIMEOUT=4s\n", "MEDIS_MAX_TIMEOUT=1m0s\n", "MEDIS_RETRY_COEFFICIENT=1s\n", "MEDIS_SENT_LOG=true\n",
		"MEDIS_DATA_LOG=/var/log/medispatcher/data.log\n", "\n# 10 ms for each of 5 senders\nMEDIS_INTERVAL=2ms\n")
	if info, err := os.Stat(filepath.Join(out, "medispatcher.env")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error("others may read a password:", info.Mode(), err)
	}
	// This version takes what was written.
	file := filepath.Join(out, "medispatcher.env")
	for _, id := range []string{"101", "102"} {
		if code, _, stderr := c.run("", "-f", file, "sub", "put", id, "--file", filepath.Join(out, "subscriptions", id+".json")); code != cli.ExitOK {
			t.Fatal(id, stderr)
		}
	}
	contains(t, strings.NewReplacer("\n", "", " ", "").Replace(c.ok("sub", "get", "101")),
		`"topic":"order_created"`, `"urls":["http://a.internal/hook","[T_ENV:PUB]http://b.internal/hook"]`, `"concurrency":20`, `"interval":"5ms"`,
		`"timeout":"2.5s"`, `"encoding":"form"`, `"receive_bench":true`, `"drop":{"threshold":4,"action":"log"}`,
		`"window":"1m0s"`, `"failures":50`, `"message_failures":3`, `"backlog":1000`, `"every":"5m0s"`)

	contains(t, c.ok("sub", "get", "102"), `"interval": "10ms"`) // a sender of its own, with the common pause
	c.fails(cli.ExitFailed, "", args, "is there already; give another --out, or --force")
	// What an earlier run left is not mixed with what this one writes.
	stale := filepath.Join(out, "subscriptions", "7.json")
	if err := errors.Join(os.WriteFile(stale, nil, 0o644), os.Chmod(file, 0o644)); err != nil { //nolint:gosec // as an editor left it
		t.Fatal(err)
	}
	if code, _, _ := c.run("", append(args, "--force")...); code != cli.ExitFailed {
		t.Error(code)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Error("after --force others may read a password:", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(stale)); err != nil || len(left) != 2 {
		t.Error("after --force there are", left, err)
	}
	if err := errors.Join(os.RemoveAll(filepath.Dir(stale)), os.Mkdir(filepath.Dir(stale), 0o700), os.WriteFile(stale, nil, 0o600), os.Remove(file)); err != nil {
		t.Fatal(err)
	}
	c.fails(cli.ExitFailed, "", args, "7.json is there already")
}

// TestMigrateDumps: each form of a dump is read, and what is no dump is said to be none.
func TestMigrateDumps(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"subscriptions.csv":        "\ufeffsubscription_id,message_class_id,reception_channel,status\n1,1,\"http://a/\nhttp://b/\",0\n",
		"message_classes.json":     `{"class_id":1,"class_key":"a.b"}` + "\n",
		"subscription_params.tsv":  "subscription_id\tparam_name\tparam_value\n1\tAlerterEmails\tNULL\n1\tReceptionUri\thttp://c/\\nhttp://d/\\\\n\n",
		"subscription_params.json": "",
	}
	for _, tc := range []struct {
		name, file, content, want string
	}{
		{"all of them", "", "", "0 variables and 1 subscription written to"},
		{"no table", "message_classes.json", "\x00", "there is no message_classes.csv, .tsv or .json in "},
		{"no column", "message_classes.json", `{"class_id":1}`, "message_classes.json:1: has no column class_key"},
		{"no object", "message_classes.json", "[{\"class_id\":1,\"class_key\":\"a.b\"},\n3]", "message_classes.json:2: is not a JSON object"},
		{"a cut list", "message_classes.json", "[{\"class_id\":1,\"class_key\":\"a.b\"}\n", "message_classes.json: ends within the list of rows"},
		{"two lists", "message_classes.json", "[{\"class_id\":1,\"class_key\":\"a.b\"}]\n[{\"class_id\":2,\"class_key\":\"c\"}]", "message_classes.json:2: has more after its rows"},
		{"a list that ends twice", "message_classes.json", "{\"class_id\":1,\"class_key\":\"a.b\"}\n}\n", "message_classes.json:2: "},
		{"no row", "message_classes.json", "\ufeff\n", "message_classes.json has no row"},
		{"no row of subscriptions", "subscriptions.csv", "subscription_id,message_class_id,reception_channel,status\n", "subscriptions.csv has no row"},
		{"semicolons", "subscriptions.csv", "subscription_id;message_class_id\n1;1\n", "subscriptions.csv: its columns are not separated by commas; export"},
		{"no status", "subscriptions.csv", "subscription_id,message_class_id,reception_channel,status\n1,1,http://a/,NULL\n", "subscriptions.csv:2: subscription 1: is left out: it has no status (NULL"},
		{"JSON of phpMyAdmin", "message_classes.json", "[\n{\"type\":\"header\",\"version\":\"5.2.1\"},\n{\"type\":\"table\",\"data\":[{}]}]", "message_classes.json: is JSON of phpMyAdmin"},
		{"JSON of an older phpMyAdmin", "message_classes.json", "/**\n Export to JSON plugin for PHPMyAdmin\n*/\n[]", "message_classes.json: is JSON of phpMyAdmin"},
		{"no CSV", "subscriptions.csv", "a,b\n\"", "subscriptions.csv: is not CSV"},
		{"too few columns", "subscription_params.tsv", "a\tb\n1\n", "subscription_params.tsv:2: has 1 columns, and the first line 2"},
		{"a hostile id", "subscriptions.csv", "subscription_id,message_class_id,reception_channel,status\n../x,1,http://a/,0\n", "subscriptions.csv:2: subscription ../x: is left out: id: "},
	} {
		dir := t.TempDir()
		for name, content := range good {
			if name == tc.file {
				content = tc.content
			}
			if content != "" && content != "\x00" {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		out := filepath.Join(dir, "new")
		code, stdout, stderr := runWith(t, nil, nil, "migrate", "--tables", dir, "--out", out)
		if (code == cli.ExitOK) != (tc.file == "" || tc.name == "no status") || !strings.Contains(stdout+stderr, tc.want) {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", tc.name, code, stdout, stderr)
		}
		if tc.file == "" {
			doc, err := os.ReadFile(filepath.Join(out, "subscriptions", "1.json"))
			if err != nil || !strings.Contains(string(doc), `"http://c/",`) || !strings.Contains(string(doc), `"http://d/\\n"`) {
				t.Errorf("%s, %v", doc, err)
			}
		}
	}
}

func TestMigrateArguments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tc := range []struct {
		args, toml, want string
		code             int
	}{
		{"", "", "give --config, --tables or both", cli.ExitUsage},
		{"--tables x", "", "--out is missing", cli.ExitUsage},
		{"--config FILE --out " + dir, "a = \n", "medispatcher.toml:1: is not TOML", cli.ExitFailed},
		{"--config FILE --out " + dir, "a = 1\nSendersPerChannel = 1000000\n", "MEDIS_CONCURRENCY=1000000: give a whole number", cli.ExitUsage},
		{
			"--config FILE --out " + dir, "a = 1\nDefaultMaxMessageProcessTime = 60000\n",
			"(MEDIS_TIMEOUT is DefaultMaxMessageProcessTime in line 2; MEDIS_MAX_TIMEOUT is MaxMessageProcessTime, which is missing there)", cli.ExitUsage,
		},
		{"--config FILE --out " + dir, "MaxMessageProcessTime = 9223372036854775807\n", "MEDIS_MAX_TIMEOUT=9223372036854775807ms: give", cli.ExitUsage},
		{"--config FILE --out " + dir, "CoeOfIntervalForRetrySendingMsg = 9223372036854775807\n", "MEDIS_RETRY_COEFFICIENT=9223372036854775807s: give", cli.ExitUsage},
		{"--config FILE --out " + dir, "IntervalOfSendingForSendRoutine = 9223372036854775807\n", "MEDIS_INTERVAL=9223372036854775807ms: give", cli.ExitUsage},
		{"--config /no/such --out " + dir, "", "cannot read /no/such: ", cli.ExitUsage},
	} {
		file := writeFile(t, "medispatcher.toml", tc.toml)
		code, _, stderr := runWith(t, nil, nil, append([]string{"migrate"}, strings.Fields(strings.ReplaceAll(tc.args, "FILE", file))...)...)
		if code != tc.code || !strings.Contains(stderr, tc.want) {
			t.Errorf("%s: exit %d, stderr %q", tc.args, code, stderr)
		}
	}
}
