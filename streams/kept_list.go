package streams

import (
	"context"
	"slices"

	"github.com/solate/medispatcher"
)

// ListKept lists up to Limit kept messages of all partitions without their bodies, in the order of time.
func (s *Store) ListKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.KeptQuery) ([]medispatcher.Kept, error) {
	w := walk{newest: q.Newest}
	var err error
	if q.After != "" {
		if w.after.p, w.after.entry, err = s.splitKeptID(place, q.After); err != nil {
			return nil, err
		}
	}
	var list []medispatcher.Kept
	err = s.eachKept(ctx, place, w, func(r *keptRow) (bool, error) {
		list = append(list, r.kept())
		return len(list) < q.Limit, nil
	})
	return list, err
}

// eachKept calls do for each kept message of the walk, in the order of time, until do returns false.
func (s *Store) eachKept(ctx context.Context, place medispatcher.KeptPlace, w walk, do func(*keptRow) (more bool, err error)) error {
	// With more partitions read less of each, because not all of it may be needed.
	ahead := max(1, keptPage/s.db.Partitions())
	return eachMerged(s.db.Partitions(), w, func(r *keptRow) string { return r.entry },
		func(p int, how, from, to string) ([]keptRow, error) {
			return s.keptRange(ctx, place, p, how, from, to, ahead)
		},
		func(_ int, r *keptRow) (bool, error) { return do(r) })
}

// KeptTopics counts the topics of kept messages, the most frequent first. It reads the messages named by ids or, without
// ids, the newest, up to most. looked is how many it read.
func (s *Store) KeptTopics(ctx context.Context, place medispatcher.KeptPlace, most int, ids ...string) (topics []medispatcher.TopicCount, looked int, err error) {
	counts := map[string]int64{}
	note := func(r *keptRow) bool {
		if looked++; r.fields["topic"] != "" {
			counts[r.fields["topic"]]++
		}
		return looked < most
	}
	if len(ids) > 0 {
		err = s.eachNamed(ctx, place, ids, func(rows []keptRow) error {
			for i := range rows {
				note(&rows[i])
			}
			return nil
		})
	} else {
		err = s.eachKept(ctx, place, walk{newest: true}, func(r *keptRow) (bool, error) { return note(r), nil })
	}
	for topic, n := range counts {
		topics = append(topics, medispatcher.TopicCount{Topic: topic, Count: n})
	}
	slices.SortFunc(topics, medispatcher.TopicCount.Compare)
	return topics, looked, err
}

// eachNamed calls do with those of the named messages that exist, in batches of one partition each.
func (s *Store) eachNamed(ctx context.Context, place medispatcher.KeptPlace, ids []string, do func(rows []keptRow) error) error {
	split := func(id string) (int, string, error) { return s.splitKeptID(place, id) }
	_, err := s.eachID(ids, split, func(p int, entries []string) (int64, error) {
		for len(entries) > 0 {
			looked, rows, err := s.keptNamed(ctx, place, p, entries)
			if err == nil {
				err = do(rows)
			}
			if err != nil {
				return 0, err
			}
			entries = entries[looked:]
		}
		return 0, nil
	})
	return err
}
