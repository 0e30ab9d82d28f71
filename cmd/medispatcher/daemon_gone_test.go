package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestDaemonGoneInABurst: many requests to one subscription's worker are in flight when it answers all of them with 410.
// The subscription is paused once: one change, one log line, one alert.
func TestDaemonGoneInABurst(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		const n = 64
		w := newWorker(t)
		var inFlight sync.WaitGroup
		inFlight.Add(n)
		w.answer = func(rw http.ResponseWriter, _ *http.Request) {
			inFlight.Done()
			inFlight.Wait()
			rw.WriteHeader(http.StatusGone)
		}
		r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
		r.put("a", fmt.Sprintf(`{"topic":"t","urls":[%q],"concurrency":%d,"retry_coefficient":"1h"}`, w.URL, n))
		control := env.Client.Subscribe(t.Context(), "medis:control")
		defer func() { _ = control.Close() }()
		if _, err := control.Receive(t.Context()); err != nil { // the answer to SUBSCRIBE
			t.Fatal(err)
		}
		for range n {
			xadd(t, env, "topic", "t", "body", "x")
		}
		eventually(t, "every message failed", func() bool { return env.Client.ZCard(t.Context(), "medis:{0}:retry:a").Val() == n })
		eventually(t, "paused", func() bool { return strings.Contains(r.logs.String(), "subscription paused") })
		var history struct{ Changes []medispatcher.Change }
		if _, answer := r.call(http.MethodGet, "/api/v1/subscriptions/a/history", ""); json.Unmarshal([]byte(answer), &history) != nil {
			t.Fatal(answer)
		}
		if c := history.Changes; len(c) != 2 || !strings.Contains(c[0].By, "410 Gone") {
			t.Errorf("changes %+v, want one that made the subscription and one that paused it", c)
		}
		if code := r.stop(); code != cli.ExitOK { // a second pause would have happened by now
			t.Errorf("exit %d", code)
		}
		env.Client.Publish(t.Context(), "medis:control", "end")
		revisions := 0
		for m := range control.Channel() {
			if m.Payload == "end" {
				break
			}
			if m.Payload == "subscriptions" {
				revisions++
			}
		}
		if revisions != 1 {
			t.Errorf("%d revisions, want 1", revisions)
		}
		for _, line := range []string{"subscription paused: its worker answered 410 Gone", "[ALERT] gone a: "} {
			if lines := strings.Count(r.logs.String(), line); lines != 1 {
				t.Errorf("%d lines %q, want 1", lines, line)
			}
		}
	})
}

// TestDaemonGoneAtTheEnd: the 410 arrives while the dispatcher stops. The subscription is paused all the same.
func TestDaemonGoneAtTheEnd(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		w, arrived, release := heldWorker(t, http.StatusGone)
		r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
		r.put("a", fmt.Sprintf(`{"topic":"t","urls":[%q]}`, w.URL))
		xadd(t, env, "topic", "t", "body", "x")
		awaitSignal(t, "the push", arrived)
		code := make(chan int)
		go func() { code <- r.stop() }()
		eventually(t, "stopping", func() bool { return strings.Contains(r.logs.String(), `"stopping"`) })
		release()
		if c := awaitSignal(t, "the exit code", code); c != cli.ExitOK {
			t.Errorf("exit %d", c)
		}
		if doc := env.Client.HGet(t.Context(), "medis:subscriptions", "a").Val(); !strings.Contains(doc, `"paused":true`) {
			t.Error(doc)
		}
	})
}
