package amender

import (
	"context"
	"slices"

	"github.com/solate/medispatcher"
)

func (r *run) incoming(ctx context.Context, p int) {
	owners, err := r.store.IncomingOwners(ctx, p)
	if err != nil {
		r.add(Row{Partition: p}, err)
		return
	}
	for _, owner := range sorted(owners) {
		if owner == r.o.Adopt || owner == medispatcher.OwnerBuried && r.o.Adopt == "" {
			continue
		}
		row := Row{Partition: p, Owner: owner}
		if lives, err := r.lives(ctx, owner); lives || err != nil {
			r.add(row, err)
			continue
		}
		row.GivenBack, err = r.drain(int(owners[owner]), func() (int, bool, error) {
			return r.store.GiveBackIncoming(ctx, p, owner, stepEntries, r.o.Adopt != "")
		})
		r.add(row, err)
	}
	n, err := r.store.UnownedIncoming(ctx, p, r.o.Adopt != "", r.o.DryRun)
	r.add(Row{Partition: p, Owner: Nobody, GivenBack: n}, err)
}

func (r *run) channels(ctx context.Context, p int, subs []string) {
	owners, err := r.store.Owners(ctx, p, subs)
	if err != nil {
		r.add(Row{Partition: p}, err)
		return
	}
	var due []string
	for i, sub := range subs {
		c := medispatcher.Channel{Partition: p, Subscription: sub}
		before := len(r.report.Rows)
		r.channel(ctx, c, &owners[i])
		if len(r.report.Rows) > before {
			due = append(due, sub)
		}
	}
	if len(due) > 0 && !r.o.DryRun {
		_ = r.store.RingDue(ctx, p, due) // a hint: sweeps repair a lost one
	}
}

// channel gives back what no living dispatcher owns in one channel. Entries without an owner come first: they
// belong to ~buried afterwards, and with Force they are due now.
func (r *run) channel(ctx context.Context, c medispatcher.Channel, owned *medispatcher.Owned) {
	if owned.Err != nil {
		r.add(Row{Partition: c.Partition, Subscription: c.Subscription}, owned.Err)
		return
	}
	given := 0
	if owned.Length > 0 {
		row := Row{Partition: c.Partition, Subscription: c.Subscription, Owner: Nobody}
		var err error
		if row.GivenBack, err = r.store.Unowned(ctx, c, r.o.DryRun); !r.o.DryRun {
			given = row.GivenBack
		}
		r.add(row, err)
		owned.Pending[medispatcher.OwnerBuried] += int64(given)
	}
	for _, owner := range sorted(owned.Pending) {
		row, err := r.owner(ctx, c, owner, owned.Pending[owner])
		if owner == medispatcher.OwnerBuried && r.o.Force {
			row.GivenBack = max(0, row.GivenBack-given) // they have a row already
		}
		r.add(row, err)
	}
}

// owner gives back what one owner has in a channel, unless it lives.
func (r *run) owner(ctx context.Context, c medispatcher.Channel, owner string, pending int64) (row Row, err error) {
	row = Row{Partition: c.Partition, Subscription: c.Subscription, Owner: owner}
	if owner == medispatcher.OwnerBuried {
		row.Owner = ""
		if pending > 0 {
			row.GivenBack, err = r.store.Orphans(ctx, c, r.o.Force, r.o.DryRun)
		}
		return row, err
	}
	if lives, err := r.lives(ctx, owner); lives || err != nil {
		return row, err
	}
	row.GivenBack, err = r.drain(int(pending), func() (int, bool, error) {
		return r.store.GiveBack(ctx, c, owner, stepEntries)
	})
	return row, err
}

// drain repeats a step until nothing is left. pending is what a dry run reports.
func (r *run) drain(pending int, step func() (int, bool, error)) (total int, err error) {
	if r.o.DryRun {
		return pending, nil
	}
	for {
		moved, more, err := step()
		total += moved
		if err != nil || !more || moved == 0 {
			return total, err
		}
	}
}

func sorted(owners map[string]int64) []string {
	names := make([]string, 0, len(owners))
	for name := range owners {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
