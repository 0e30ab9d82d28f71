package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// What stands in two keys is compared one way, entry by entry; how many the other key has
// too many follows from the sizes. What is missing at first sight is looked at once more,
// both keys at one moment: meanwhile dispatchers work.

// take asks for n of the entries that may still be compared; it gives a page at most.
func (d *exam) take(n, done int) int {
	n = max(0, min(n, doctorPage, d.left, d.limit()/4-done))
	d.left -= n
	return n
}

func (d *exam) limit() int { return cmp.Or(d.o.Most, mostEntries) }

// note adds a finding about compared entries, with what was not compared.
func (d *exam) note(check string, level Level, seen, do string) {
	f := Finding{Area: AreaMessages, Check: check, Level: level, Seen: seen, Do: do}
	if d.skipped > 0 {
		f.Partial = true
		f.Seen += fmt.Sprintf(" (%d more were not looked at)", d.skipped)
	}
	d.skipped = 0
	d.x.Findings = append(d.x.Findings, f)
}

// confirmChunk is small because such a look may bring bodies, and a transaction holds Redis.
const confirmChunk = 20

// confirm counts the ids for which a second look, both keys at one moment, says the same.
func (d *exam) confirm(ctx context.Context, ids []string, look func(pipe *rdb.Pipe, id string) func() bool) (n int64, err error) {
	for chunk := range slices.Chunk(ids, confirmChunk) {
		pipe := d.db.Tx(ctx)
		still := make([]func() bool, len(chunk))
		for i, id := range chunk {
			still[i] = look(pipe, id)
		}
		if err := pipe.Run(); ofServer(err) != nil {
			return n, rdb.Failed("look again", err)
		}
		for _, s := range still {
			if s() {
				n++
			}
		}
	}
	return n, nil
}
