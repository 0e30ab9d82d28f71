package chaos_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestIsolation: some subscriptions hang, and the others deliver as many messages as if those were not there. It
// compares throughput, so it runs in a full run only.
func TestIsolation(t *testing.T) {
	if !full() {
		t.Skip("a measurement: set MEDIS_CHAOS=full to run it")
	}
	for _, c := range []struct {
		all, hanging int
		least        float64 // percent of the throughput without them
	}{{20, 1, 97}, {400, 200, 90}} {
		t.Run(fmt.Sprintf("%d of %d hang", c.hanging, c.all), func(t *testing.T) {
			var ratios []float64
			for range 3 {
				alone := throughput(t, c.all-c.hanging, 0)
				beside := throughput(t, c.all-c.hanging, c.hanging)
				t.Logf("%.0f deliveries/s alone, %.0f/s beside %d that hang", alone, beside, c.hanging)
				ratios = append(ratios, 100*beside/alone)
			}
			slices.Sort(ratios)
			text := fmt.Sprintf("%d of %d subscriptions hang: the others deliver %.1f %% of what they do alone (%.1f to %.1f)",
				c.hanging, c.all, ratios[1], ratios[0], ratios[2])
			t.Log(text)
			figures.add("%s", text)
			if ratios[1] < c.least {
				t.Errorf("the others deliver %.1f %%, want %.0f %% at least", ratios[1], c.least)
			}
		})
	}
}

// throughput is how many messages a second healthy subscriptions of one topic deliver, beside some that hang. Each answer
// takes so long that slots and not the machine are what bounds it.
func throughput(t *testing.T, healthy, hanging int) (perSecond float64) {
	t.Helper()
	const concurrency, total = 8, 1500 // a second
	delay := time.Second * time.Duration(healthy*concurrency) / total
	w := newWorld(t, options{})
	worker := newTally(t)
	worker.wait = func(sub string, left <-chan struct{}) {
		if strings.HasPrefix(sub, "h") {
			<-left
			return
		}
		time.Sleep(delay)
	}
	worker.Start()
	w.many(healthy+hanging, func(i int) (id, doc string) {
		id = fmt.Sprintf("n%d", i)
		if i >= healthy {
			id = fmt.Sprintf("h%d", i)
		}
		return id, fmt.Sprintf(`{"topic":"t","urls":["%s/1"],"concurrency":%d,"timeout":"30s"}`, worker.URL, concurrency)
	})
	w.subs = w.subs[:healthy]
	stop := worker.backlog(w, 2*concurrency*int(time.Second/delay+1)+100)
	d := worker.start(w)
	defer d.kill()
	defer stop()
	worker.delivered(t, total) // a second to get going
	count := func() int {
		worker.mu.Lock()
		defer worker.mu.Unlock()
		return worker.accepted
	}
	before, began := count(), time.Now()
	pause(5 * time.Second)
	return float64(count()-before) / time.Since(began).Seconds()
}
