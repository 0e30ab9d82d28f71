package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams/streamstest"
)

// running is a dispatcher started as `medispatcher serve` on port 0.
type running struct {
	t    *testing.T
	base string // http://host:port
	logs *lockedBuffer
	out  *lockedBuffer
	stop func() int // as SIGTERM does; returns the exit code
}

// startServe runs a command until it says where it listens.
func startServe(t *testing.T, env []string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, logs: &lockedBuffer{}, out: &lockedBuffer{}}
	wrote := make(chan struct{}, 1)
	r.logs.wrote = func() {
		select {
		case wrote <- struct{}{}:
		default:
		}
	}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, append(env, "MEDIS_LISTEN=127.0.0.1:0"), strings.NewReader(""), r.out, r.logs)
	}()
	r.stop = sync.OnceValue(func() int {
		cancel()
		select {
		case c := <-code:
			return c
		case <-time.After(time.Minute):
			_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
			t.Errorf("the dispatcher does not stop:\n%s", r.logs.String())
			return -1
		}
	})
	t.Cleanup(func() { r.stop() })
	timeout := time.After(20 * time.Second)
	for r.base == "" {
		for line := range strings.Lines(r.logs.String()) {
			var l struct{ Msg, Listen string }
			if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "medispatcher runs" {
				r.base = "http://" + l.Listen
			}
		}
		select {
		case <-wrote:
		case c := <-code:
			code <- c // for stop
			t.Fatalf("the dispatcher ended with %d:\n%s", c, r.logs.String())
		case <-timeout:
			t.Fatalf("the dispatcher does not run:\n%s", r.logs.String())
		}
	}
	return r
}

// call calls the API.
func (r *running) call(method, path, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	defer http.DefaultClient.CloseIdleConnections()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func (r *running) put(id, doc string) {
	r.t.Helper()
	if code, answer := r.call(http.MethodPut, "/api/v1/subscriptions/"+id, doc); code/100 != 2 {
		r.t.Fatalf("put %s: %d %s", id, code, answer)
	}
}

// worker is a subscriber's worker that remembers what it got.
type worker struct {
	*httptest.Server
	mu     sync.Mutex
	got    map[string][]string // subscription → bodies
	header map[string]http.Header
	news   chan struct{}
	answer func(w http.ResponseWriter, r *http.Request)
}

func newWorker(t *testing.T) *worker {
	t.Helper()
	w := &worker{got: map[string][]string{}, header: map[string]http.Header{}, news: make(chan struct{}, 1)}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sub := r.Header.Get("medis-subscription")
		w.mu.Lock()
		w.got[sub] = append(w.got[sub], string(body))
		w.header[sub] = r.Header
		w.mu.Unlock()
		select { // before the answer, which may wait for the test
		case w.news <- struct{}{}:
		default:
		}
		if w.answer != nil {
			w.answer(rw, r)
		}
	}))
	t.Cleanup(w.Close)
	return w
}

// await waits until a condition on the deliveries holds.
func (w *worker) await(t *testing.T, what string, holds func(got map[string][]string) bool) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for {
		w.mu.Lock()
		ok := holds(w.got)
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-w.news:
		case <-timeout:
			w.mu.Lock()
			defer w.mu.Unlock()
			counts := map[string]int{}
			for sub, bodies := range w.got {
				counts[sub] = len(bodies)
			}
			t.Fatalf("%s: got %v", what, counts)
		}
	}
}

// eventually waits for a state in Redis, which sends no events.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

// dataLog names a file for a DATA log, in memory where the system has a place for that. A disk that stalls keeps
// messages in Redis which a test waits for in the log.
func dataLog(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "medispatcher") //nolint:usetesting // that is on a disk
	if err != nil {
		return filepath.Join(t.TempDir(), "data.log")
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "data.log")
}

// awaitSignal waits for a value, or for the end of a channel.
func awaitSignal[T any](t *testing.T, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(30 * time.Second):
		t.Fatal("not in time: " + what)
	}
	return v
}

