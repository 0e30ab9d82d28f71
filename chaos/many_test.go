package chaos_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// many gives the world n other subscriptions in place of the three.
func (w *world) many(n int, subscription func(i int) (id, doc string)) {
	w.t.Helper()
	registry := streams.NewRegistry(w.store, streamstest.Rules(), func(string, string) {})
	for _, sub := range w.subs {
		if err := registry.Remove(w.t.Context(), sub, ""); err != nil {
			w.t.Fatal(err)
		}
	}
	w.subs = nil
	for i := range n {
		id, doc := subscription(i)
		w.subs = append(w.subs, id)
		w.put(id, doc)
	}
}

// each publishes the messages with some numbers to every one of the many, at a rate in messages a second.
func (w *world) each(from, to, rate int) {
	w.t.Helper()
	const size = 100
	began, sent := time.Now(), 0
	for number := from; number < to; number++ {
		for first := 0; first < len(w.subs); first += size {
			var batch []medispatcher.Message
			for i := first; i < min(first+size, len(w.subs)); i++ {
				batch = append(batch, medispatcher.Message{Topic: fmt.Sprintf("n.%d", i), Body: numbered(number)})
			}
			if _, err := w.store.PublishAll(w.t.Context(), batch); err != nil {
				w.t.Fatal(err)
			}
			sent += len(batch)
			time.Sleep(time.Until(began.Add(time.Second * time.Duration(sent) / time.Duration(rate))))
		}
	}
}

// TestManySubscriptions: 2,000 subscriptions of one host get four messages each, and are idle then. Idle subscriptions
// hold no goroutines, and after a minute no connections either.
func TestManySubscriptions(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("descriptors can be counted only where there is /proc")
	}
	slow(t)
	w := newWorld(t, options{})
	worker := newTally(t)
	worker.Start()
	const n, rate = 2000, 2000
	w.many(n, func(i int) (id, doc string) {
		return fmt.Sprintf("n%d", i), fmt.Sprintf(`{"topic":"n.%d","urls":["%s/1"],"concurrency":4}`, i, worker.URL)
	})
	d := worker.start(w)
	base := d.goroutines(t) + 20 // for connections to Redis and to the dispatcher's own pages
	watched := d.watch(t)
	w.each(0, 4, rate)
	worker.until(t, "four messages of each", func() bool { return worker.arrived(w.subs) == 4 })
	most := watched()
	if most > n {
		t.Errorf("%d open files, want fewer than subscriptions: one that has nothing to send needs none", most)
	}
	after := 0
	eventually(t, "idle subscriptions give their goroutines up", func() bool {
		after = d.goroutines(t)
		return after <= base
	})
	text := fmt.Sprintf("%d subscriptions of one host, %d messages, %d/s: %d descriptors and %d MB at most; idle again %d descriptors, %d MB, %d goroutines",
		n, 4*n, rate, most, d.peak()>>20, d.descriptors(), d.resident()>>20, after)
	if full() {
		pause(http1.DefaultIdleTimeout + http1.DefaultIdleTimeout/10)
		eventually(t, "no connection is idle for longer than its time", func() bool {
			open, _ := worker.connections()
			return open == 0
		})
		text += fmt.Sprintf("; a minute later %d descriptors, %d MB", d.descriptors(), d.resident()>>20)
	}
	d.stop()
	w.rest()
	t.Log(text)
	figures.add("%s", text)
}

// descriptors counts the open files of the process.
func (d *dispatcher) descriptors() int {
	list, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	return len(list)
}

// watch looks at the open files of the process until most is called, which returns how many there were at most.
func (d *dispatcher) watch(t *testing.T) (most func() int) {
	t.Helper()
	end, result := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for tick := time.Tick(2 * time.Millisecond); ; {
			n = max(n, d.descriptors())
			select {
			case <-tick:
			case <-end:
				result <- n
				return
			}
		}
	}()
	return func() int { close(end); return <-result }
}

// resident is the memory of the process in bytes.
func (d *dispatcher) resident() (bytes int64) { return d.status("VmRSS") }

// goroutines asks /metrics.
func (d *dispatcher) goroutines(t *testing.T) (n int) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + d.listen + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
		if number, ok := strings.CutPrefix(scan.Text(), "go_goroutines "); ok {
			_, _ = fmt.Sscan(number, &n)
		}
	}
	return n
}
