package streams

import (
	"context"

	"github.com/solate/medispatcher"
)

// SearchKept lists up to limit kept messages that match, without their bodies, in the order of time. It asks more after each
// one that it looked at, with their number, and ends where more says no.
func (s *Store) SearchKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, limit int, more func(looked int64) bool) (page medispatcher.KeptPage, err error) {
	page.Searched, err = s.eachMatching(ctx, place, q, more, func(_ *keptRow, k medispatcher.Kept) (bool, error) {
		if len(page.Messages) == limit {
			return false, nil
		}
		page.Messages = append(page.Messages, k)
		return true, nil
	})
	return page, err
}

// CountKept counts the kept messages that match, the oldest first. Without q.Until it counts those that exist when it
// begins. A later count continues with the answer's Next and Until.
func (s *Store) CountKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(looked int64) bool) (n medispatcher.MatchCount, err error) {
	if n.Until = q.Until; n.Until == "" {
		if n.Until, err = s.newestID(ctx, "messages in "+string(place), s.keptKey(place)); err != nil || n.Until == "" {
			return n, err
		}
	}
	q.Newest, q.Until = false, n.Until
	n.Searched, err = s.eachMatching(ctx, place, q, more, func(*keptRow, medispatcher.Kept) (bool, error) {
		n.Matching++
		return true, nil
	})
	return n, err
}

// ReplayMatchingKept is ReplayKept of the kept messages that match, the oldest first. A later call continues with Next.
func (s *Store) ReplayMatchingKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, rules KeptRules, more func(looked int64) bool) (done medispatcher.KeptDone, err error) {
	searched, err := s.changeMatchingKept(ctx, place, q, more, func(rows []keptRow) error {
		return s.replayRows(ctx, place, rows, rules, &done)
	})
	done.Next = searched.Next
	return done, err
}

// PurgeMatchingKept is PurgeKept of the kept messages that match, the oldest first. A later call continues with Next.
func (s *Store) PurgeMatchingKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(looked int64) bool) (done medispatcher.MatchDone, err error) {
	done.Searched, err = s.changeMatchingKept(ctx, place, q, more, func(rows []keptRow) error {
		ids := make([]string, len(rows))
		for i := range rows {
			ids[i] = rows[i].id()
		}
		n, err := s.PurgeKept(ctx, place, ids)
		done.Done += int64(n)
		return err
	})
	return done, err
}

// changeMatchingKept calls change with batches of the kept messages that match; those of a batch are of one partition.
func (s *Store) changeMatchingKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(looked int64) bool, change func(rows []keptRow) error) (medispatcher.Searched, error) {
	q.Newest = false
	batches := make([][]keptRow, s.db.Partitions())
	searched, err := s.eachMatching(ctx, place, q, more, func(r *keptRow, _ medispatcher.Kept) (bool, error) {
		batches[r.p] = append(batches[r.p], *r)
		if len(batches[r.p]) < keptPage {
			return true, nil
		}
		rows := batches[r.p]
		batches[r.p] = nil
		return true, change(rows)
	})
	for _, rows := range batches {
		if err == nil && len(rows) > 0 {
			err = change(rows)
		}
	}
	return searched, err
}

// eachMatching calls do for each kept message that matches, in the order of time, until do does not take one, or more says no.
func (s *Store) eachMatching(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(looked int64) bool, do func(*keptRow, medispatcher.Kept) (bool, error)) (done medispatcher.Searched, err error) {
	w, err := walkOf(q, func(id string) (int, string, error) { return s.splitKeptID(place, id) })
	if err != nil {
		return done, err
	}
	found := finder{more: more}
	err = s.eachKept(ctx, place, w, func(r *keptRow) (bool, error) {
		k := r.kept()
		return found.look(k.ID, q.Match.Kept(&k), func() (bool, error) { return do(r, k) })
	})
	return found.searched(), err
}