// xadd publishes as any client would.
func xadd(t *testing.T, env *streamstest.Env, fields ...any) string {
	t.Helper()
	id, err := env.Client.Do(t.Context(), append([]any{"XADD", "medis:{0}:incoming", "*"}, fields...)...).Text()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// empty reports whether nothing is left of any message.
func empty(t *testing.T, env *streamstest.Env) bool {
	t.Helper()
	c := env.Client
	for _, key := range c.Keys(t.Context(), "medis:{0}:*").Val() {
		if strings.Contains(key, ":seen:") || strings.Contains(key, ":active") {
			continue
		}
		if c.Type(t.Context(), key).Val() != "stream" || c.XLen(t.Context(), key).Val() > 0 {
			return false
		}
		for _, g := range c.XInfoGroups(t.Context(), key).Val() {
			if g.Pending > 0 {
				return false
			}
		}
	}
	return true
}

func total(got map[string][]string) (n int) {
	for _, bodies := range got {
		n += len(bodies)
	}
	return n
}

// TestDaemon is the main job end to end: 1,000 messages by raw XADD to three subscriptions, with one dispatcher
// and with two.
func TestDaemon(t *testing.T) {
	t.Parallel()
	for _, dispatchers := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d dispatchers", dispatchers), func(t *testing.T) {
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				var all []*running
				for range dispatchers {
					all = append(all, startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve"))
				}
				w := newWorker(t)
				for id, topic := range map[string]string{"exact": "order.created", "one": "order.*", "rest": "order.>"} {
					all[0].put(id, fmt.Sprintf(`{"topic":%q,"urls":[%q]}`, topic, w.URL))
				}
				all[0].put("other", fmt.Sprintf(`{"topic":"bill.*","urls":[%q]}`, w.URL))
				const n = 1000
				want := map[string]bool{}
				for i := range n {
					body := fmt.Sprintf("%d \xff\x00\n", i) // opaque bytes
					if i == 7 {
						body = strings.Repeat("a\xfe", 1<<19) // 1 MiB
					}
					want[body] = true
					xadd(t, env, "topic", "order.created", "body", body)
				}
				w.await(t, "3,000 deliveries", func(got map[string][]string) bool { return total(got) >= 3*n })
				eventually(t, "nothing left in Redis", func() bool { return empty(t, env) })
				for _, r := range all {
					if code := r.stop(); code != cli.ExitOK {
						t.Errorf("exit %d:\n%s", code, r.logs.String())
					}
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				for _, sub := range []string{"exact", "one", "rest"} {
					seen := map[string]bool{}
					for _, body := range w.got[sub] {
						if !want[body] || seen[body] {
							t.Fatalf("%s: a body of %d bytes is not as it was sent, or came twice", sub, len(body))
						}
						seen[body] = true
					}
					if len(seen) != n {
						t.Errorf("%s: %d bodies, want %d", sub, len(seen), n)
					}
				}
				if total(w.got) != 3*n {
					t.Errorf("%d deliveries, want %d", total(w.got), 3*n)
				}
				for _, key := range env.Client.Keys(t.Context(), "medis:{0}:ch:*").Val() {
					for _, c := range env.Client.XInfoConsumers(t.Context(), key, "push").Val() {
						t.Errorf("%s: consumer %s is left behind", key, c.Name)
					}
				}
			})
		})
	}
}

