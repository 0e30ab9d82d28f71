package daemon

import (
	"context"
	"log/slog"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

// follower puts every change of the subscriptions in force.
type follower struct {
	registry *streams.Registry
	apply    []func(subs map[string]medispatcher.Subscription) // in this order
	vanished *vanished
	log      *slog.Logger
}

// Run follows until ctx ends.
func (f *follower) Run(ctx context.Context) error {
	var before map[string]medispatcher.Subscription
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.registry.Changed():
		}
		snapshot := f.registry.Snapshot()
		for _, apply := range f.apply {
			apply(snapshot.Subs)
		}
		f.log.Info("subscriptions in force", "count", len(snapshot.Subs), "revision", snapshot.Revision)
		f.vanished.begin(ctx, added(before, snapshot.Subs))
		before = snapshot.Subs
	}
}

// added are the ids that were not there before.
func added(before, now map[string]medispatcher.Subscription) (ids []string) {
	for id := range now {
		if _, there := before[id]; !there {
			ids = append(ids, id)
		}
	}
	return ids
}
