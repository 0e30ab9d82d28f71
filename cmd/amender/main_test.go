package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"go.uber.org/goleak"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/amender"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams/streamstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, environ, &out, &errs)
	return code, out.String(), errs.String()
}

// fails expects an exit code, nothing on stdout, and a line on stderr for each of want.
func fails(t *testing.T, code int, environ, args []string, want ...string) {
	t.Helper()
	got, stdout, stderr := start(t, environ, args...)
	if got != code || stdout != "" {
		t.Errorf("%q %q: exit %d, want %d, stdout %q", environ, args, got, code, stdout)
	}
	if strings.Contains(stderr, "hush") || strings.Contains(stderr, "\x1b") {
		t.Errorf("%q %q: a secret or an escape sequence is shown: %q", environ, args, stderr)
	}
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if len(lines) != len(want) {
		t.Errorf("%q %q: %d lines, want %d:\n%s", environ, args, len(lines), len(want), stderr)
		return
	}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], "amender: ") || !strings.Contains(lines[i], w) {
			t.Errorf("%q %q: line %d is\n  %s\nwant in it\n  %s", environ, args, i+1, lines[i], w)
		}
	}
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.env")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAmenderChecksLikeDispatcher: the amender refuses what a dispatcher refuses, with the same words, and shows no secret.
func TestAmenderChecksLikeDispatcher(t *testing.T) {
	bad := writeFile(t, "A=1\nMEDIS_ADMIN_TOKEN hush\n")
	good := writeFile(t, "MEDIS_REDIS_URL='redis://u:hush@h:1/x'\n")
	for _, c := range []struct {
		environ, args []string
		want          []string
	}{
		{nil, []string{"-f", bad}, []string{bad + ", line 2: is not NAME=value"}},
		{nil, []string{"--env-file", "/no/such\x1b.env"}, []string{`cannot read /no/such\x1b.env: no such file or directory`}},
		{nil, []string{"-f", good}, []string{"MEDIS_REDIS_URL=redis://u:********@h:1/x (in " + good + "): cannot be used: invalid database number"}},
		{[]string{"MEDIS_PARTITIONS=5000"}, nil, []string{"MEDIS_PARTITIONS=5000: give a whole number from 1 to 1024"}},
		{[]string{"MEDIS_PARTITIONS=many", "MEDIS_KEY_PREFIX={", "MEDIS_REDIS_URL=http://u:hush@h"}, nil,
			[]string{"MEDIS_PARTITIONS=many: give", "MEDIS_KEY_PREFIX={: ", "MEDIS_REDIS_URL=http://u:********@h: has the scheme http"}},
		{[]string{"MEDIS_KEY_PREFIX=a\x1b[31m"}, nil, []string{`MEDIS_KEY_PREFIX="a\x1b[31m": `}},
		{[]string{"MEDIS_HEARTBEAT=9s"}, nil, []string{"MEDIS_DEAD_AFTER=10s is less than three times MEDIS_HEARTBEAT=9s"}},
	} {
		fails(t, cli.ExitUsage, c.environ, c.args, c.want...)
	}
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"bill\x1b[31ming"}, `unexpected argument "bill\x1b[31ming"; choose a subscription with --sub`},
		{[]string{"--dry-rnu"}, "unknown flag: --dry-rnu; did you mean --dry-run?"},
		{[]string{"-dry-run"}, "did you mean --dry-run?"},
		{[]string{"-x"}, "unknown shorthand flag: 'x' in -x; see amender --help"},
		{[]string{"--sub"}, "flag needs an argument: --sub"},
		{[]string{"--sub", "a\x1bb"}, `--sub: "a\x1bb" must start with a letter or digit`},
	} {
		fails(t, cli.ExitUsage, nil, c.args, c.want)
	}
}

func TestHelpAndVersion(t *testing.T) {
	code, out, stderr := start(t, []string{"MEDIS_REDIS_URL=wrong"}, "--help")
	if code != cli.ExitOK || stderr != "" {
		t.Errorf("exit %d, %q", code, stderr)
	}
	for _, want := range []string{"MEDIS_REDIS_URL", "MEDIS_KEY_PREFIX", "MEDIS_PARTITIONS", "--dry-run", "--sub ID", "--force", "--json", "-f, --env-file FILE", "Exit codes: "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "COMMAND") {
		t.Error(out)
	}
	version = "1.2.3"
	t.Cleanup(func() { version = "" })
	if _, out, _ := start(t, nil, "--version"); !strings.HasPrefix(out, "amender 1.2.3 (commit ") {
		t.Error(out)
	}
}

// TestRedisIsAway: without Redis the job fails, and does not say that there is nothing to amend.
func TestRedisIsAway(t *testing.T) {
	gone, err := miniredis.Run()
	if err != nil {
		t.Fatal(err)
	}
	addr := gone.Addr()
	away := "MEDIS_REDIS_URL=redis://:hush@" + addr
	gone.Close()
	for _, args := range [][]string{nil, {"--json"}, {"--dry-run"}, {"--sub", "s"}} {
		fails(t, cli.ExitFailed, []string{away}, args, "does not answer: dial tcp "+addr+": connect: connection refused; check MEDIS_REDIS_URL, and whether Redis runs")
	}

	m := miniredis.RunT(t)
	url := "MEDIS_REDIS_URL=redis://:hush@" + m.Addr()
	m.RequireAuth("right")
	fails(t, cli.ExitFailed, []string{url}, nil, "check the user and the password in MEDIS_REDIS_URL")
	m.RequireAuth("")
	for text, want := range map[string]string{"LOADING Redis is loading the dataset in memory": "try again in a moment", "MOVED 1 h:1": "add ?cluster=true"} {
		m.SetError(text)
		fails(t, cli.ExitFailed, []string{"MEDIS_REDIS_URL=redis://" + m.Addr()}, nil, want)
	}

	var listening net.ListenConfig
	mute, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = mute.Close() }()
	fails(t, cli.ExitFailed, []string{"MEDIS_REDIS_URL=redis://" + mute.Addr().String()}, nil, "redis at "+mute.Addr().String()+" does not answer in time")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	if code := run(ctx, nil, []string{"MEDIS_REDIS_URL=redis://" + mute.Addr().String()}, &out, &errs); code != cli.ExitFailed || out.Len() > 0 || errs.String() != "amender: interrupted\n" {
		t.Errorf("exit %d, %q, %q", code, out.String(), errs.String())
	}
}

