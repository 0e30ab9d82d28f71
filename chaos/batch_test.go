package chaos_test

import (
	"testing"
	"time"
)

// TestDispatcherKilledWithBatches: one of two dispatchers gets SIGKILL three times, while their worker fails single messages of
// batches. Nothing is lost, and no kill repeats more than the requests in flight held.
func TestDispatcherKilledWithBatches(t *testing.T) {
	const size = 50
	w := newWorld(t, options{delay: 20 * time.Millisecond, concurrency: 4, batch: size, plan: third})
	d, other := w.start(), w.start()
	const kills = 3
	stop := w.publishing(0, either(20_000, 5000), either(8*time.Second, 3*time.Second))
	for range kills {
		pause(either(1500*time.Millisecond, 500*time.Millisecond))
		w.kill(&d)
	}
	stop()
	w.await(90 * time.Second)
	w.healed(2)
	v := w.judge()
	t.Log(v)
	if most := kills * len(w.subs) * (w.o.concurrency + w.o.retries) * size; v.duplicates > most {
		t.Errorf("%d duplicates, want at most the %d that were in flight", v.duplicates, most)
	}
	d.stop()
	other.stop()
	w.rest()
}
