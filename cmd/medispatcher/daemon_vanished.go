package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/amender"
)

// vanishedEvery spaces the lines about what vanished: an XTRIM of 100,000 is one story.
const vanishedEvery = 5 * time.Second

// tellVanished says what this dispatcher found gone that a command typed by hand took out of Redis.
func (d *daemon) tellVanished() {
	for _, v := range d.store.TakeVanished() {
		args := []any{"partition", v.Partition, "from", v.From, "count", v.Count}
		if v.First != "" {
			args = append(args, "first_entry", v.First, "last_entry", v.Last)
		}
		d.log.Warn("messages were taken out of Redis by hand (XDEL, XTRIM, DEL) and are lost", args...)
		d.metrics.add(d.metrics.vanished, v.From, v.Count)
	}
}

// lookForVanished compares what left every stream with what was settled.
func (d *daemon) lookForVanished(ctx context.Context, all []medispatcher.Dispatcher) {
	mixed := slices.ContainsFunc(all, func(o medispatcher.Dispatcher) bool { return o.Alive && o.Version != d.info.Version })
	var errs []error
	for p := range d.cfg.Partitions {
		errs = append(errs, d.store.AuditIncoming(ctx, p, mixed), d.store.AuditChannels(ctx, p, d.registry.Snapshot().IDs()))
	}
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		d.log.Warn("what commands typed by hand took out cannot be told now", "error", err)
	}
	d.tellVanished()
}

// beginLedgers has the accounts of new subscriptions begin before their messages come.
func (d *daemon) beginLedgers(ctx context.Context, subs []string) {
	for p := range d.cfg.Partitions {
		if d.store.AuditChannels(ctx, p, subs) != nil {
			return // the next look begins them
		}
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

// tellGivenBack says what healing gave back, and to whom it belonged.
func (d *daemon) tellGivenBack(rows []amender.Row) {
	for _, row := range rows {
		args := []any{"partition", row.Partition, "subscription", row.Subscription, "owner", row.Owner, "count", row.Kicked}
		switch {
		case row.Kicked == 0: // an error, which is told apart
		case row.Owner == amender.Nobody:
			if row.Subscription == "" {
				row.Subscription = fromIncoming
			}
			d.log.Warn("given back what nobody owned: a command typed by hand took it from its owner (XACK, XGROUP)", args...)
			d.metrics.add(d.metrics.unowned, row.Subscription, int64(row.Kicked))
		default:
			d.log.Warn("given back what a dead dispatcher owned", args...)
		}
	}
}

// fromIncoming stands where a subscription would for messages before their fan-out.
const fromIncoming = "~incoming"
