package daemon

import (
	"context"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/streams/streamstest"
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

// TestLastTimesAreWritten: what was noted since the last write is written at the end.
func TestLastTimesAreWritten(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	store, err := joined.Open(env.Config("me"))
	streamstest.Check(t, err)
	defer func() { _ = store.Close() }()
	w := &timesWriter{store: store}
	d, s := ended("a", 1, medispatcher.Sent)
	w.note(d, s, d.Message.Time.Add(time.Second))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	streamstest.Check(t, w.Run(ctx))
	stats, err := store.Stats(t.Context(), []string{"a"}, nil)
	streamstest.Check(t, err)
	if c := stats.Subscriptions[0]; c.Latency.Count == 0 {
		t.Errorf("no times: %+v", c)
	}
}
