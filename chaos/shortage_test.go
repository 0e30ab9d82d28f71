package chaos_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestFewDescriptors: a dispatcher may have 64 open files, and its subscriptions permit 300 requests in flight. The
// worker is healthy. Every first attempt succeeds, there are no dead letters, and the log names the shortage.
func TestFewDescriptors(t *testing.T) {
	for name, closes := range map[string]bool{"kept open": false, "closed after each answer": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{delay: 20 * time.Millisecond, concurrency: 100, files: 64})
			w.Config.SetKeepAlivesEnabled(!closes)
			n := either(3000, 500)
			began := time.Now()
			sent := w.publishing(0, n, 0)
			d := w.start()
			sent()
			w.await(60 * time.Second)
			took := time.Since(began)
			d.awaitReady(http.StatusOK, "/readyz is 200")
			v := w.judge()
			if v.dead > 0 || v.duplicates > 0 {
				t.Errorf("%s; want no duplicates and no dead letters, for the worker was healthy", v)
			}
			w.receiver.mu.Lock()
			for what, numbers := range w.receiver.attempts {
				if len(numbers) > 1 {
					t.Errorf("%v was tried %d times, want once", what, len(numbers))
				}
			}
			w.receiver.mu.Unlock()
			for _, text := range []string{"the limit of open files is low", "short of file descriptors"} {
				if !strings.Contains(d.log(), text) {
					t.Errorf("the log does not contain %q", text)
				}
			}
			d.alive()
			d.stop()
			w.rest()
			if t.Failed() {
				w.logs("short of", "open files", "waits", "wait\"", "goes on", "breaker", "cannot be read", "ready")
			}
			t.Logf("%s, in %s", v, took.Round(100*time.Millisecond))
			figures.add("64 open files, %s: %s", name, v)
		})
	}
}
