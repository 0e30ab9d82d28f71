package main

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams"
)

// beat writes the heartbeat of a dispatcher that holds back some subscriptions.
func (c *program) beat(id string, held ...medispatcher.Breaker) {
	c.t.Helper()
	store, err := streams.Open(streams.Config{URL: "redis://" + c.redis.Addr(), Prefix: "medis", Partitions: 1, ID: id})
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	d := medispatcher.Dispatcher{ID: id, Host: "ho\x1bst", PID: 7, Version: "1.2.3", Started: time.Now().Add(-time.Hour), DeadAfter: time.Hour, Held: held, HeldTotal: len(held)}
	if len(held) == 1 {
		d.HeldTotal = 5 // the list was cut
	}
	if err := store.Heartbeat(c.t.Context(), d); err != nil {
		c.t.Fatal(err)
	}
}

func TestStatusTables(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	contains(t, c.ok("status"), "INCOMING", "1 partition ", "no subscriptions; add one", "no dispatcher runs; start one")
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", "http://h/", "--paused")
	c.ok("publish", "order.created", "1")
	for _, key := range []string{"medis:{0}:ch:billing", "medis:{0}:ch:billing", "medis:{0}:dead:billing"} {
		if _, err := c.redis.XAdd(key, "*", []string{"topic", "a"}); err != nil {
			t.Fatal(err)
		}
	}
	c.beat("one")
	rows := map[string][]string{}
	out := c.ok("status")
	for line := range strings.SplitSeq(out, "\n") {
		if f := strings.Fields(line); len(f) > 0 {
			rows[f[0]] = f
		}
	}
	if got := strings.Join(rows["billing"][:7], " "); got != "billing order.* paused 2 0 0 1" {
		t.Errorf("%s in\n%s", got, out)
	}
	if got := strings.Join(rows["1"][:6], " "); got != "1 partition 1 0 0 0" {
		t.Errorf("%s in\n%s", got, out)
	}
	contains(t, out, `ho\x1bst`, "1.2.3", " 1h  alive", "alive", "SUBSCRIPTION", "RETRYING", "OLDEST", "DISPATCHER")
}

func TestStatusBreakers(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	for _, id := range []string{"billing", "audit", "paused"} {
		c.ok("sub", "put", id, "--topic", "a", "--url", "http://h/")
	}
	c.ok("sub", "pause", "paused")
	if out := c.ok("status"); strings.Contains(out, "BREAKER") {
		t.Errorf("breakers in\n%s", out)
	}
	since := time.Now().Add(-2 * time.Hour)
	c.beat("one", medispatcher.Breaker{Subscription: "billing", Since: since}, medispatcher.Breaker{Subscription: "paused", Since: since})
	c.beat("two", medispatcher.Breaker{Subscription: "billing", Since: since})
	out := c.ok("status")
	contains(t, out, "OPEN BREAKER  DISPATCHER  SINCE\nbilling       one            2h\nbilling       two            2h\nand 4 more    two             -\n")
	states := map[string]string{}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 8 {
			states[f[0]] = f[2]
		}
	}
	if states["billing"] != "breaker_open" || states["audit"] != "active" || states["paused"] != "paused" {
		t.Errorf("states %v in\n%s", states, out)
	}
}

func TestStatusJSON(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	contains(t, c.ok("status", "--json"), `"subscriptions": []`, `"dispatchers": []`)
	c.ok("sub", "put", "billing", "--topic", ">", "--url", "http://h/")
	c.beat("one")
	out := c.ok("status", "--json")
	var st medispatcher.Status
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		t.Fatal(err)
	}
	if len(st.Subscriptions) != 1 || st.Subscriptions[0].Topic != ">" || st.Subscriptions[0].State != "active" || st.Revision < 1 || !st.Dispatchers[0].Alive {
		t.Errorf("%+v", st)
	}
	if strings.Contains(out, "\x1b") {
		t.Error("an escape sequence reaches the terminal")
	}
}

// --watch repeats until it is interrupted, and then exits with 0.
func TestStatusWatch(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs lockedBuffer
	out.wrote = func() {
		if strings.Count(out.String(), "\n") == 2 {
			cancel()
		}
	}
	if code := run(ctx, []string{"status", "--watch", "--json"}, c.env, nil, &out, &errs); code != cli.ExitOK || errs.String() != "" {
		t.Errorf("exit %d, %s", code, errs.String())
	}
	dec := json.NewDecoder(strings.NewReader(out.String()))
	for range 2 {
		var st medispatcher.Status
		if err := dec.Decode(&st); err != nil {
			t.Error(err)
		}
	}
}

