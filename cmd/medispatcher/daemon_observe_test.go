package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams/streamstest"
)

// collector takes spans.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.spans += r.URL.Path + " " + string(body)
	}))
	t.Cleanup(c.Close)
	return c
}

// TestDaemonIsObserved: a message that is delivered at its second attempt shows in the
// metrics, in its own story, and in a trace that its producer began.
func TestDaemonIsObserved(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		spans := newCollector(t)
		w := newWorker(t)
		fails := true
		w.answer = func(rw http.ResponseWriter, _ *http.Request) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if fails {
				rw.WriteHeader(500)
			}
			fails = false
		}
		r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_HISTORY=10", "OTEL_EXPORTER_OTLP_ENDPOINT=" + spans.URL}, "serve")
		r.put("a", fmt.Sprintf(`{"topic":"t.*","urls":[%q],"retry_coefficient":"10ms"}`, w.URL))
		const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		id := "0-" + xadd(t, env, "topic", "t.x", "body", "x", "headers", `{"traceparent":"`+parent+`"}`)
		xadd(t, env, "topic", "nobody", "body", "x")
		w.await(t, "two attempts", func(got map[string][]string) bool { return len(got["a"]) == 2 })
		w.mu.Lock()
		onward := w.header["a"].Get("traceparent")
		w.mu.Unlock()
		if !strings.HasPrefix(onward, parent[:35]) || onward == parent {
			t.Errorf("traceparent %s, want the trace of %s and a span of its own", onward, parent)
		}
		eventually(t, "metrics", func() bool {
			_, text := r.call(http.MethodGet, "/metrics", "")
			for _, line := range []string{
				`medispatcher_messages_received_total{result="copied",topic="t.x"} 1`,
				`medispatcher_messages_received_total{result="unroutable",topic="nobody"} 1`,
				`medispatcher_attempts_total{outcome="sent",subscription="a"} 1`,
				`medispatcher_attempts_total{outcome="failed",subscription="a"} 1`,
				`medispatcher_attempt_duration_seconds_count{subscription="a"} 2`,
				`medispatcher_channel_messages{state="ready",subscription="a"} 0`,
				`medispatcher_alert_notices_sent_total 0`, `medispatcher_redis_up 1`, `medispatcher_dispatchers 1`, `medispatcher_ready 1`,
			} {
				if !strings.Contains(text, line) {
					return false
				}
			}
			return true
		})
		var story medispatcher.Story
		eventually(t, "its story", func() bool {
			_, text := r.call(http.MethodGet, "/api/v1/messages/"+id, "")
			return json.Unmarshal([]byte(text), &story) == nil && len(story.Events) == 3
		})
		var told []string
		for _, e := range story.Events {
			told = append(told, strings.TrimSpace(fmt.Sprint(e.What, " ", e.Subscription, e.Subscriptions, " ", e.Attempt, " ", e.Error)))
		}
		if got := strings.Join(told, ", "); got != "copied [a] 0, failed a[] 1 status 500, sent a[] 2" {
			t.Errorf("its story: %s", got)
		}
		if code := r.stop(); code != cli.ExitOK {
			t.Errorf("exit %d:\n%s", code, r.logs.String())
		}
		spans.mu.Lock()
		defer spans.mu.Unlock()
		for _, want := range []string{"/v1/traces", "push t.x", "fan-out t.x", "medispatcher.subscription", "status 500"} {
			if !strings.Contains(spans.spans, want) {
				t.Errorf("no %q among the spans", want)
			}
		}
	})
}

