package daemon

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"golang.org/x/time/rate"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

// followedLines is how many changes of the subscriptions are logged one by one. If they go on, those of a second are one line.
const followedLines = 10

// manyFollowed is so many changes that reading them leaves much more behind than it keeps. An idle dispatcher makes no garbage, so it
// would keep that memory for minutes.
const manyFollowed = 10_000

// follower puts every change of the subscriptions in force.
type follower struct {
	registry *streams.Registry
	apply    []func(changes []medispatcher.SubscriptionChange) // in this order
	files    *fileLimit
	vanished *vanished
	log      *slog.Logger

	untold  bool // something changed that is not logged yet
	changed int  // so many subscriptions
}

// Run follows until ctx ends.
func (f *follower) Run(ctx context.Context) error {
	var subs *medispatcher.Subscriptions
	lines := rate.NewLimiter(rate.Every(time.Second), followedLines)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.registry.Changed():
			before := subs
			subs = f.registry.Snapshot().Subs
			f.follow(ctx, subs, subs.Since(before))
			if n := f.registry.TakeVanished(); n > 0 {
				f.log.Warn("all subscriptions vanished from Redis, and no command of medispatcher removed them (FLUSHALL, DEL, a lost disk): until they are put again (medispatcher sub put --file FILE), new messages go to the unrouted ones", "count", n)
			}
		case <-tick.C:
		}
		if f.untold && lines.Allow() {
			f.log.Info("subscriptions in force", "count", subs.Len(), "changed", f.changed, "revision", f.registry.Snapshot().Revision)
			f.untold, f.changed = false, 0
		}
	}
}

// follow puts changes in force.
func (f *follower) follow(ctx context.Context, subs *medispatcher.Subscriptions, changes []medispatcher.SubscriptionChange) {
	for _, apply := range f.apply {
		apply(changes)
	}
	f.files.apply(subs)
	f.untold, f.changed = true, f.changed+len(changes)
	var added []string
	for _, c := range changes {
		if c.Was == nil {
			added = append(added, c.ID())
		}
	}
	f.vanished.begin(ctx, added)
	if len(changes) >= manyFollowed {
		debug.FreeOSMemory()
	}
}
