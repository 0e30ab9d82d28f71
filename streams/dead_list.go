package streams

import (
	"context"
	"fmt"
	"strconv"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// deadBatch is the most dead letters handled by one step.
const deadBatch = 100

// DeadLetters lists up to limit dead letters of a subscription, the oldest first. after is the id of the last one
// seen, empty at first.
func (s *Store) DeadLetters(ctx context.Context, sub, after string, limit int) ([]medispatcher.DeadLetter, error) {
	var list []medispatcher.DeadLetter
	_, err := s.eachDead(ctx, sub, medispatcher.Search{After: after}, limit, forever, func(l *medispatcher.DeadLetter) (bool, error) {
		list = append(list, *l)
		return len(list) < limit, nil
	})
	return list, err
}

// DeadLetter returns one dead letter. The error is ErrNotFound if it does not exist.
func (s *Store) DeadLetter(ctx context.Context, sub, id string) (medispatcher.DeadLetter, error) {
	p, entryID, err := rdb.SplitID(s.db.Partitions(), id)
	if err != nil {
		return medispatcher.DeadLetter{}, err
	}
	entries, err := rdb.Range(s.db.With(ctx), s.keys.Dead(p, sub), entryID, entryID, 1).Result()
	if err != nil {
		return medispatcher.DeadLetter{}, rdb.Failed("read a dead letter of "+sub, err)
	}
	if len(entries) == 0 {
		return medispatcher.DeadLetter{}, fmt.Errorf("dead letter %s of %q: %w", id, sub, medispatcher.ErrNotFound)
	}
	return deadLetter(medispatcher.Channel{Partition: p, Subscription: sub}, entries[0]), nil
}

func deadLetter(c medispatcher.Channel, e rdb.Entry) medispatcher.DeadLetter {
	l := medispatcher.DeadLetter{ID: strconv.Itoa(c.Partition) + "-" + e.ID, Died: Entry{ID: e.ID}.Time()}
	f := entry.CopyOf(e.Fields)
	l.Message = f.Message(c.Partition)
	if f.Failure != "" {
		l.Failure = entry.DecodeFailure(f.Failure)
	}
	return l
}

func (s *Store) deadID(id string) (p int, entryID string, err error) {
	return rdb.SplitID(s.db.Partitions(), id)
}
