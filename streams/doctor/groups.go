package doctor

import (
	"context"
	"slices"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// mostStreams bounds how many streams without a group are asked for their history: the
// answer holds two bodies each.
const mostStreams = 100

// lostGroup is a stream with entries and without its group. That is how a stream begins, before
// the first read; lost is the group of one that had been read.
type lostGroup struct {
	key, name string
	lost      bool
}

// judgeGroups tells lost groups from those that were never made.
func (d *exam) judgeGroups(ctx context.Context) error {
	var found []*lostGroup
	for _, u := range d.units {
		if u.noGroup && u.length > 0 && d.served(u) {
			found = append(found, &lostGroup{d.keys.Channel(u.p, u.sub), u.String(), u.retrying+u.failures > 0})
		}
	}
	for _, h := range d.heads {
		if h.noGroup && h.length > 0 && h.within {
			found = append(found, &lostGroup{d.keys.Incoming(h.p), inPartition(kindIncoming, h.p), false})
		}
	}
	asked := found[:min(len(found), mostStreams)]
	for chunk := range slices.Chunk(asked, 10) {
		pipe := d.db.Pipe(ctx)
		infos := make([]*rdb.Reply[rdb.StreamInfo], len(chunk))
		for i, g := range chunk {
			infos[i] = rdb.InfoOf(pipe, g.key)
		}
		_ = pipe.Run() // each command has its own error
		for i, g := range chunk {
			info, err := infos[i].Result()
			if err != nil && !rdb.IsNoStream(err) && !rdb.IsWrongType(err) {
				return rdb.Failed("look at "+g.key, err)
			}
			// Something was settled here once, or more: somebody has read it.
			g.lost = g.lost || err == nil && info.Added > info.Length
		}
	}
	var lost []string
	for _, g := range found {
		if g.lost {
			lost = append(lost, g.name)
		}
	}
	if len(lost) == 0 {
		d.ok(AreaMessages, "groups", "every stream that was read has its group")
		return nil
	}
	d.add(AreaMessages, "groups", LevelProblem, "lost, with entries in the stream: "+rdb.Some(lost),
		"dispatchers make it anew from 0, so what was in flight is delivered again, from attempt 1; find out what Redis lost (restart, failover, FLUSHALL)")
	if len(found) > mostStreams {
		last := &d.x.Findings[len(d.x.Findings)-1]
		last.Seen, last.Partial = last.Seen+"; only the first 100 streams without a group were looked at", true
	}
	return nil
}

// judgeDeleted finds channels of which somebody deleted entries by hand. It sees those that have
// more pending than entries; others are noticed, and settled, when a dispatcher takes the entry.
func (d *exam) judgeDeleted(ctx context.Context) error {
	var places []string
	var gone int64
	look := func(key, group, name string) error {
		pipe := d.db.Tx(ctx) // both at one moment
		length, pending := rdb.Int(pipe, "XLEN", key), rdb.OwnersOf(pipe, key, group)
		if err := pipe.Run(); err != nil && !rdb.IsNoStream(err) {
			return rdb.Failed("count "+name, err)
		}
		if sum := pending.Val(); sum.Count > length.Val() {
			gone += sum.Count - length.Val()
			places = append(places, name)
		}
		return nil
	}
	for _, u := range d.units {
		if u.pending > u.length {
			if err := look(d.keys.Channel(u.p, u.sub), rdb.GroupPush, u.String()); err != nil {
				return err
			}
		}
	}
	for _, h := range d.heads {
		if h.pending > h.length {
			if err := look(d.keys.Incoming(h.p), rdb.GroupFanout, inPartition(kindIncoming, h.p)); err != nil {
				return err
			}
		}
	}
	if gone > 0 {
		d.add(AreaMessages, "deleted by hand", LevelWarning, "at least "+entries(gone)+" pending and not in the stream any more: "+rdb.Some(places),
			"these messages are lost (XDEL, XTRIM); dispatchers clear what is left of them, and count them, when it is due")
	}
	return nil
}
