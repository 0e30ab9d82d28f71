package doctor

import (
	"context"
	"slices"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// mostStreams bounds how many streams without a group are examined with XINFO STREAM, whose
// answer holds two bodies.
const mostStreams = 100

// lostGroup is a stream with entries but without its group. Every new stream is like that before
// its first read. lost says that it had been read, so its group was lost.
type lostGroup struct {
	key, name string
	lost      bool
}

// judgeGroups finds lost groups. A group that was never created is not lost.
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
				return rdb.Failed("examine "+g.key, err)
			}
			// Entries were removed, so somebody has read the stream.
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
		d.ok(AreaMessages, "groups", "every stream that was read has its consumer group")
		return nil
	}
	d.add(AreaMessages, "groups", LevelProblem, "the consumer group is lost, but the stream has entries: "+rdb.Some(lost),
		"find out what Redis lost (restart, failover, FLUSHALL); dispatchers create the group again from 0, and what was in flight is delivered again, from attempt 1")
	if len(found) > mostStreams {
		last := &d.x.Findings[len(d.x.Findings)-1]
		last.Seen, last.Partial = last.Seen+"; only the first 100 streams without a group were examined", true
	}
	return nil
}

// judgeDeleted finds streams from which somebody deleted entries by hand. It finds only streams with
// more pending entries than entries. A dispatcher notices the others, and settles them, when it
// takes the entry.
func (d *exam) judgeDeleted(ctx context.Context) error {
	var places []string
	var gone int64
	look := func(key, group, name string) error {
		pipe := d.db.ReadTx(ctx) // both at one moment
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
		d.add(AreaMessages, "deleted by hand", LevelWarning, "at least "+entries(gone)+" pending but no longer in the stream: "+rdb.Some(places),
			"find out who ran XDEL or XTRIM: these messages are lost; dispatchers count them and remove what is left of them when they are due")
	}
	return nil
}
