package doctor

import (
	"context"
	"slices"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// examineDelayed finds delayed messages that have a due time but no body, or a body but no due time.
func (d *exam) examineDelayed(ctx context.Context) error {
	var lost, stuck int64
	var where int // a partition with a fault, for the advice
	for _, h := range d.heads {
		if !h.within || h.delayed+h.bodies == 0 {
			continue
		}
		without, whole, err := d.withoutBody(ctx, h)
		if err != nil {
			return err
		}
		pipe := d.db.ReadTx(ctx)
		times, bodies := rdb.Int(pipe, "ZCARD", d.keys.Delayed(h.p)), rdb.Int(pipe, "HLEN", d.keys.DelayedBody(h.p))
		if err := pipe.Run(); err != nil {
			return rdb.Failed("count delayed messages", err)
		}
		if lost += without; without > 0 {
			where = h.p
		}
		if n := bodies.Val() - times.Val() + without; n > 0 && whole {
			stuck, where = stuck+n, h.p
		}
	}
	if lost > 0 {
		d.note("delayed", LevelProblem, count(lost, "delayed message")+" without a body, and so lost", "find out what Redis lost, or who deleted from "+d.keys.DelayedBody(where))
	}
	if stuck > 0 {
		d.note("delayed", LevelProblem, count(stuck, "delayed message")+" without a due time, and so stuck",
			"give each a time (their bodies are in "+d.keys.DelayedBody(where)+"): redis-cli ZADD "+d.keys.Delayed(where)+" MS ENTRY")
	}
	if lost+stuck == 0 {
		d.note("delayed", LevelOK, "every delayed message has a due time and a body", "")
	}
	return nil
}

func (d *exam) withoutBody(ctx context.Context, h *head) (without int64, whole bool, err error) {
	delayed, bodies := d.keys.Delayed(h.p), d.keys.DelayedBody(h.p)
	for done := 0; done < int(h.delayed); {
		n := d.take(int(h.delayed)-done, done)
		if n == 0 {
			d.skipped += int(h.delayed) - done
			return without, false, nil
		}
		ids, err := rdb.Texts(d.db.With(ctx), "ZRANGE", delayed, int64(done), int64(done+n-1)).Result()
		if err != nil || len(ids) == 0 {
			return without, true, rdb.Failed("list delayed messages", err)
		}
		var doubtful []string
		for chunk := range slices.Chunk(ids, doctorChunk) {
			pipe := d.db.Pipe(ctx)
			has := make([]*rdb.Reply[bool], len(chunk))
			for i, id := range chunk {
				has[i] = rdb.Bool(pipe, "HEXISTS", bodies, id)
			}
			if err := pipe.Run(); err != nil {
				return without, false, rdb.Failed("look for bodies", err)
			}
			for i, id := range chunk {
				if !has[i].Val() {
					doubtful = append(doubtful, id)
				}
			}
		}
		confirmed, err := d.confirm(ctx, doubtful, func(pipe *rdb.Pipe, id string) func() bool {
			score, body := rdb.Float(pipe, "ZSCORE", delayed, id), rdb.Bool(pipe, "HEXISTS", bodies, id)
			return func() bool { return score.Err() == nil && !body.Val() }
		})
		without += confirmed
		if err != nil {
			return without, false, err
		}
		done += len(ids)
	}
	return without, true, nil
}