// TestDaemonFates: what becomes of messages that are not simply delivered.
func TestDaemonFates(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_MAX_BODY=1KiB"}, "serve")
		w := newWorker(t)
		r.put("a", fmt.Sprintf(`{"topic":"a.*","urls":[%q],"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}`, w.URL))

		xadd(t, env, "topic", "a.b", "body", "first", "id", "p-1", "sender", "shop", "type", "text/plain", "headers", `{"traceparent":"00-1","medis-topic":"no"}`)
		xadd(t, env, "topic", "a.b", "body", "again", "id", "p-1")
		xadd(t, env, "topic", "nobody.wants", "body", "x")
		xadd(t, env, "topic", "a..b", "body", "x\xff")
		xadd(t, env, "body", "no topic")
		xadd(t, env, "topic", "a.b", "body", strings.Repeat("x", 1025))
		late := time.Now()
		xadd(t, env, "topic", "a.late", "body", "late", "delay", "1s")
		w.await(t, "two deliveries", func(got map[string][]string) bool { return len(got["a"]) == 2 })
		if d := time.Since(late); d < time.Second {
			t.Errorf("the delayed message came after %s", d)
		}
		w.mu.Lock()
		if fmt.Sprint(w.got["a"]) != "[first late]" {
			t.Errorf("got %q", w.got["a"])
		}
		h := w.header["a"]
		w.mu.Unlock()
		if h.Get("webhook-signature") == "" || h.Get("medis-topic") != "a.late" {
			t.Errorf("headers %v", h)
		}
		counts := map[string]string{}
		eventually(t, "counts", func() bool {
			counts = env.Client.HGetAll(t.Context(), "medis:stats:{0}:total").Val()
			// Sums, and bytes of names.
			maps.DeleteFunc(counts, func(what, _ string) bool { return strings.HasSuffix(what, ":") || strings.HasPrefix(what, "~") })
			return counts["sent:a"] == "2"
		})
		want := map[string]string{"sent:a": "2", "duplicate": "1", "quarantined": "3", "unroutable:nobody.wants": "1", "received:nobody.wants": "1", "received:a.b": "1", "received:a.late": "1"}
		if fmt.Sprint(counts) != fmt.Sprint(want) {
			t.Errorf("counts\n got  %v\n want %v", counts, want)
		}
		if n := env.Client.XLen(t.Context(), "medis:{0}:quarantine").Val(); n != 3 {
			t.Errorf("%d in the quarantine, want 3", n)
		}
		if code := r.stop(); code != cli.ExitOK {
			t.Errorf("exit %d", code)
		}
		if got := strings.Count(r.out.String(), `"code":"DECODERR"`); got != 3 {
			t.Errorf("%d DECODERR lines, want 3:\n%s", got, r.out.String())
		}
	})
}

// TestDaemonWrongType: a channel whose key was replaced does not stop the others.
func TestDaemonWrongType(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
		w := newWorker(t)
		r.put("bad", fmt.Sprintf(`{"topic":"t","urls":[%q]}`, w.URL))
		r.put("good", fmt.Sprintf(`{"topic":"t","urls":[%q]}`, w.URL))
		if err := env.Client.Set(t.Context(), "medis:{0}:ch:bad", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			xadd(t, env, "topic", "t", "body", "x")
		}
		w.await(t, "the good one's", func(got map[string][]string) bool { return len(got["good"]) == 10 })
		eventually(t, "DATA log", func() bool { return strings.Count(r.out.String(), `"code":"REDISTFAIL"`) == 10 })
		if n := env.Client.XLen(t.Context(), "medis:{0}:quarantine").Val(); n != 10 {
			t.Errorf("%d in the quarantine, want 10", n)
		}
	})
}

// TestDaemonIdleSubscriptions: connections and goroutines do not grow with idle subscriptions.
func TestDaemonIdleSubscriptions(t *testing.T) {
	env := streamstest.Real(t)
	w := newWorker(t)
	r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
	r.put("busy", fmt.Sprintf(`{"topic":"busy","urls":[%q]}`, w.URL))
	measure := func(n int) (connections, goroutines int) {
		before := 0
		w.mu.Lock()
		before = len(w.got["busy"])
		w.mu.Unlock()
		for range n {
			xadd(t, env, "topic", "busy", "body", "x")
		}
		w.await(t, "busy", func(got map[string][]string) bool { return len(got["busy"]) == before+n })
		eventually(t, "empty", func() bool { return empty(t, env) })
		list := env.Client.ClientList(t.Context()).Val()
		return strings.Count(list, "\n"), runtime.NumGoroutine()
	}
	measure(300) // opens what a busy dispatcher needs
	c1, g1 := measure(300)
	p := &program{t: t, env: []string{"MEDIS_REDIS_URL=" + env.URL}}
	p.ok("sub", "put", "first", "--topic", "idle.0", "--url", w.URL)
	doc := env.Client.HGet(t.Context(), "medis:subscriptions", "first").Val()
	idle := []any{}
	for i := range 999 {
		idle = append(idle, fmt.Sprintf("idle%d", i), strings.ReplaceAll(doc, `"first"`, fmt.Sprintf(`"idle%d"`, i)))
	}
	if err := env.Client.HSet(t.Context(), "medis:subscriptions", idle...).Err(); err != nil {
		t.Fatal(err)
	}
	p.ok("sub", "set", "first", "concurrency=9") // announces them all
	eventually(t, "1,001 subscriptions in force", func() bool { return strings.Contains(r.logs.String(), `"count":1001`) })
	c2, g2 := measure(300)
	t.Logf("with 1 subscription: %d connections, %d goroutines; with 1,001: %d connections, %d goroutines", c1, g1, c2, g2)
	if c2 > c1+3 || g2 > g1+20 {
		t.Error("connections or goroutines grow with idle subscriptions")
	}
}

