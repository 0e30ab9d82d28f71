package chaos_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// TestKilledAtFullRate: a dispatcher that delivers as fast as it can gets SIGKILL again and again, and another goes on.
// Nothing is lost. No kill repeats more messages than the subscriptions have slots: what has no slot was not sent, and
// an outcome holds its slot until Redis has it. No dispatcher ever has more requests in flight than slots.
func TestKilledAtFullRate(t *testing.T) {
	r := moments(t)
	w := newWorld(t, options{concurrency: 32, retries: 2, deadAfter: 300 * time.Millisecond})
	worker := newTally(t)
	worker.wait = func(sub string, _ <-chan struct{}) {
		if sub == w.subs[2] {
			time.Sleep(5 * time.Millisecond) // so its slots are always taken
		}
	}
	worker.Start()
	w.urls = worker.urls()
	w.subscribe()
	slots := w.o.concurrency + w.o.retries
	kills := either(200, 5)

	stop := worker.backlog(w, 5000)
	d := worker.start(w)
	for range kills {
		worker.delivered(t, 200+r.IntN(3000))
		d.kill()
		d = worker.start(w)
	}
	published := stop()
	worker.until(t, "everything arrives", func() bool { return worker.arrived(w.subs) >= published })
	w.healed(1)
	w.settled(30 * time.Second)
	d.stop()
	w.rest()

	worker.mu.Lock()
	defer worker.mu.Unlock()
	again := make([]int, worker.lives+1)
	for name, sub := range worker.subs {
		if sub.arrived != published || len(sub.last) != published {
			t.Errorf("%s accepted %d messages, want the %d that were published", name, sub.arrived, published)
		}
		if sub.most > slots {
			t.Errorf("%s had %d requests in flight, want at most %d", name, sub.most, slots)
		}
		for by, n := range sub.again {
			again[by] += n
			if n > slots {
				t.Errorf("kill %d repeated %d messages of %s, want at most its %d slots", by, n, name, slots)
			}
		}
	}
	if n := again[worker.lives]; n > 0 {
		t.Errorf("%d messages came again from the dispatcher that was not killed, want none", n)
	}
	sorted := slices.Sorted(slices.Values(again[1:worker.lives]))
	total := 0
	for _, n := range sorted {
		total += n
	}
	most := map[string]int{}
	for name, sub := range worker.subs {
		most[name] = sub.most
	}
	text := fmt.Sprintf("%d kills at full rate, %d messages × %d: %d came again, for a kill %d in the middle and %d at most of %d slots; in flight at most %v",
		kills, published, len(w.subs), total, sorted[len(sorted)/2], sorted[len(sorted)-1], slots*len(w.subs), slices.Sorted(maps.Values(most)))
	t.Log(text)
	figures.add("%s", text)
}
