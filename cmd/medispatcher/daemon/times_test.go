package daemon

import (
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

// TestTimesAreAddedUp: each attempt has its answer time, a delivery its latency, and one that failed its status.
func TestTimesAreAddedUp(t *testing.T) {
	var w timesWriter
	note := func(status int, o medispatcher.Outcome) {
		d, s := ended("a", 1, o)
		s.Status = status
		w.note(d, s, d.Message.Time.Add(time.Second))
	}
	note(200, medispatcher.Sent)
	for _, status := range []int{503, 503, 599, 0} {
		note(status, medispatcher.Failed)
	}
	note(410, medispatcher.Exhausted)
	note(0, medispatcher.Released)
	got := w.take()["a"]
	n := int64(0)
	for _, took := range got.Took {
		n += took
	}
	want := map[string]int64{"503": 2, "5xx": 1, "none": 1, "410": 1}
	for class, n := range want {
		if got.Failed[class] != n {
			t.Errorf("%s: %d, want %d", class, got.Failed[class], n)
		}
	}
	if n != 7 || got.Latency[medispatcher.TimeBucket(time.Second)] != 1 || len(got.Failed) != len(want) || len(w.take()) > 0 {
		t.Errorf("%+v", got)
	}
}
