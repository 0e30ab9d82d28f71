package daemon

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/streams"
)

// recheckRate is how many channels all dispatchers together look at in a second.
const recheckRate = 30

// rechecker looks at every channel, one after another and slowly, for messages that the active set does not know of: a command
// typed by hand or a write that Redis lost took the name out. The work does not depend on how many channels there are.
type rechecker struct {
	partitions int
	store      *streams.Store
	registry   *streams.Registry
	scheduler  *push.Scheduler
	others     func() int64 // dispatchers
	log        *slog.Logger

	ids   []string // of this round
	at, p int      // where it goes on
}

// Run looks until ctx ends.
func (r *rechecker) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	share := 0.0
	for first := true; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		share += recheckRate / float64(1+r.others())
		if share < 1 {
			continue
		}
		n := int(share)
		share -= float64(n)
		if r.at >= len(r.ids) {
			r.begin(first)
		}
		first = false
		r.look(ctx, n)
	}
}

// begin begins the next partition. The first round begins anywhere, so that dispatchers do not follow each other.
func (r *rechecker) begin(first bool) {
	r.ids, r.at, r.p = r.registry.Snapshot().Subs.IDs(), 0, (r.p+1)%r.partitions
	if first && len(r.ids) > 0 {
		r.at, r.p = rand.N(len(r.ids)), rand.N(r.partitions)
	}
}

// look looks at the next n channels.
func (r *rechecker) look(ctx context.Context, n int) {
	subs := r.ids[r.at:min(r.at+n, len(r.ids))]
	if len(subs) == 0 {
		return
	}
	missing, err := r.store.Recheck(ctx, r.p, subs)
	if err != nil {
		return // the next tick looks again
	}
	r.at += len(subs)
	if missing > 0 {
		r.log.Warn("channels that hold something were missing from the active set, and are back: a command typed by hand or a write that Redis lost took them out",
			"partition", r.p, "channels", missing)
		r.scheduler.Sweep()
	}
}
