package daemon

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
	"github.com/solate/medispatcher/amender"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/streams"
)

var _ amender.Store = (*streams.Store)(nil)

const (
	// healChecks is how many times the healer looks at the list of dispatchers within the dead-after limit.
	healChecks = 20
	// healAll is the longest time between looks at every active channel. They find entries whose owner is no longer on the list,
	// because Redis lost the list, and entries without an owner, because somebody typed a command.
	healAll = time.Minute
	// healAllLimits bounds that time in multiples of the dead-after limit: a short limit asks for quick healing.
	healAllLimits = 6
)

// healer gives back what dead dispatchers left behind, and takes them off the list. Every dispatcher has one; the
// steps make sure that each entry is given back once.
type healer struct {
	info       medispatcher.Dispatcher
	partitions int
	store      *streams.Store
	registry   *streams.Registry
	scheduler  *push.Scheduler
	fanouts    []*streams.FanoutWorker
	hearing    *hearing
	vanished   *vanished
	unowned    interface{ Unowned(from string, n int64) } // counts
	kickFails  *kickFails
	alerts     *alert.Events
	forgot     func(ctx context.Context) // is called when a dead dispatcher is off the list
	log        *slog.Logger

	silences  silences
	lastAll   time.Time // every channel was looked at
	lastAudit time.Time
}

// Run heals until ctx ends.
func (h *healer) Run(ctx context.Context) error {
	tick := time.NewTicker(max(h.info.DeadAfter/healChecks, 50*time.Millisecond))
	defer tick.Stop()
	h.silences = silences{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		h.vanished.tellNowAndThen()
		h.vanished.lookAtBacklogs(ctx, h.fanouts)
		if !h.hearing.mayJudge(time.Now()) {
			clear(h.silences)
			continue
		}
		if h.calm() {
			continue
		}
		if all, err := h.store.Dispatchers(ctx); err == nil {
			h.look(ctx, all)
		}
	}
}

// calm reports whether the list that the heartbeat read last, which is free, gives no reason to read it again: nobody
// looks dead in it, nor can be called dead before the next one.
func (h *healer) calm() bool {
	last, age := h.store.LastDispatchers()
	if age >= h.info.DeadAfter/3 || h.allDue() {
		return false
	}
	dead, listed := h.judge(last)
	return len(dead) == 0 && listed
}

// allEvery is the time between looks at every channel.
func (h *healer) allEvery() time.Duration { return min(healAll, healAllLimits*h.info.DeadAfter) }

func (h *healer) allDue() bool { return time.Since(h.lastAll) >= h.allEvery() }

// look heals if a dispatcher is dead, or if the last healing was long ago.
func (h *healer) look(ctx context.Context, all []medispatcher.Dispatcher) {
	dead, listed := h.judge(all)
	if !listed { // Redis lost the list: other dispatchers may be alive and not on it
		h.hearing.gap(time.Now())
		return
	}
	if len(dead) == 0 && !h.allDue() {
		return
	}
	if len(dead) > 0 && !medispatcher.Sleep(ctx, rand.N(100*time.Millisecond)) { // the other dispatchers notice at the same time
		return
	}
	h.lastAll = time.Now()
	h.heal(ctx, dead)
	if time.Since(h.lastAudit) >= h.allEvery() { // healing that fails is repeated at once
		h.lastAudit = time.Now()
		h.vanished.look(ctx, all)
	}
}

// judge finds the dead, and whether this dispatcher is on the list itself.
func (h *healer) judge(all []medispatcher.Dispatcher) (dead []medispatcher.Dispatcher, listed bool) {
	for _, other := range all {
		listed = listed || other.ID == h.info.ID
		if silent := h.silences.note(&other, time.Now()); !other.Alive || silent >= other.DeadAfter {
			dead = append(dead, other)
		}
	}
	h.silences.forget(all)
	return dead, listed
}

// heal runs the amender, and takes the dead off the list once nothing is left of them.
func (h *healer) heal(ctx context.Context, dead []medispatcher.Dispatcher) {
	snapshot, err := h.registry.Latest(ctx)
	if err != nil {
		return
	}
	report, err := amender.Run(ctx, h.store, amender.Options{
		Partitions: h.partitions, Subs: snapshot.Subs.IDs(), Idle: len(dead) > 0, Incoming: true, Adopt: h.info.ID, Dead: dead,
	})
	h.tellGivenBack(report.Rows)
	if report.GivenBack() > 0 {
		h.scheduler.Sweep()
		for _, w := range h.fanouts {
			w.Adopted()
		}
	}
	h.kickFails.tell(ctx, report.Rows, err == nil)
	if err != nil {
		h.log.Warn("healing is not complete and will be repeated", "error", err)
		return
	}
	for _, other := range dead {
		if err := h.lost(ctx, other); err != nil {
			return // it stays on the list, and the next look raises the alert
		}
		if err := h.store.Forget(ctx, other); err != nil {
			return
		}
		h.forgot(ctx)
		h.log.Warn("a dispatcher is dead", "dispatcher", other.ID, "host", other.Host, "last_heartbeat", other.Heartbeat)
	}
}

// lost raises the alert of a dispatcher that is dead and still on the list.
func (h *healer) lost(ctx context.Context, other medispatcher.Dispatcher) error {
	all, err := h.store.Dispatchers(ctx)
	if err != nil {
		return err
	}
	alive := 0
	for _, one := range all {
		if one.Alive {
			alive++
		}
	}
	return h.alerts.Lost(ctx, other, alive)
}

// tellGivenBack says what healing gave back, and to whom it belonged.
func (h *healer) tellGivenBack(rows []amender.Row) {
	for _, row := range rows {
		args := []any{"partition", row.Partition, "subscription", row.Subscription, "owner", row.Owner, "count", row.GivenBack}
		switch {
		case row.GivenBack == 0: // an error; heal logs it
		case row.Owner == amender.Nobody:
			if row.Subscription == "" {
				row.Subscription = streams.FromIncoming
			}
			h.log.Warn("given back what nobody owned: a command typed by hand took it from its owner (XACK, XGROUP)", args...)
			h.unowned.Unowned(row.Subscription, int64(row.GivenBack))
		default:
			h.log.Warn("given back what a dead dispatcher owned", args...)
		}
	}
}