// --watch reports a Redis that goes away, and goes on when it is back.
func TestStatusWatchGoesOn(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs lockedBuffer
	gone := false
	out.wrote = func() {
		if !gone {
			gone = true
			c.redis.Close()
		}
	}
	errs.wrote = func() {
		if strings.Contains(errs.String(), "does not answer") {
			cancel()
		}
	}
	if code := run(ctx, []string{"status", "--watch"}, c.env, nil, &out, &errs); code != cli.ExitOK {
		t.Errorf("exit %d, %s", code, errs.String())
	}
}

func TestPaint(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	s := &state{environment: &environment{stdout: &out}}
	if err := s.paint("a\nb\n", true); err != nil || !strings.HasPrefix(out.String(), "\x1b[H") || !strings.HasSuffix(out.String(), "b\x1b[K\x1b[J") {
		t.Errorf("%v %q", err, out.String())
	}
}

// Every command that needs Redis says where it looked for it and what to do.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	env := []string{deadRedis(t)}
	host := strings.TrimPrefix(env[0], "MEDIS_REDIS_URL=redis://:hush@")
	for _, args := range [][]string{
		{"status"}, {"status", "--watch"}, {"publish", "a", "b"}, {"publish", "--ndjson"}, {"sub", "ls"}, {"sub", "get", "a"},
		{"sub", "put", "a", "--topic", "a"}, {"sub", "set", "a", "paused=true"}, {"sub", "rm", "a"}, {"sub", "pause", "a"},
		{"purge", "a", "--yes"},
	} {
		code, stdout, stderr := runWith(t, strings.NewReader(""), env, args...)
		if code != cli.ExitFailed || stdout != "" || strings.Contains(stderr, "hush") {
			t.Errorf("%q: exit %d, %q", args, code, stdout)
		}
		checkLines(t, stderr, "redis at "+host+" does not answer: ")
		contains(t, stderr, "connection refused; check MEDIS_REDIS_URL")
	}
}

func TestRedisRefuses(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.redis.RequireAuth("right")
	c.fails(cli.ExitFailed, "", []string{"status"}, "NOAUTH")
	c.env = []string{"MEDIS_REDIS_URL=redis://:hush@" + c.redis.Addr()}
	c.fails(cli.ExitFailed, "", []string{"status"}, "check the user and the password in MEDIS_REDIS_URL")
	for _, refusal := range []struct{ text, want string }{
		{"OOM command not allowed when used memory > 'maxmemory'.", "Redis is out of memory: raise maxmemory"},
		{"READONLY You can't write against a read only replica.", "must name the master"},
		{"MOVED 3999 127.0.0.1:6381", "add ?cluster=true"},
		{"LOADING Redis is loading the dataset in memory", "try again in a moment"},
		{"TRYAGAIN Multiple keys request during rehashing of slot", "a slot of the cluster is being moved: try again"},
		{"NOPERM this user has no permissions to run the 'evalsha' command", "give the user in MEDIS_REDIS_URL the rights"},
		{"ERR strange", "check MEDIS_REDIS_URL, and the log of Redis"},
	} {
		c := newCLI(t)
		c.redis.SetError(refusal.text)
		c.fails(cli.ExitFailed, "", []string{"status"}, refusal.want)
	}
	c = newCLI(t)
	c.env = []string{"MEDIS_REDIS_URL=redis://" + c.redis.Addr() + "?master_name=mine"}
	c.fails(cli.ExitFailed, "", []string{"status"}, "is for the addresses of sentinels, and this is none")
	c.redis.SetError("NOAUTH Authentication required.")
	c.fails(cli.ExitFailed, "", []string{"status"}, "check sentinel_username and sentinel_password")
	c = newCLI(t)
	if err := c.redis.Set("medis:subscriptions", "x"); err != nil {
		t.Fatal(err)
	}
	c.fails(cli.ExitFailed, "", []string{"status"}, "something else uses a key of ours: check MEDIS_KEY_PREFIX")
}

// A stdin that never ends does not hold up an interrupt.
func TestPublishInterrupted(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	stdin, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs lockedBuffer
	out.wrote = cancel
	go func() { _, _ = io.WriteString(feed, "{\"body\":1}\n") }()
	if code := run(ctx, []string{"publish", "a", "--ndjson"}, c.env, stdin, &out, &errs); code != cli.ExitFailed {
		t.Errorf("exit %d", code)
	}
	checkLines(t, errs.String(), "interrupted at line 2, 1 published before it")
}