// TestDaemonFollowsChanges: put, patch, pause, resume and delete reach every dispatcher within a second, whoever
// makes the change.
func TestDaemonFollowsChanges(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		redis := []string{"MEDIS_REDIS_URL=" + env.URL}
		all := []*running{startServe(t, redis, "serve"), startServe(t, redis, "serve")}
		p := &program{t: t, env: redis}
		w, w2 := newWorker(t), newWorker(t)
		reaches := func(what string, change func()) {
			t.Helper()
			var before []int
			for _, r := range all {
				before = append(before, r.changes())
			}
			change()
			changed := time.Now()
			for i, r := range all {
				for r.changes() == before[i] {
					if time.Since(changed) > time.Second {
						t.Fatalf("dispatcher %d does not know within a second: %s", i, what)
					}
					time.Sleep(time.Millisecond)
				}
			}
		}
		publish := func() {
			for range 20 { // enough for both dispatchers
				xadd(t, env, "topic", "t", "body", "x")
			}
		}
		got := func(n int) func(map[string][]string) bool {
			return func(got map[string][]string) bool { return len(got["s"]) == n }
		}
		reaches("put", func() { p.ok("sub", "put", "s", "--topic", "t", "--url", w.URL) })
		publish()
		w.await(t, "put", got(20))
		reaches("a new URL", func() { p.ok("sub", "set", "s", "urls="+w2.URL) })
		publish()
		w2.await(t, "a new URL", got(20))
		reaches("pause", func() { p.ok("sub", "pause", "s") })
		publish()
		eventually(t, "copies", func() bool { return env.Client.XLen(t.Context(), "medis:{0}:ch:s").Val() == 20 })
		if _, status := all[0].call(http.MethodGet, "/api/v1/status", ""); !strings.Contains(status, `"state":"paused"`) {
			t.Error(status)
		}
		reaches("resume", func() {
			if code, answer := all[0].call(http.MethodPost, "/api/v1/subscriptions/s/resume", ""); code != http.StatusOK {
				t.Errorf("resume: %d %s", code, answer)
			}
		})
		w2.await(t, "resume", got(40))
		reaches("delete", func() {
			if code, answer := all[0].call(http.MethodDelete, "/api/v1/subscriptions/s?purge=true", ""); code != http.StatusNoContent {
				t.Errorf("delete: %d %s", code, answer)
			}
		})
		w.await(t, "nothing more at the former URL", got(20))
	})
}

// changes is how many sets of subscriptions were put in force so far.
func (r *running) changes() int { return strings.Count(r.logs.String(), `"subscriptions in force"`) }

