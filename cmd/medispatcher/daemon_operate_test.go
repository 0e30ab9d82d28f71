package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams/streamstest"
)

// answering makes a worker fail until well is true.
func (w *worker) answering(t *testing.T) (well *atomic.Bool) {
	t.Helper()
	well = &atomic.Bool{}
	w.answer = func(rw http.ResponseWriter, _ *http.Request) {
		if !well.Load() {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}
	return well
}

// TestDaemonKick: a message failed at one dispatcher and waits an hour for its next attempt. A kick at another
// dispatcher makes it due now.
func TestDaemonKick(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		redis := "MEDIS_REDIS_URL=" + env.URL
		w := newWorker(t)
		well := w.answering(t)
		one := startServe(t, []string{redis}, "serve")
		one.put("s", fmt.Sprintf(`{"topic":"t","urls":[%q],"retry_coefficient":"1h"}`, w.URL))
		xadd(t, env, "topic", "t", "body", "x")
		w.await(t, "the first attempt", func(got map[string][]string) bool { return len(got["s"]) == 1 })
		eventually(t, "it waits", func() bool { return env.Client.ZCard(t.Context(), "medis:{0}:retry:s").Val() == 1 })

		two := startServe(t, []string{redis}, "serve")
		well.Store(true)
		eventually(t, "kicked", func() bool { // before its first heartbeat a dispatcher refuses to kick
			code, answer := two.call(http.MethodPost, "/api/v1/subscriptions/s/kick", "")
			if code == http.StatusOK && answer != `{"kicked":1}`+"\n" {
				t.Errorf("answer %s", answer)
			}
			return code == http.StatusOK
		})
		w.await(t, "the second attempt", func(got map[string][]string) bool { return len(got["s"]) == 2 })
		w.mu.Lock()
		if got := w.header["s"].Get("medis-attempt"); got != "2" {
			t.Errorf("attempt %s", got)
		}
		w.mu.Unlock()
		eventually(t, "nothing left", func() bool { return empty(t, env) })
		if code, answer := two.call(http.MethodPost, "/api/v1/subscriptions/none/kick", ""); code != http.StatusNotFound {
			t.Errorf("%d %s", code, answer)
		}
	})
}

// TestDaemonPurge: a purge while requests are under way leaves nothing behind and disturbs
// nobody; what comes after it is delivered.
func TestDaemonPurge(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		redis := "MEDIS_REDIS_URL=" + env.URL
		w := newWorker(t)
		release := make(chan struct{})
		let := sync.OnceFunc(func() { close(release) })
		t.Cleanup(let) // a test that fails must not hang
		var asked atomic.Int64
		w.answer = func(rw http.ResponseWriter, _ *http.Request) {
			n := asked.Add(1)
			if n <= 4 {
				<-release
			}
			if n <= 2 {
				rw.WriteHeader(http.StatusInternalServerError) // a failed message leaves nothing either
			}
		}
		r := startServe(t, []string{redis, "MEDIS_ALERT_MEMORY=0"}, "serve") // miniredis does not know its memory, which is a warning
		r.put("s", fmt.Sprintf(`{"topic":"t","urls":[%q],"concurrency":4,"timeout":"30s"}`, w.URL))
		r.put("other", fmt.Sprintf(`{"topic":"other","urls":[%q]}`, w.URL))
		for range 9 {
			xadd(t, env, "topic", "t", "body", "purged")
		}
		eventually(t, "four in flight", func() bool { return asked.Load() == 4 })
		eventually(t, "nine copies", func() bool { return env.Client.XLen(t.Context(), "medis:{0}:ch:s").Val() == 9 })
		p := &program{t: t, env: []string{redis}}
		if out := p.ok("purge", "s", "--yes"); out != "s: 5 READY and 4 BURIED messages purged\n" {
			t.Error(out)
		}
		let()
		for range 3 {
			xadd(t, env, "topic", "t", "body", "later")
			xadd(t, env, "topic", "other", "body", "later")
		}
		later := func(bodies []string) (n int) {
			for _, b := range bodies {
				n += strings.Count(b, "later")
			}
			return n
		}
		w.await(t, "what came later", func(got map[string][]string) bool { return later(got["s"]) == 3 && later(got["other"]) == 3 })
		eventually(t, "nothing left", func() bool { return empty(t, env) })
		counts := env.Client.HGetAll(t.Context(), "medis:stats:{0}:total").Val()
		if counts["purged:s"] != "9" || counts["sent:s"] != "3" || counts["dead:s"] != "" {
			t.Errorf("counts %v", counts)
		}
		if code := r.stop(); code != cli.ExitOK {
			t.Errorf("exit %d", code)
		}
		for _, level := range []string{`"WARN"`, `"ERROR"`} {
			if strings.Contains(r.logs.String(), level) {
				t.Errorf("noise in the log:\n%s", r.logs.String())
			}
		}
	})
}

