package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// eachID splits ids into a partition and an entry id each, and runs step for batches of entries of one partition.
// If an id is malformed, nothing is done, and the error is medispatcher.Problems of "ids[…]".
func (s *Store) eachID(ids []string, split func(id string) (p int, entryID string, err error), step func(p int, entryIDs []string) (int64, error)) (total int, err error) {
	var byPartition [][]string
	var problems medispatcher.Problems
	for i, id := range ids {
		p, entryID, err := split(id)
		if field, ok := errors.AsType[medispatcher.FieldError](err); ok {
			problems = append(problems, medispatcher.FieldError{Field: fmt.Sprintf("ids[%d]", i), Problem: field.Problem})
			continue
		}
		for len(byPartition) <= p {
			byPartition = append(byPartition, nil)
		}
		byPartition[p] = append(byPartition[p], entryID)
	}
	if len(problems) > 0 {
		return 0, problems
	}
	for p, entryIDs := range byPartition {
		for len(entryIDs) > 0 {
			n := min(deadBatch, len(entryIDs))
			moved, err := step(p, entryIDs[:n])
			total += int(moved)
			if err != nil {
				return total, err
			}
			entryIDs = entryIDs[n:]
		}
	}
	return total, nil
}

// forever lets a search go on to its end.
func forever(int64) bool { return true }

// allUntil runs step for every entry that existed when it began. One step handles some of the
// oldest entries, up to last, and returns how many. allUntil ends early when more says no; left
// is then how many remain.
func (s *Store) allUntil(ctx context.Context, what string, key func(p int) string, more func(done, all int64) bool, step func(p int, last string) (int64, error)) (done, left int64, err error) {
	lasts, all, err := s.ends(ctx, what, key)
	if err != nil {
		return 0, 0, err
	}
	for p, last := range lasts {
		for last != "" {
			n, err := step(p, last)
			done += n
			if err != nil {
				return done, max(0, all-done), err
			}
			if n == 0 {
				break
			}
			if !more(done, all) && done < all {
				return done, all - done, nil
			}
		}
	}
	return done, 0, nil
}

// ends returns the id of the last entry of a stream in each partition ("" if it is empty), and
// the number of entries in all partitions.
func (s *Store) ends(ctx context.Context, what string, key func(p int) string) (lasts []string, all int64, err error) {
	for p := range s.db.Partitions() {
		pipe := s.db.Pipe(ctx)
		n := rdb.Int(pipe, "XLEN", key(p))
		end := rdb.Entries(pipe, "XREVRANGE", key(p), "+", "-", "COUNT", 1)
		if err := pipe.Run(); err != nil {
			return nil, 0, rdb.Failed("count "+what, err)
		}
		last := ""
		if found := end.Val(); len(found) > 0 {
			last = found[0].ID
		}
		lasts, all = append(lasts, last), all+n.Val()
	}
	return lasts, all, nil
}
