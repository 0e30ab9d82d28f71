package streams

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
)

// ListKept lists up to Limit kept messages of all partitions without their bodies, in the order of time.
func (s *Store) ListKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.KeptQuery) ([]medispatcher.Kept, error) {
	var list []medispatcher.Kept
	err := s.eachKept(ctx, place, q.Newest, q.After, func(r *keptRow) bool {
		list = append(list, r.kept())
		return len(list) < q.Limit
	})
	return list, err
}

// keptCursor walks through the kept messages of one partition.
type keptCursor struct {
	p    int
	from string
	rows []keptRow // read ahead
	done bool
}

// eachKept calls do for each kept message that comes after the id after, in the order of time, until do returns false.
func (s *Store) eachKept(ctx context.Context, place medispatcher.KeptPlace, newestFirst bool, after string, do func(*keptRow) (more bool)) error {
	how, start, end := oldest, "-", "+"
	if newestFirst {
		how, start, end = newest, "+", "-"
	}
	cursors := make([]*keptCursor, s.db.Partitions())
	for p := range cursors {
		cursors[p] = &keptCursor{p: p, from: start}
	}
	if after != "" {
		p, entry, err := s.splitKeptID(place, after)
		if err != nil {
			return err
		}
		for _, c := range cursors {
			// Entries with the same id are ordered by partition, descending with newestFirst.
			c.from = entry
			if c.p == p || (c.p < p) != newestFirst {
				c.from = "(" + entry
			}
		}
	}
	// With more partitions read less of each, because not all of it may be needed.
	ahead := max(1, keptPage/len(cursors))
	for {
		for _, c := range cursors {
			if len(c.rows) > 0 || c.done {
				continue
			}
			var err error
			if c.rows, err = s.keptRange(ctx, place, c.p, how, c.from, end, ahead); err != nil {
				return err
			}
			if c.done = len(c.rows) == 0; !c.done {
				c.from = "(" + c.rows[len(c.rows)-1].entry
			}
		}
		c := first(cursors, newestFirst)
		if c == nil {
			return nil
		}
		row := c.rows[0]
		if c.rows = c.rows[1:]; !do(&row) {
			return nil
		}
	}
}

// first is the cursor whose next row comes before those of all others; nil if there are no more rows.
func first(cursors []*keptCursor, newestFirst bool) *keptCursor {
	var best *keptCursor
	for _, c := range cursors {
		switch {
		case len(c.rows) == 0:
		case best == nil:
			best = c
		default:
			order := compareIDs(c.rows[0].entry, best.rows[0].entry)
			if newestFirst && order >= 0 || !newestFirst && order < 0 {
				best = c
			}
		}
	}
	return best
}

// compareIDs orders valid entry ids.
func compareIDs(a, b string) int {
	if len(a) == len(b) { // nearly always; "-" sorts before every digit
		return strings.Compare(a, b)
	}
	msA, seqA, _ := strings.Cut(a, "-")
	msB, seqB, _ := strings.Cut(b, "-")
	number := func(s string) uint64 { n, _ := strconv.ParseUint(s, 10, 64); return n }
	return cmp.Or(cmp.Compare(number(msA), number(msB)), cmp.Compare(number(seqA), number(seqB)))
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
		err = s.eachKept(ctx, place, true, "", note)
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