// TestDaemonBreakerIsSeen: while the worker fails, the command line and the API show the open breaker and the
// dispatcher that holds it.
func TestDaemonBreakerIsSeen(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		t.Parallel()
		redis := "MEDIS_REDIS_URL=" + env.URL
		w := newWorker(t)
		well := w.answering(t)
		r := startServe(t, []string{redis, "MEDIS_HEARTBEAT=10m", "MEDIS_DEAD_AFTER=1h"}, "serve") // the breaker shows at once, not at the next heartbeat
		r.put("s", fmt.Sprintf(`{"topic":"t","urls":[%q],"retry_coefficient":"1ms"}`, w.URL))
		for range 20 {
			xadd(t, env, "topic", "t", "body", "x")
		}
		p := &program{t: t, env: []string{redis}}
		status := func() (st medispatcher.Status) {
			t.Helper()
			if err := json.Unmarshal([]byte(p.ok("status", "--json")), &st); err != nil || len(st.Subscriptions) != 1 || len(st.Dispatchers) != 1 {
				t.Fatalf("%+v, %v", st, err)
			}
			return st
		}
		eventually(t, "breaker_open", func() bool { return status().Subscriptions[0].State == medispatcher.BreakerOpen })
		st := status()
		if by := st.Subscriptions[0].HeldBy; len(by) != 1 || by[0].Dispatcher != st.Dispatchers[0].ID || by[0].Since.IsZero() || st.Dispatchers[0].HeldTotal != 1 {
			t.Errorf("status %+v", st)
		}
		contains(t, p.ok("status"), "OPEN BREAKER", "breaker_open")
		if _, answer := r.call(http.MethodGet, "/api/v1/status", ""); !strings.Contains(answer, `"state":"breaker_open"`) {
			t.Error(answer)
		}
		well.Store(true)
		eventually(t, "active again", func() bool { return status().Subscriptions[0].State == medispatcher.Active })
		eventually(t, "nothing left", func() bool { return empty(t, env) })
	})
}

// TestDaemonTellsOfALateDispatcher: a dispatcher that cannot read the copies that this one writes is named in its log.
func TestDaemonTellsOfALateDispatcher(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_HEARTBEAT=50ms"}, "serve")
		r.put("a", `{"topic":"t","urls":["http://127.0.0.1:1/"],"paused":true}`)
		eventually(t, "copies in the newest layout", func() bool {
			xadd(t, env, "topic", "t", "body", "x")
			last := env.Client.XRevRangeN(t.Context(), "medis:{0}:ch:a", "+", "-", 1).Val()
			return len(last) == 1 && last[0].Values["m"] != nil
		})
		if strings.Contains(r.logs.String(), "earlier version") {
			t.Error(r.logs.String())
		}
		pipe := env.Client.Pipeline()
		pipe.Set(t.Context(), "medis:dispatcher:old", `{"version":"1","dead_after_ns":3600000000000}`, 0)
		pipe.Do(t.Context(), "ZADD", "medis:dispatchers", time.Now().UnixMilli(), "old")
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "warning", func() bool {
			logs := r.logs.String()
			return strings.Contains(logs, "a dispatcher of an earlier version joined") && strings.Contains(logs, `"dispatcher":"old"`)
		})
	})
}