// TestDaemonKeepsWhatHasNoChannel: a delivery that fails after its channel was replaced by
// hand is in the DATA log whole, and so is one that succeeds.
func TestDaemonKeepsWhatHasNoChannel(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]string{500: "KICKFAIL", 200: "DELFAIL"} {
		t.Run(code, func(t *testing.T) {
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				w := newWorker(t)
				arrived, replaced := make(chan struct{}, 100), make(chan struct{})
				release := sync.OnceFunc(func() { close(replaced) })
				t.Cleanup(release) // before the worker closes, which waits for its requests
				w.answer = func(rw http.ResponseWriter, _ *http.Request) {
					arrived <- struct{}{}
					<-replaced
					rw.WriteHeader(status)
				}
				r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
				r.put("a", fmt.Sprintf(`{"topic":"t","urls":[%q]}`, w.URL))
				xadd(t, env, "topic", "t", "body", "whole")
				awaitSignal(t, "the push", arrived)
				env.Client.Del(t.Context(), "medis:{0}:ch:a")
				env.Client.Set(t.Context(), "medis:{0}:ch:a", "x", 0)
				release()
				eventually(t, code, func() bool {
					out := r.out.String()
					return strings.Contains(out, `"code":"`+code+`"`) && strings.Contains(out, `"body":"whole"`)
				})
			})
		})
	}
}

// TestDaemonTellsOfItsLastAttempts: an attempt that ends after the signal to stop is in the story of its message.
func TestDaemonTellsOfItsLastAttempts(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		w, arrived, release := heldWorker(t, 200)
		r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL, "MEDIS_HISTORY=10"}, "serve")
		r.put("a", fmt.Sprintf(`{"topic":"t","urls":[%q]}`, w.URL))
		id := "0-" + xadd(t, env, "topic", "t", "body", "x")
		awaitSignal(t, "the push", arrived)
		ended := make(chan int, 1)
		go func() { ended <- r.stop() }()
		eventually(t, "stopping", func() bool { return strings.Contains(r.logs.String(), `"stopping"`) })
		release()
		if code := <-ended; code != cli.ExitOK {
			t.Errorf("exit %d:\n%s", code, r.logs.String())
		}
		if story := env.Client.HGet(t.Context(), "medis:{0}:journal", id).Val(); !strings.Contains(story, `"copied"`) || !strings.Contains(story, `"sent"`) {
			t.Errorf("its story: %s", story)
		}
	})
}

// TestDaemonAlertsOfItsLastAttempts: a message that dies after the signal to stop raises its alert, and one that is found gone
// by then has its line in the log.
func TestDaemonAlertsOfItsLastAttempts(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		w, arrived, release := heldWorker(t, 500)
		vars := []string{"MEDIS_REDIS_URL=" + env.URL}
		r := startServe(t, vars, "serve")
		const doc = `{"topic":%q,"urls":[%q],"max_retries":0,"alert":{"message_failures":1}}`
		r.put("a", fmt.Sprintf(doc, "t", w.URL))
		r.put("b", fmt.Sprintf(doc, "u", w.URL))
		for _, topic := range []string{"t", "u"} {
			xadd(t, env, "topic", topic, "body", "x")
			awaitSignal(t, "the push", arrived)
		}
		ended := make(chan int, 1)
		go func() { ended <- r.stop() }()
		eventually(t, "stopping", func() bool { return strings.Contains(r.logs.String(), `"stopping"`) })
		if err := env.Client.Do(t.Context(), "XTRIM", "medis:{0}:ch:b", "MAXLEN", "0").Err(); err != nil {
			t.Fatal(err)
		}
		release()
		if code := <-ended; code != cli.ExitOK {
			t.Errorf("exit %d:\n%s", code, r.logs.String())
		}
		if logs := r.logs.String(); !strings.Contains(logs, "taken out of Redis by hand") {
			t.Errorf("no word of what is gone:\n%s", logs)
		}
		raised := startServe(t, vars, "serve").alerts().Firing
		if !slices.ContainsFunc(raised, func(a medispatcher.Firing) bool {
			return a.Rule == medispatcher.RuleMessageFailures && a.Subscription == "a"
		}) {
			t.Errorf("alerts: %+v", raised)
		}
	})
}
