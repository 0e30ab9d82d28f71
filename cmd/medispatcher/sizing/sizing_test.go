package sizing

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestFor: the estimates of loads that were thought through by hand.
func TestFor(t *testing.T) {
	for _, c := range []struct {
		name                             string
		load                             Load
		dispatchers, masters, partitions int
		inFlight                         int
		bodies                           bool
	}{
		{"small", Load{Rate: 100, Body: 1 << 10, FanOut: 3, Answer: 50 * time.Millisecond}, 2, 1, 1, 15, false},
		{"slow workers need slots, not cores", Load{Rate: 100, Body: 1 << 10, FanOut: 3, Answer: 10 * time.Second}, 2, 1, 1, 3000, false},
		{"the most of one master", Load{Rate: 10_000, Body: 256, FanOut: 3, Answer: time.Millisecond}, 2, 1, 1, 30, false},
		{"a cluster", Load{Rate: 30_000, Body: 256, FanOut: 3, Answer: time.Millisecond}, 3, 5, 32, 90, false},
		{"large bodies", Load{Rate: 200, Body: 256 << 10, FanOut: 3, Answer: time.Millisecond}, 2, 3, 16, 1, true},
	} {
		p := For(c.load)
		if p.Dispatchers != c.dispatchers || p.Masters != c.masters || p.Partitions != c.partitions || p.InFlight != c.inFlight || p.Body != c.bodies {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
	p := For(Load{Rate: 10, Body: 950, FanOut: 2, Away: 100 * time.Second, Keep: 1000 * time.Second})
	if p.Memory.Waiting != 2e6 || p.Memory.Archive != 11e6 || p.Memory.Total != p.Memory.Empty+13e6 {
		t.Errorf("memory %+v", p.Memory)
	}
}

// TestMoreNeedsMore: a larger load never needs less.
func TestMoreNeedsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) Load {
			return Load{
				Rate: rapid.Float64Range(0.001, 1e6).Draw(t, label+" rate"), Body: rapid.Int64Range(0, 1<<20).Draw(t, label+" body"), FanOut: 3,
				Answer: time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, label+" answer")), Away: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, label+" away")),
			}
		}
		small, more := draw("small"), draw("more")
		large := Load{Rate: small.Rate + more.Rate, Body: small.Body + more.Body, FanOut: 3, Answer: small.Answer + more.Answer, Away: small.Away + more.Away}
		a, b := For(small), For(large)
		if a.Dispatchers > b.Dispatchers || a.Masters > b.Masters || a.Partitions > b.Partitions || a.InFlight > b.InFlight ||
			a.Memory.Total > b.Memory.Total || a.Log > b.Log || a.Network > b.Network {
			t.Errorf("%+v needs %+v, %+v needs %+v", small, a, large, b)
		}
	})
}
