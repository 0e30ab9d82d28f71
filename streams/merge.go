package streams

import (
	"cmp"
	"strconv"
	"strings"
)

// walk says which entries of the streams of all partitions to visit, and in which order of time.
type walk struct {
	newest bool
	after  position // the last one seen; without an entry: from the beginning
	until  string   // the largest entry id; "": no limit
}

// position is an entry of a partition.
type position struct {
	p     int
	entry string
}

// newest and oldest say which end of the stream comes first.
const (
	newest = "XREVRANGE"
	oldest = "XRANGE"
)

// cursor walks through the stream of one partition.
type cursor[T any] struct {
	p    int
	from string
	rows []T // read ahead
	done bool
}

// eachMerged calls do for each row of the walk, in the order of time, until do returns false. read returns the next rows of
// a partition, and none at the end; entryOf is the entry id of a row.
func eachMerged[T any](partitions int, w walk, entryOf func(*T) string, read func(p int, how, from, to string) ([]T, error), do func(p int, row *T) (more bool, err error)) error {
	how, start, end := oldest, "-", cmp.Or(w.until, "+")
	if w.newest {
		how, start, end = newest, end, start
	}
	cursors := make([]*cursor[T], partitions)
	for p := range cursors {
		cursors[p] = &cursor[T]{p: p, from: start}
		if w.after.entry == "" {
			continue
		}
		// Entries with the same id are ordered by partition, descending with newest.
		cursors[p].from = w.after.entry
		if p == w.after.p || (p < w.after.p) != w.newest {
			cursors[p].from = "(" + w.after.entry
		}
	}
	for {
		var best *cursor[T]
		for _, c := range cursors {
			if len(c.rows) == 0 && !c.done {
				var err error
				if c.rows, err = read(c.p, how, c.from, end); err != nil {
					return err
				}
				if c.done = len(c.rows) == 0; !c.done {
					c.from = "(" + entryOf(&c.rows[len(c.rows)-1])
				}
			}
			if len(c.rows) == 0 {
				continue
			}
			if best == nil {
				best = c
				continue
			}
			order := compareIDs(entryOf(&c.rows[0]), entryOf(&best.rows[0]))
			if w.newest && order >= 0 || !w.newest && order < 0 {
				best = c
			}
		}
		if best == nil {
			return nil
		}
		row := best.rows[0]
		best.rows = best.rows[1:]
		if more, err := do(best.p, &row); err != nil || !more {
			return err
		}
	}
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
