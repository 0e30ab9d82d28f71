package chaos_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
)

// memoryLimit is the memory that a dispatcher may use in TestMemory, as in a container.
const memoryLimit = 256 << 20

// confined makes dispatchers run in a cgroup with a memory limit; the kernel kills a process that exceeds it. Where the
// test cannot make a cgroup, confined sets GOMEMLIMIT, and TestMemory relies on peak.
func (w *world) confined() (how string) {
	w.t.Helper()
	for dir, limit := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err != nil {
			continue
		}
		group, err := os.MkdirTemp(dir, "medis-chaos")
		if err != nil {
			continue
		}
		w.t.Cleanup(func() { eventually(w.t, "the cgroup is removed", func() bool { return os.Remove(group) == nil }) })
		if os.WriteFile(filepath.Join(group, limit), fmt.Append(nil, memoryLimit), 0o600) == nil {
			w.within = []string{"/bin/sh", "-c", `echo $$ >` + filepath.Join(group, "cgroup.procs") + ` && exec "$@"`, "sh"}
			return "in a cgroup"
		}
	}
	w.environ = append(w.environ, fmt.Sprintf("GOMEMLIMIT=%d", memoryLimit/5*4))
	return "by GOMEMLIMIT"
}

// peak returns the largest resident memory of the process in bytes, or 0 where it is unknown.
func (d *dispatcher) peak() (bytes int64) { return d.status("VmHWM") }

// status returns a size in bytes that the kernel tells of the process, or 0 where it is unknown.
func (d *dispatcher) status(what string) (bytes int64) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, what+": %d kB", &bytes); n == 1 {
			return bytes << 10
		}
	}
	return 0
}

// sinkhole is the worker of many subscriptions. It answers none of them until open is closed; for every second
// subscription it does not even read the request. It always serves the path /well.
type sinkhole struct {
	*httptest.Server
	open  chan struct{}
	tried sync.Map // path → true
	took  atomic.Int64
	well  atomic.Int64
}

func newSinkhole(t *testing.T) *sinkhole {
	t.Helper()
	s := &sinkhole{open: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.tried.Store(r.URL.Path, true)
		if r.URL.Path != "/well" {
			if r.URL.Path[len(r.URL.Path)-1]%2 == 0 {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			select {
			case <-s.open:
			case <-r.Context().Done(): // only if the body was read
				return
			case <-time.After(5 * time.Second): // longer than the timeout of the subscriptions
				return
			}
		}
		if n, err := io.Copy(io.Discard, r.Body); err != nil || n != 1<<20 && r.URL.Path == "/well" {
			return
		}
		if r.URL.Path == "/well" {
			s.well.Add(1)
		} else {
			s.took.Add(1)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// TestMemory: the workers of 100 subscriptions hang, and up to 1000 messages of 1 MiB wait for them. The dispatcher has
// 256 MiB. It survives and meanwhile serves other subscriptions, also with large messages. When the workers answer
// again, they get everything.
//
//nolint:funlen // one scenario
func TestMemory(t *testing.T) {
	slow(t)
	w := newWorld(t, options{})
	how := w.confined()
	s := newSinkhole(t)
	var ids []string
	put := func(id, topic, path string) {
		ids = append(ids, id)
		doc := fmt.Sprintf(`{"topic":%q,"urls":[%q],"timeout":"2s","retry_coefficient":"50ms","max_retries":1000}`, topic, s.URL+path)
		w.put(id, doc)
	}
	const hanging = 100
	for i := range hanging {
		put(fmt.Sprintf("hangs%d", i), fmt.Sprintf("hang.%d", i), fmt.Sprintf("/%d", i))
	}
	put("well", "well", "/well")
	body := make([]byte, 1<<20)
	each := either(10, 3)
	for range each {
		for i := range hanging {
			w.large(fmt.Sprintf("hang.%d", i), body)
		}
	}
	d := w.start()
	w.publish(0, 300, 0) // small messages for the three subscriptions of the world
	eventually(t, "every hanging subscription has been tried", func() bool {
		n := 0
		s.tried.Range(func(any, any) bool { n++; return true })
		return n >= hanging
	})
	began := time.Now()
	const large = 20
	for range large {
		w.large("well", body)
	}
	w.publish(300, 300, 2*time.Second)
	eventually(t, "the large messages of another subscription are delivered", func() bool { return s.well.Load() >= large })
	w.await(30 * time.Second)
	t.Logf("%d large and 900 small deliveries in %s while the others hang", large, time.Since(began).Round(time.Millisecond))
	d.alive()
	close(s.open)
	for deadline := time.Now().Add(120 * time.Second); d.running(); pause(100 * time.Millisecond) {
		left, dead := w.waiting(ids)
		if left == 0 {
			if took := s.took.Load(); dead > 0 || took < int64(each*hanging) {
				t.Errorf("got %d large messages and %d dead letters, want %d and none", took, dead, each*hanging)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages are not delivered after two minutes, want none", left)
		}
	}
	d.alive()
	peak := d.peak()
	if peak > memoryLimit {
		t.Errorf("the dispatcher used %d MiB, want at most %d", peak>>20, memoryLimit>>20)
	}
	v := w.judge()
	d.stop()
	w.rest()
	t.Logf("limited %s, it used %d MiB at most: %s", how, peak>>20, v)
	figures.add("%d MiB %s, 100 subscriptions hang with %d messages of 1 MiB: alive with %d MiB at most, others served, all delivered: %s",
		memoryLimit>>20, how, each*hanging, peak>>20, v)
}

// waiting counts the messages of some subscriptions that are not settled, and their dead letters.
func (w *world) waiting(subs []string) (left, dead int64) {
	w.t.Helper()
	channels, err := report.New(w.store).ChannelStatus(w.t.Context(), subs)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range channels {
		left, dead = left+c.Ready+c.Buried, dead+c.Dead
	}
	return left, dead
}

func (w *world) large(topic string, body []byte) {
	w.t.Helper()
	if _, err := w.store.Publish(w.t.Context(), medispatcher.Message{Topic: topic, Body: body}); err != nil {
		w.t.Fatal(err)
	}
}
