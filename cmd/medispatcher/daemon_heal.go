package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/amender"
	"github.com/solate/medispatcher/streams"
)

var _ amender.Store = (*streams.Store)(nil)

const (
	// healChecks is how often the list of dispatchers is looked at within the dead-after limit.
	healChecks = 20
	// healAll is the time between looks at every channel, for entries whose owner nobody
	// remembers: it was forgotten, or Redis lost the list.
	healAll = time.Minute
)

// heal gives back what dead dispatchers left behind. Every dispatcher does; the steps
// see to it that each entry is given back once.
func (d *daemon) heal(ctx context.Context) error {
	tick := time.NewTicker(max(d.cfg.DeadAfter/healChecks, 50*time.Millisecond))
	defer tick.Stop()
	var lastAll time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if d.missedBeats() {
			continue // who is not heard himself declares nobody dead
		}
		all, err := d.store.Dispatchers(ctx)
		if err != nil {
			continue
		}
		var dead []medispatcher.Dispatcher
		for _, other := range all {
			if !other.Alive {
				dead = append(dead, other)
			}
		}
		if len(dead) == 0 && time.Since(lastAll) < healAll {
			continue
		}
		if len(dead) > 0 && !medispatcher.Sleep(ctx, rand.N(100*time.Millisecond)) { // the others come to it as well
			return nil
		}
		lastAll = time.Now()
		d.amend(ctx, dead)
	}
}

// amend runs the amender, and takes the dead off the list once nothing is left of them.
func (d *daemon) amend(ctx context.Context, dead []medispatcher.Dispatcher) {
	snapshot, err := d.registry.Latest(ctx)
	if err != nil {
		return
	}
	report, err := amender.Run(ctx, d.store, amender.Options{
		Partitions: d.cfg.Partitions, Subs: snapshot.IDs(), Incoming: true, Adopt: d.info.ID,
	})
	for _, row := range report.Rows {
		d.log.Warn("given back what a dead dispatcher owned", "partition", row.Partition,
			"subscription", row.Subscription, "owner", row.Owner, "count", row.Kicked)
	}
	if report.Kicked() > 0 {
		d.scheduler.Sweep()
		for _, w := range d.fanouts {
			w.Adopted()
		}
	}
	d.stuck.tell(ctx, d, report.Rows, err == nil)
	if err != nil {
		d.log.Warn("healing is not complete and will be repeated", "error", err)
		return
	}
	for _, other := range dead {
		if err := d.lost(ctx, other); err != nil {
			return // it stays on the list, and is told with the next look
		}
		if err := d.store.Forget(ctx, other); err != nil {
			return
		}
		d.log.Warn("a dispatcher is dead", "dispatcher", other.ID, "host", other.Host, "last_heartbeat", other.Heartbeat)
	}
}
