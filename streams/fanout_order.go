package streams

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Several workers move the entries of a partition, each what it read. So one may be about to copy an entry while an older one
// of the same key is in the hand of another, which may be slow or dead. The step refuses that (RoutedEarly). The worker then
// moves the older entries itself, in its own step. The other one finds them gone. So nothing waits for a worker, and none has
// to be the only one.

const (
	// earlyTries is how often a worker tries again for entries that wait for older ones. It takes about a second.
	earlyTries = 24
	earlyPause = 50 * time.Millisecond
)

var errEarly = errors.New("messages of an ordered subscription wait for older ones, which cannot be moved")

// order notes which copies of a step have to wait for others of their key.
func (w *FanoutWorker) order(ctx context.Context, subs *medispatcher.Subscriptions, step []Routing) error {
	for i := range step {
		r := &step[i]
		if r.Message.Key == "" || len(r.Subs) == 0 {
			continue
		}
		ordered := subs.Ordered(r.Subs)
		if len(ordered) == 0 {
			continue
		}
		if kept, err := w.Store.Lines(ctx); err != nil || !kept {
			return err
		}
		r.Ordered = ordered
	}
	return nil
}

// older puts entries before the first one in hand that are pending elsewhere. At first it gives the others a moment.
func (w *FanoutWorker) older(ctx context.Context, hand []inHand, tries int) ([]inHand, error) {
	pause := min(time.Millisecond<<(tries-1), earlyPause)
	if tries == 1 {
		time.Sleep(pause)
		return hand, nil
	}
	most := w.reads.of(fanoutRead)
	entries, err := w.Store.pendingIncoming(ctx, w.Partition, hand[0].ID, most)
	w.reads.note(most, err)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		time.Sleep(pause)
		return hand, nil
	}
	more := make([]inHand, len(entries), len(entries)+len(hand))
	for i, e := range entries {
		more[i] = newInHand(e)
	}
	return append(more, hand...), nil
}

// pendingIncoming reads up to count entries before an id that are pending for anybody, the oldest first.
func (s *Store) pendingIncoming(ctx context.Context, p int, before string, count int) ([]Entry, error) {
	pending, err := rdb.PendingOf(s.db.With(ctx), s.keys.Incoming(p), rdb.GroupFanout, "-", before, 4*count, "").Result()
	if err != nil {
		return nil, rdb.Failed("look for older incoming messages", err)
	}
	pending = slices.DeleteFunc(pending, func(e rdb.Pending) bool { return e.ID == before })
	pipe := s.db.Pipe(ctx)
	read := make([]*rdb.Reply[[]rdb.Entry], min(count, len(pending)))
	for i := range read {
		read[i] = rdb.Range(pipe, s.keys.Incoming(p), pending[i].ID, pending[i].ID, 1)
	}
	if len(read) == 0 {
		return nil, nil
	}
	if err := pipe.Run(); err != nil {
		return nil, rdb.Failed("read older incoming messages", err)
	}
	var entries []Entry
	for _, r := range read {
		for _, e := range r.Val() {
			entries = append(entries, Entry{ID: e.ID, fields: e.Fields})
		}
	}
	return entries, nil
}
