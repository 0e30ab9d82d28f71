package push

import (
	"context"
	"errors"
	"log/slog"

	"github.com/solate/medispatcher"
)

// settleChunk runs the step of each kind of outcome, and returns those not settled.
func (q *settleQueue) settleChunk(ctx context.Context, p int, chunk []medispatcher.Settlement) (left []medispatcher.Settlement, err error) {
	deleted := make([]medispatcher.Settlement, 0, len(chunk)) // most are sent
	var retried, killed []medispatcher.Settlement
	released := map[medispatcher.Channel][]medispatcher.Settlement{}
	for _, s := range chunk {
		switch s.Outcome {
		case medispatcher.Sent, medispatcher.Dropped:
			deleted = append(deleted, s)
		case medispatcher.Failed:
			retried = append(retried, s)
		case medispatcher.Exhausted:
			killed = append(killed, s)
		case medispatcher.Released:
			released[s.Channel] = append(released[s.Channel], s)
		}
	}
	var errs []error
	step := func(list []medispatcher.Settlement, do func([]medispatcher.Settlement) error) {
		if len(list) == 0 {
			return
		}
		failed, err := q.try(list, do)
		left = append(left, failed...)
		if err != nil {
			errs = append(errs, err)
		}
	}
	step(deleted, func(l []medispatcher.Settlement) error { _, err := q.queue.Delete(ctx, p, l); return err })
	step(retried, func(l []medispatcher.Settlement) error { return q.queue.Retry(ctx, p, l) })
	step(killed, func(l []medispatcher.Settlement) error { return q.queue.Kill(ctx, p, l) })
	for c, list := range released {
		step(list, func(l []medispatcher.Settlement) error {
			ids := make([]string, len(l))
			for i := range l {
				ids[i] = l[i].EntryID
			}
			return q.queue.Release(ctx, c, ids, false)
		})
	}
	return left, errors.Join(errs...)
}

// try runs a step. If a channel is gone, because somebody removed it or replaced its key, try runs the step for each
// subscription alone, so that the others are settled.
func (q *settleQueue) try(list []medispatcher.Settlement, do func([]medispatcher.Settlement) error) (left []medispatcher.Settlement, err error) {
	err = do(list)
	switch {
	case err == nil:
		q.finish(list)
		return nil, nil
	case !errors.Is(err, medispatcher.ErrGone):
		return list, err
	}
	groups := map[string][]medispatcher.Settlement{}
	for _, s := range list {
		groups[s.Subscription] = append(groups[s.Subscription], s)
	}
	if len(groups) == 1 {
		q.news.log(slog.LevelWarn, "outcomes cannot be settled: the channel was removed or its key replaced",
			"subscription", list[0].Subscription, "count", len(list), "error", err)
		q.giveUp(list, err)
		return nil, nil
	}
	var errs []error
	for _, group := range groups {
		failed, err := q.try(group, do)
		left = append(left, failed...)
		errs = append(errs, err)
	}
	return left, errors.Join(errs...)
}

// giveUp ends outcomes that Redis will never have.
func (q *settleQueue) giveUp(list []medispatcher.Settlement, err error) {
	for i := range list {
		q.never(&list[i], err)
		for j := range list[i].Run {
			q.never(&list[i].Run[j], err)
		}
	}
	q.finish(list)
}

func (q *settleQueue) finish(list []medispatcher.Settlement) {
	q.waiting.Add(-int64(len(list)))
	q.done(list)
}
