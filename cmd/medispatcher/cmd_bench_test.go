package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// leftOver lists what a load test may not leave: everything but statistics and the bookkeeping that all share.
func leftOver(t *testing.T, env *streamstest.Env) (keys []string) {
	t.Helper()
	for _, k := range env.Client.Keys(t.Context(), "*").Val() {
		switch {
		case strings.HasPrefix(k, "medis:stats:"), strings.HasPrefix(k, "medis:deliveries:"), strings.HasPrefix(k, "medis:changes:"), strings.HasPrefix(k, "medis:alerts:"),
			strings.HasPrefix(k, "medis:dispatcher"), strings.HasPrefix(k, "medis:book:"), strings.HasPrefix(k, "medis:partitions:"), strings.HasPrefix(k, "medis:clock:"), strings.HasPrefix(k, "medis:written:"), k == "medis:subscriptions:rev":
		case strings.HasPrefix(k, "medis:{0}:active") && env.Client.SCard(t.Context(), k).Val() == 1: // that it is complete
		case k == "medis:{0}:incoming" && env.Client.XLen(t.Context(), k).Val() == 0:
		default:
			keys = append(keys, k)
		}
	}
	return keys
}

// TestBench: a load test with its own dispatcher and failures, then one with another dispatcher. It leaves
// nothing behind, and a catch-all subscription gets none of its messages.
func TestBench(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, redis *streamstest.Env) {
		t.Parallel()
		env := []string{"MEDIS_REDIS_URL=" + redis.URL}
		r := measured(t, env, "--messages", "300", "--subscribers", "2", "--fail", "20", "--size", "1KiB")
		if !r.Own || len(r.Dispatchers) > 0 || r.Messages != 300 || r.Deliveries != 600 || r.Missing != 0 || r.Failed == 0 || r.Interrupted {
			t.Errorf("%+v", r)
		}
		if l := r.Latency; l.P50 <= 0 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.Max || r.Seconds <= 0 || r.Delivered <= 0 || r.Published <= 0 {
			t.Errorf("%+v", r)
		}

		if keys := leftOver(t, redis); len(keys) > 0 {
			t.Errorf("left in Redis: %q", keys)
		}

		other := startServe(t, env, "serve")
		eventually(t, "its first heartbeat", func() bool { return redis.Client.ZCard(t.Context(), "medis:dispatchers").Val() == 1 })
		w := newWorker(t)
		other.put("all", `{"topic":">","urls":["`+w.URL+`"]}`)
		r = measured(t, env, "--messages", "50", "--subscribers", "1", "--rate", "1000", "--delay", "1ms")
		if r.Own || len(r.Dispatchers) != 1 || r.Deliveries != 50 {
			t.Errorf("%+v", r)
		}
		if code, _, _ := runWith(t, nil, env, "publish", "order.created", "1"); code != cli.ExitOK {
			t.Error(code)
		}
		w.await(t, "the message that is no load test", func(got map[string][]string) bool { return len(got["all"]) > 0 })
		w.mu.Lock()
		defer w.mu.Unlock()
		if got := w.got["all"]; !slices.Equal(got, []string{"1"}) {
			t.Errorf("the catch-all subscription got %q", got)
		}
	})
}

