package doctor

import (
	"cmp"
	"context"
	"slices"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// examineDueTimes compares the entries of ~buried with their due times. An entry without a due time is never retried.
func (d *exam) examineDueTimes(ctx context.Context) error {
	var never, idle int64
	var neverIn, idleIn []string
	units := slices.Clone(d.units)
	// Small channels first, so that one huge channel does not use up the limit.
	slices.SortStableFunc(units, func(a, b *unit) int { return cmp.Compare(a.owners[rdb.Buried], b.owners[rdb.Buried]) })
	for _, u := range units {
		if u.owners[rdb.Buried]+u.retrying == 0 || !d.served(u) {
			continue
		}
		without, whole, err := d.withoutDue(ctx, u)
		if err != nil {
			return err
		}
		excess, err := d.excessDue(ctx, u)
		if err != nil {
			return err
		}
		// With fewer due times than entries, some entries have none, whether they were examined or not.
		without = max(without, -excess)
		if without > 0 {
			never, neverIn = never+without, append(neverIn, u.String())
		}
		if n := excess + without; whole && n > 0 {
			idle, idleIn = idle+n, append(idleIn, u.String())
		}
	}
	if never > 0 {
		d.note("due times", LevelProblem, entries(never)+" of ~buried without a due time, and so never retried: "+rdb.Some(neverIn),
			"living dispatchers make them due within a minute; if none runs, run amender")
	} else {
		d.note("due times", LevelOK, "every message that waits for a retry has one", "")
	}
	if idle > 0 {
		d.note("idle due times", LevelWarning, count(idle, "due time")+" without a waiting entry: "+rdb.Some(idleIn), "do nothing: dispatchers remove them when they are due")
	}
	return nil
}

// withoutDue counts entries of ~buried without a due time. whole is false if it stopped at a cap.
func (d *exam) withoutDue(ctx context.Context, u *unit) (without int64, whole bool, err error) {
	ch, retry := d.keys.Channel(u.p, u.sub), d.keys.Retry(u.p, u.sub)
	total := int(u.owners[rdb.Buried])
	from, done := "-", 0
	for done < total {
		n := d.take(total-done, done)
		if n == 0 {
			d.skipped += total - done
			return without, false, nil
		}
		ids, err := d.pendingOf(ctx, ch, from, n)
		if err != nil || len(ids) == 0 {
			return without, true, err
		}
		scores, err := rdb.Floats(d.db.With(ctx), rdb.Cmd("ZMSCORE", retry, ids...)...).Result()
		if err != nil {
			return without, false, rdb.Failed("read due times of "+u.sub, err)
		}
		var doubtful []string
		for i, score := range scores {
			if score == 0 { // missing; a due time is never 0
				doubtful = append(doubtful, ids[i])
			}
		}
		confirmed, err := d.confirm(ctx, doubtful, func(pipe *rdb.Pipe, id string) func() bool {
			pending := rdb.PendingOf(pipe, ch, rdb.GroupPush, id, id, 1, rdb.Buried)
			score := rdb.Float(pipe, "ZSCORE", retry, id)
			return func() bool { return len(pending.Val()) > 0 && score.Err() != nil }
		})
		without += confirmed
		if err != nil {
			return without, false, err
		}
		from, done = rdb.NextID(ids[len(ids)-1]), done+len(ids)
	}
	return without, true, nil
}

// pendingOf is one page of the entries of ~buried. It walks that consumer's own list. With IDLE,
// Redis would walk the list of the whole group.
func (d *exam) pendingOf(ctx context.Context, ch, from string, n int) ([]string, error) {
	page, err := rdb.PendingOf(d.db.With(ctx), ch, rdb.GroupPush, from, "+", n, rdb.Buried).Result()
	if err != nil && !rdb.IsNoStream(err) {
		return nil, rdb.Failed("list the entries of ~buried", err)
	}
	ids := make([]string, len(page))
	for i, e := range page {
		ids[i] = e.ID
	}
	return ids, nil
}

// excessDue is the number of due times minus the number of entries of ~buried.
func (d *exam) excessDue(ctx context.Context, u *unit) (int64, error) {
	if u.retrying == u.owners[rdb.Buried] {
		return 0, nil
	}
	pipe := d.db.ReadTx(ctx)
	pending, dues := rdb.OwnersOf(pipe, d.keys.Channel(u.p, u.sub), rdb.GroupPush), rdb.Int(pipe, "ZCARD", d.keys.Retry(u.p, u.sub))
	if err := pipe.Run(); err != nil && !rdb.IsNoStream(err) {
		return 0, rdb.Failed("count due times of "+u.sub, err)
	}
	return dues.Val() - pending.Val().Consumers[rdb.Buried], nil
}