// dead leaves a message that a dispatcher read before it died. It was heard last an hour ago.
func dead(t *testing.T, env *streamstest.Env, id, sub string) {
	t.Helper()
	store := env.Open(t, env.Config(id))
	c := medispatcher.Channel{Subscription: sub}
	key := "medis:{0}:ch:" + sub
	for _, command := range [][]any{
		{"XADD", key, "*", "topic", "t", "body", "{}"},
		{"HSET", "medis:subscriptions", sub, "{}"},
	} {
		if err := env.Client.Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	wants := []medispatcher.Want{{Channel: c, Max: 1}}
	got, err := store.Read(t.Context(), wants)
	if err != nil { // the group was missing
		got, err = store.Read(t.Context(), wants)
	}
	if err != nil || len(got) != 1 {
		t.Fatalf("%d messages, %v", len(got), err)
	}
	if err := store.Heartbeat(t.Context(), medispatcher.Dispatcher{ID: id, DeadAfter: 200 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour).UnixMilli()
	if err := env.Client.Do(t.Context(), "ZADD", "medis:dispatchers", long, id).Err(); err != nil {
		t.Fatal(err)
	}
}

// TestReport: a table, or one JSON object. Escape sequences in Redis do not reach the terminal.
func TestReport(t *testing.T) {
	env := streamstest.Mini(t)
	url := "MEDIS_REDIS_URL=" + env.URL
	dead(t, env, "web1\x1b[31m", "billing")
	code, out, stderr := start(t, []string{url}, "--dry-run")
	want := "CHANNEL  PARTITION  OWNER         MESSAGES\nbilling          0  web1\\x1b[31m         1\n1 message to be given back.\n"
	if code != cli.ExitOK || out != want || stderr != "" {
		t.Errorf("exit %d, %q\n%s\nwant\n%s", code, stderr, out, want)
	}
	fails(t, cli.ExitFailed, []string{url}, []string{"--sub", "biling"}, `subscription "biling": not found; did you mean billing?`)
	fails(t, cli.ExitFailed, []string{url}, []string{"--sub", "x"}, `subscription "x": not found; medispatcher sub ls lists the subscriptions`)
	code, out, stderr = start(t, []string{url, "MEDIS_REDIS_ULR=hush"}, "--json", "--sub", "billing")
	var report amender.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != cli.ExitOK || report.GivenBack() != 1 || report.Rows[0].Owner != "web1\x1b[31m" || strings.Contains(out, "\x1b") {
		t.Errorf("exit %d, %v: %q", code, err, out)
	}
	if !strings.Contains(stderr, "did you mean MEDIS_REDIS_URL?") || strings.Contains(stderr, "hush") {
		t.Errorf("the mistyped variable: %q", stderr)
	}
	if code, out, _ := start(t, []string{url}); code != cli.ExitOK || !strings.HasPrefix(out, "Nothing to amend: ") {
		t.Errorf("exit %d: %s", code, out)
	}
	if err := env.Client.HDel(t.Context(), "medis:subscriptions", "billing").Err(); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := start(t, []string{url}, "--sub", "billing"); code != cli.ExitOK {
		t.Errorf("a subscription that was removed and left messages: exit %d, %s", code, stderr)
	}
}

// TestRedisGoesAway: if Redis goes away half way, the report says what was done, and stderr why that is not all.
func TestRedisGoesAway(t *testing.T) {
	env := streamstest.Mini(t)
	url := "MEDIS_REDIS_URL=" + env.URL
	dead(t, env, "web1", "a")
	if err := env.Client.Do(t.Context(), "HSET", "medis:subscriptions", "b\x1b", "{}").Err(); err != nil {
		t.Fatal(err)
	}
	if err := env.Client.Set(t.Context(), "medis:{0}:ch:b\x1b", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	code, out, stderr := start(t, []string{url})
	if code != cli.ExitFailed || !strings.Contains(out, "1 message given back.\n") || !strings.Contains(out, `b\x1b`) || !strings.Contains(out, "  failed\n") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if !strings.Contains(stderr, "something else uses a key of ours: check MEDIS_KEY_PREFIX") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("stderr: %s", stderr)
	}

	env = streamstest.Mini(t)
	dead(t, env, "web1", "a")
	var pending, listens atomic.Bool
	env.Mini.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
		pending.Store(pending.Load() || cmd == "XPENDING")
		if cmd == "ZRANGE" && pending.Load() && !listens.Swap(true) {
			go env.Mini.Close()
		}
		if listens.Load() {
			c.Close()
		}
		return listens.Load()
	})
	code, out, stderr = start(t, []string{"MEDIS_REDIS_URL=" + env.URL})
	// One line for the connection that is cut, one for all that cannot be opened afterwards, or both.
	if code != cli.ExitFailed || strings.Contains(out, "Nothing to amend") || !strings.Contains(stderr, "check MEDIS_REDIS_URL") || strings.Count(stderr, "\n") > 2 {
		t.Errorf("exit %d, stdout:\n%s\nstderr:\n%s", code, out, stderr)
	}
}