// measured runs a load test that must work.
func measured(t *testing.T, env []string, args ...string) (r loadtest.Report) {
	t.Helper()
	code, out, stderr := runWith(t, nil, env, append([]string{"bench", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &r); code != cli.ExitOK || err != nil {
		t.Fatalf("exit %d, %v, stdout %q, stderr %q", code, err, out, stderr)
	}
	return r
}

func TestBenchFlags(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	for args, want := range map[string]string{
		"--messages 0":                         "--messages 0: give 1 to 1000000000",
		"--messages 900000000 --subscribers 2": "--messages 900000000 to 2 subscribers are more than 1000000000 deliveries",
		"--subscribers 501":                    "--subscribers 501: give 1 to 500",
		"--concurrency 1501":                   "--concurrency 1501: give 1 to 1500 (MEDIS_MAX_CONCURRENCY)",
		"--fail 101":                           "--fail 101: give 0 to 100",
		"--rate -1":                            "--rate -1: give 0 to",
		"--size 20":                            "--size 20: give 78 ",
		"--size 2MiB":                          "to 1MiB (MEDIS_MAX_BODY)",
		"--size big":                           `"big" is not a size`,
		"--delay 30s":                          "--delay 30s: give 0s to less than 30s (MEDIS_MAX_TIMEOUT)",
		"--wait 1ms":                           "--wait 1ms: give 1s or more",
		"--listen nowhere":                     `--listen "nowhere": give host:port`,
		"--listen :9000":                       "--listen :9000 is every address of this machine: add --url",
		"--listen [::]:9000":                   "add --url",
		"--url ftp://x":                        `--url "ftp://x": give http://host:port`,
		"--url http://u:pw@x":                  "--url: give a scheme, a host and perhaps a path alone",
		"--clean --rate 5":                     "--rate has no effect with --clean",
		"now":                                  `bench takes no argument, and got "now"`,
	} {
		c.fails(cli.ExitUsage, "", append([]string{"bench"}, strings.Fields(args)...), want)
	}
	c.fails(cli.ExitUsage, "", []string{"bench", "--messages", "0", "--fail", "-1"}, "--messages", "--fail")
	if keys := c.redis.Keys(); len(keys) > 0 {
		t.Errorf("in Redis: %q", keys)
	}
}

// TestBenchMissing: the error says what did not arrive, where it is, and the likely cause.
func TestBenchMissing(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer down.Close()
	var code int
	var out, stderr string
	for range 3 { // a message that is under way when the command looks has no failure to show
		if code, out, stderr = c.run("", "bench", "--messages", "3", "--subscribers", "1", "--url", down.URL, "--wait", "1s"); strings.Contains(stderr, "failed last") {
			break
		}
	}
	if code != cli.ExitFailed {
		t.Error(code)
	}
	contains(t, out, "\nmissing ")
	contains(t, stderr, "3 of 3 deliveries did not arrive, and none did for 1s: ", "a message failed last with: status 502")

	c.beat("elsewhere") // a dispatcher on another host, which does nothing
	code, out, stderr = c.run("", "bench", "--messages", "3", "--subscribers", "1", "--wait", "1s", "--json")
	contains(t, out, `"where":{"ready":0,"buried":0,"retrying":0,"dead":0,"incoming":3}`)
	contains(t, stderr, "3 messages not fanned out yet: do the dispatchers have the same MEDIS_PARTITIONS=1", "the likely cause: http://127.0.0.1:", "--url http://THIS-HOST:PORT")
	if n, err := c.redis.Stream("medis:{0}:incoming"); code != cli.ExitFailed || len(n) > 0 || err != nil {
		t.Errorf("exit %d, %d in the incoming stream, %v", code, len(n), err)
	}
	if subs, _ := c.redis.HKeys("medis:subscriptions"); len(subs) > 0 || c.redis.Exists("medis:bench") {
		t.Errorf("left: %q", subs)
	}
}

// TestBenchInterrupted: Ctrl-C in the middle leaves nothing, and says what was measured so far.
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, redis *streamstest.Env) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var out, stderr lockedBuffer
		code := make(chan int, 1)
		go func() {
			code <- run(ctx, []string{"bench", "--messages", "1000000", "--delay", "5ms"}, []string{"MEDIS_REDIS_URL=" + redis.URL}, strings.NewReader(""), &out, &stderr)
		}()
		sent := func() bool {
			counts, err := redis.Client.HGetAll(t.Context(), "medis:stats:{0}:total").Result()
			if err != nil {
				t.Fatal(err)
			}
			for name := range counts {
				if strings.HasPrefix(name, "sent:bench-") {
					return true
				}
			}
			return false
		}
		for until := time.Now().Add(30 * time.Second); !sent(); {
			if time.Now().After(until) {
				t.Fatalf("nothing is delivered: %s", stderr.String())
			}
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
		if got := <-code; got != cli.ExitFailed {
			t.Errorf("exit %d", got)
		}
		contains(t, stderr.String(), "medispatcher: interrupted\n")
		contains(t, out.String(), "delivered/s")
		if keys := leftOver(t, redis); len(keys) > 0 {
			t.Errorf("left in Redis: %q", keys)
		}
	})
}

