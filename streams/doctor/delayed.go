package doctor

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// examineDelayed compares the times of delayed messages with their bodies.
func (d *exam) examineDelayed(ctx context.Context) error {
	var lost, stuck int64
	var where int // a partition concerned, for the advice
	for _, h := range d.heads {
		if !h.within || h.delayed+h.bodies == 0 {
			continue
		}
		without, whole, err := d.withoutBody(ctx, h)
		if err != nil {
			return err
		}
		pipe := d.db.Client.TxPipeline()
		times, bodies := pipe.ZCard(ctx, d.keys.Delayed(h.p)), pipe.HLen(ctx, d.keys.DelayedBody(h.p))
		if _, err := pipe.Exec(ctx); err != nil {
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
		d.note("delayed", LevelProblem, count(lost, "delayed message")+" without a body: nothing will be delivered of them", "find out what Redis lost, or who deleted from "+d.keys.DelayedBody(where))
	}
	if stuck > 0 {
		d.note("delayed", LevelProblem, count(stuck, "delayed message")+" without a time: they never become due",
			"their bodies are in "+d.keys.DelayedBody(where)+"; redis-cli ZADD "+d.keys.Delayed(where)+" MS ENTRY gives one a time")
	}
	if lost+stuck == 0 {
		d.note("delayed", LevelOK, "each delayed message has its time and its body", "")
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
		ids, err := d.db.Client.ZRange(ctx, delayed, int64(done), int64(done+n-1)).Result()
		if err != nil || len(ids) == 0 {
			return without, true, rdb.Failed("list delayed messages", err)
		}
		var doubtful []string
		for chunk := range slices.Chunk(ids, doctorChunk) {
			pipe := d.db.Client.Pipeline()
			has := make([]*redis.BoolCmd, len(chunk))
			for i, id := range chunk {
				has[i] = pipe.HExists(ctx, bodies, id)
			}
			if _, err := pipe.Exec(ctx); err != nil {
				return without, false, rdb.Failed("look for bodies", err)
			}
			for i, id := range chunk {
				if !has[i].Val() {
					doubtful = append(doubtful, id)
				}
			}
		}
		confirmed, err := d.confirm(ctx, doubtful, func(pipe redis.Pipeliner, id string) func() bool {
			score, body := pipe.ZScore(ctx, delayed, id), pipe.HExists(ctx, bodies, id)
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
