package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Some facts stand in two keys, and both must agree. The entries of one key are looked up in the
// other. The sizes of both then tell how many entries only the other one has. Dispatchers work
// meanwhile, so an entry that seems to be missing is looked up again, in both keys in one transaction.

// take reserves up to n of the entries that may still be compared, one page at most.
func (d *exam) take(n, done int) int {
	n = max(0, min(n, doctorPage, d.left, d.limit()/4-done))
	d.left -= n
	return n
}

func (d *exam) limit() int { return cmp.Or(d.o.Most, mostEntries) }

// note adds a finding about compared entries. It says how many were not compared.
func (d *exam) note(check string, level Level, seen, do string) {
	f := Finding{Area: AreaMessages, Check: check, Level: level, Seen: seen, Do: do}
	if d.skipped > 0 {
		f.Partial = true
		f.Seen += fmt.Sprintf(" (%d more were not examined)", d.skipped)
	}
	d.skipped = 0
	d.x.Findings = append(d.x.Findings, f)
}

// confirmChunk is small because the second look may fetch bodies, and a transaction blocks Redis.
const confirmChunk = 20

// confirm looks at both keys again, in one transaction, and counts the ids for which the fault persists.
func (d *exam) confirm(ctx context.Context, ids []string, look func(pipe *rdb.Pipe, id string) func() bool) (n int64, err error) {
	for chunk := range slices.Chunk(ids, confirmChunk) {
		pipe := d.db.ReadTx(ctx)
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
