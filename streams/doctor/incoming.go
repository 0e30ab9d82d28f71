package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// head is what one partition holds before the fan-out.
type head struct {
	p                                int
	within                           bool // the partition is below MEDIS_PARTITIONS
	noGroup                          bool
	owners                           map[string]int64
	first                            string // id of the oldest entry
	length, pending, delayed, bodies int64
}

// fanoutLate is the age of an incoming entry at which the fan-out counts as stuck.
const fanoutLate = time.Minute

// examineIncoming counts the messages that wait for their fan-out.
func (d *exam) examineIncoming(ctx context.Context) error {
	seen := map[int]bool{}
	for p := range d.db.Partitions() {
		seen[p] = true
		d.heads = append(d.heads, &head{p: p, within: true})
	}
	for _, at := range d.stock.places {
		if at.p >= 0 && !seen[at.p] {
			seen[at.p] = true
			d.heads = append(d.heads, &head{p: at.p})
		}
	}
	now, err := rdb.Time(d.db.With(ctx)).Result()
	if err != nil {
		return rdb.Failed("time", err)
	}
	// A few at a time: each answer holds the oldest entry with its body.
	for chunk := range slices.Chunk(d.heads, 10) {
		if err := d.countHeads(ctx, chunk); err != nil {
			return err
		}
	}
	d.judgeIncoming(now)
	return nil
}

func (d *exam) countHeads(ctx context.Context, chunk []*head) error {
	pipe := d.db.Pipe(ctx)
	pending := make([]*rdb.Reply[rdb.Owners], len(chunk))
	first := make([]*rdb.Reply[[]rdb.Entry], len(chunk))
	counts := make([][3]*rdb.Reply[int64], len(chunk))
	for i, h := range chunk {
		in := d.keys.Incoming(h.p)
		pending[i], first[i] = rdb.OwnersOf(pipe, in, rdb.GroupFanout), rdb.Range(pipe, in, "-", "+", 1)
		counts[i] = [3]*rdb.Reply[int64]{rdb.Int(pipe, "XLEN", in), rdb.Int(pipe, "ZCARD", d.keys.Delayed(h.p)), rdb.Int(pipe, "HLEN", d.keys.DelayedBody(h.p))}
	}
	_ = pipe.Run() // each command has its own error
	for i, h := range chunk {
		for n, into := range []*int64{&h.length, &h.delayed, &h.bodies} {
			if err := counts[i][n].Err(); err != nil && !rdb.IsWrongType(err) {
				return rdb.Failed("count incoming", err)
			}
			*into = counts[i][n].Val()
		}
		sum, err := pending[i].Result()
		switch {
		case rdb.IsNoStream(err):
			h.noGroup = true
		case err != nil && !rdb.IsWrongType(err):
			return rdb.Failed("list pending incoming entries", err)
		case err == nil:
			h.pending, h.owners = sum.Count, sum.Consumers
		}
		if entries := first[i].Val(); len(entries) > 0 {
			h.first = entries[0].ID
		}
	}
	return nil
}

func (d *exam) judgeIncoming(now time.Time) {
	var length int64
	var oldest time.Duration
	for _, h := range d.heads {
		if h.within && h.length > 0 {
			length += h.length
			oldest = max(oldest, now.Sub(rdb.EntryTime(h.first)))
		}
	}
	switch seen := count(length, "message") + " before the fan-out"; {
	case length == 0:
		d.ok(AreaMessages, "incoming", "no message waits for its fan-out")
	case oldest > fanoutLate && len(d.alive) > 0:
		d.add(AreaMessages, "incoming", LevelWarning, fmt.Sprintf("%s, the oldest for %s, although %s", seen, medispatcher.RoughDuration(oldest), runs(len(d.alive))),
			`look for "fan-out waits" in the dispatchers' logs; if they are only slow, add partitions or find out what slows Redis down`)
	default:
		d.ok(AreaMessages, "incoming", fmt.Sprintf("%s, the oldest for %s", seen, medispatcher.RoughDuration(max(0, oldest))))
	}
}

func runs(n int) string {
	if n == 1 {
		return "1 dispatcher runs"
	}
	return fmt.Sprintf("%d dispatchers run", n)
}
