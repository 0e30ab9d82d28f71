package streams_test

import (
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

// TestLinesAreLookedAtWhenOrderChanges: a look asks Redis for every key that has copies, so other changes cause none.
func TestLinesAreLookedAtWhenOrderChanges(t *testing.T) {
	t.Parallel()
	plain, ordered := &medispatcher.Subscription{ID: "s"}, &medispatcher.Subscription{ID: "s", Ordered: true}
	paused := &medispatcher.Subscription{ID: "s", Ordered: true, Paused: true}
	const partitions = 3
	for _, c := range []struct {
		what   string
		change medispatcher.SubscriptionChange
		asked  int
	}{
		{"ordered from the start", medispatcher.SubscriptionChange{Now: ordered}, partitions},
		{"becomes ordered", medispatcher.SubscriptionChange{Was: plain, Now: ordered}, partitions},
		{"is no longer ordered", medispatcher.SubscriptionChange{Was: ordered, Now: plain}, partitions},
		{"was ordered, and is removed", medispatcher.SubscriptionChange{Was: ordered}, partitions},
		{"is paused", medispatcher.SubscriptionChange{Was: ordered, Now: paused}, 0},
		{"was never ordered", medispatcher.SubscriptionChange{Now: plain}, 0},
	} {
		w := streams.NewLineWorker(nil, nil, partitions, nil, nil)
		w.Apply([]medispatcher.SubscriptionChange{c.change})
		if n := w.Asked(); n != c.asked {
			t.Errorf("%s: %d channels are looked at, want %d", c.what, n, c.asked)
		}
	}
}
