package main

import (
	"context"
	"errors"
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
	// healAll is the most time between looks at every channel, for entries whose owner nobody
	// remembers, and for those that have none: Redis lost the list, or somebody typed a command.
	healAll = time.Minute
	// healAllLimits is that time in dead-after limits: who sets a short one wants to be healed soon.
	healAllLimits = 6
)

// heal gives back what dead dispatchers left behind. Every dispatcher does; the steps
// see to it that each entry is given back once.
func (d *daemon) heal(ctx context.Context) error {
	tick := time.NewTicker(max(d.cfg.DeadAfter/healChecks, 50*time.Millisecond))
	defer tick.Stop()
	defer d.tellVanished()
	var lastAll, lastLedger, toldVanished time.Time
	every := min(healAll, healAllLimits*d.cfg.DeadAfter)
	still := silences{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if time.Since(toldVanished) >= vanishedEvery {
			d.tellVanished()
			toldVanished = time.Now()
		}
		if !d.hearing.mayJudge(time.Now(), d.cfg.Heartbeat, d.cfg.DeadAfter) {
			clear(still)
			continue
		}
		all, err := d.store.Dispatchers(ctx)
		if err != nil {
			continue
		}
		listed := false
		var dead []medispatcher.Dispatcher
		for _, other := range all {
			listed = listed || other.ID == d.info.ID
			if silent := still.note(&other, time.Now()); !other.Alive || silent >= other.DeadAfter {
				dead = append(dead, other)
			}
		}
		if !listed { // Redis lost the list: others are alive that are not on it either
			d.hearing.gap(time.Now())
			continue
		}
		if len(dead) == 0 && time.Since(lastAll) < every {
			continue
		}
		if len(dead) > 0 && !medispatcher.Sleep(ctx, rand.N(100*time.Millisecond)) { // the others come to it as well
			return nil
		}
		lastAll = time.Now()
		d.amend(ctx, dead)
		if time.Since(lastLedger) >= every { // what cannot be healed is tried again at once
			lastLedger = time.Now()
			d.lookForVanished(ctx, all)
		}
	}
}

// amend runs the amender, and takes the dead off the list once nothing is left of them.
func (d *daemon) amend(ctx context.Context, dead []medispatcher.Dispatcher) {
	snapshot, err := d.registry.Latest(ctx)
	if err != nil {
		return
	}
	report, err := amender.Run(ctx, d.store, amender.Options{
		Partitions: d.cfg.Partitions, Subs: snapshot.IDs(), Incoming: true, Adopt: d.info.ID, Dead: dead,
	})
	d.tellGivenBack(report.Rows)
	if report.Kicked() > 0 {
		d.scheduler.Sweep()
		for _, w := range d.fanouts {
			w.Adopted()
		}
	}
	d.stuck.tell(ctx, report.Rows, err == nil)
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

// kicker is the amender for one subscription, as the panel wants it.
type kicker struct{ d *daemon }

// Kick has what waits for its next attempt tried now, and gives back what dead dispatchers left.
func (k kicker) Kick(ctx context.Context, sub string) (int, error) {
	if k.d.hearing.late(time.Now(), k.d.cfg.Heartbeat) {
		// Redis may have been away: every heartbeat would look too old.
		return 0, errors.New("the heartbeat of this dispatcher is late, so it cannot say who is dead")
	}
	report, err := amender.Run(ctx, k.d.store, amender.Options{
		Partitions: k.d.cfg.Partitions, Subs: []string{sub}, Force: true,
	})
	k.d.log.Info("kicked", "subscription", sub, "by", medispatcher.Actor(ctx), "count", report.Kicked())
	return report.Kicked(), err
}