// TestBenchClean: what a killed run left is removed, and nothing else is touched.
func TestBenchClean(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	contains(t, c.ok("bench", "--clean"), "nothing to clean")
	store, err := streams.Open(streams.Config{URL: "redis://" + c.redis.Addr(), Prefix: "medis", Partitions: 1, ID: "t"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	dead := medispatcher.BenchRun{Run: "0123456789ab", Subscriptions: 3, Host: "h\x1b", PID: 7, Started: time.Now().Add(-time.Hour)}
	for _, run := range []medispatcher.BenchRun{dead, {Run: "ba9876543210", Subscriptions: 1, Host: "h", PID: 8}} {
		if _, err := store.HoldBench(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		c.ok("sub", "put", run.IDs()[0], "--topic", run.Topic(), "--url", "http://h/")
	}
	c.ok("sub", "put", dead.IDs()[1], "--topic", "order.*", "--url", "http://h/") // somebody uses it
	c.ok("sub", "put", "bench-mine", "--topic", "bench.mine", "--url", "http://h/")
	for _, id := range []string{dead.IDs()[0], dead.IDs()[2], dead.IDs()[1], "bench-mine"} { // the third is not in the registry any more
		if _, err := c.redis.XAdd("medis:{0}:ch:"+id, "*", []string{"topic", "a", "body", "1"}); err != nil {
			t.Fatal(err)
		}
	}
	c.ok("publish", dead.Topic(), "1")
	c.ok("publish", "bench.mine", "1")

	_, out, stderr := c.run("", "bench", "--clean")
	contains(t, out, "nothing to clean") // both were heard a moment ago
	contains(t, stderr, `bench-0123456789ab is left alone: it runs on h\x1b, pid 7, or died a moment ago`, "bench-ba9876543210 is left alone")

	old := c.redis.HGet("medis:bench", dead.Run)
	_, info, _ := strings.Cut(old, " ")
	c.redis.HSet("medis:bench", dead.Run, "1000 "+info)
	code, out, stderr := c.run("", "bench", "--clean", "--json")
	contains(t, out, `[{"run":"0123456789ab","subscriptions":2,"incoming":1,"ready":2,"buried":0,"dead":0,"kept":["bench-0123456789ab-2"]}]`)
	contains(t, stderr, "bench-0123456789ab-2 is left alone: its topic is not", "bench-ba9876543210 is left alone")
	subs, _ := c.redis.HKeys("medis:subscriptions")
	slices.Sort(subs)
	if want := []string{"bench-0123456789ab-2", "bench-ba9876543210-1", "bench-mine"}; code != cli.ExitOK || !slices.Equal(subs, want) {
		t.Errorf("exit %d, subscriptions %q", code, subs)
	}
	incoming, _ := c.redis.Stream("medis:{0}:incoming")
	if len(incoming) != 1 || !c.redis.Exists("medis:{0}:ch:bench-mine") || !c.redis.Exists("medis:{0}:ch:bench-0123456789ab-2") ||
		c.redis.Exists("medis:{0}:ch:bench-0123456789ab-1") || c.redis.Exists("medis:{0}:ch:bench-0123456789ab-3") {
		t.Errorf("incoming %v, keys %q", incoming, c.redis.Keys())
	}
}