// TestDaemonReadiness: a dispatcher reports that Redis is away, does not end, and is ready when Redis is back.
func TestDaemonReadiness(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t, "--appendonly", "yes", "--appendfsync", "always")
	r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
	w := newWorker(t)
	r.put("s", fmt.Sprintf(`{"topic":"t","urls":[%q]}`, w.URL))
	ready := func() int { code, _ := r.call(http.MethodGet, "/readyz", ""); return code }
	eventually(t, "ready", func() bool { return ready() == 200 })
	env.Server.Kill()
	eventually(t, "not ready", func() bool { return ready() == 503 })
	if code, _ := r.call(http.MethodGet, "/healthz", ""); code != 200 {
		t.Errorf("healthz %d while Redis is away", code)
	}
	asked := &program{t: t, env: []string{"MEDIS_LISTEN=" + strings.TrimPrefix(r.base, "http://")}}
	asked.fails(cli.ExitFailed, "", []string{"health"}, "is not ready: Redis at "+strings.TrimPrefix(env.URL, "redis://")+" takes no writes")
	if code, answer := r.call(http.MethodPost, "/api/v1/topics/t/messages", "x"); code != 503 {
		t.Errorf("publishing while Redis is away: %d %s", code, answer)
	}
	env.Server.Start(t)
	eventually(t, "ready again", func() bool { return ready() == 200 })
	eventually(t, "published", func() bool { code, _ := r.call(http.MethodPost, "/api/v1/topics/t/messages", "x"); return code == 202 })
	w.await(t, "delivered", func(got map[string][]string) bool { return len(got["s"]) >= 1 })
	if code := r.stop(); code != cli.ExitOK {
		t.Errorf("exit %d:\n%s", code, r.logs.String())
	}
}

// TestDaemonLacksARight: a dispatcher whose fan-out stands still until its user gets a right is not ready, and says why.
func TestDaemonLacksARight(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	user := func(rules ...any) {
		t.Helper()
		streamstest.Check(t, env.Client.Do(t.Context(), append([]any{"ACL", "SETUSER", "few", "on", ">pw", "~medis:*", "&medis:control*", "+@all"}, rules...)...).Err())
	}
	user("-xadd")
	r := startServe(t, []string{"MEDIS_REDIS_URL=" + strings.Replace(env.URL, "://", "://few:pw@", 1)}, "serve")
	w := newWorker(t)
	r.put("s", fmt.Sprintf(`{"topic":"t","urls":[%q]}`, w.URL))
	ready := func(want int) func() bool {
		return func() bool { code, _ := r.call(http.MethodGet, "/readyz", ""); return code == want }
	}
	eventually(t, "ready", ready(200))
	streamstest.Check(t, env.Client.Do(t.Context(), "XADD", "medis:{0}:incoming", "*", "topic", "t", "body", "x").Err())
	eventually(t, "not ready", ready(503))
	if _, answer := r.call(http.MethodGet, "/readyz", ""); !strings.Contains(answer, "the Redis user lacks a right, which medispatcher doctor names: ") {
		t.Error(answer)
	}
	user()
	w.await(t, "delivered", func(got map[string][]string) bool { return len(got["s"]) == 1 })
	eventually(t, "ready again", ready(200))
	if code := r.stop(); code != cli.ExitOK {
		t.Errorf("exit %d:\n%s", code, r.logs.String())
	}
}

// TestDev is the first command of the README.
func TestDev(t *testing.T) {
	t.Parallel()
	r := startServe(t, []string{"MEDIS_DEV_REDIS_LISTEN=127.0.0.1:0"}, "dev", "--demo")
	eventually(t, "a message arrives", func() bool { return strings.Contains(r.out.String(), "  demo.tick → 204  attempt 1, ") })
	if !bytes.Contains([]byte(r.out.String()), []byte("NOTHING SURVIVES A RESTART")) {
		t.Error("dev does not say loudly that nothing survives a restart")
	}
	eventually(t, "the ticks end", func() bool { return strings.Contains(r.out.String(), "demo.tick goes on, and is not printed any more") })
	if n := strings.Count(r.out.String(), "  demo.tick → 204"); n != demoTicksShown {
		t.Errorf("%d ticks are printed, want %d", n, demoTicksShown)
	}
	if logs := r.logs.String(); strings.Contains(logs, `"WARN"`) || strings.Contains(logs, `"ERROR"`) {
		t.Errorf("the demonstration warns:\n%s", logs)
	}
	if code := r.stop(); code != cli.ExitOK {
		t.Errorf("exit %d:\n%s", code, r.logs.String())
	}
}
