package report

import (
	"context"
	"fmt"
	"slices"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// failingLooked is how many retrying messages of a partition are read: those due soonest, because a
// message that failed lately has the shortest wait.
const failingLooked = 200

// Failing lists up to limit messages of a subscription that failed and will be retried, the latest
// failure first. If there are very many, it reads only those due soonest.
func (r *Report) Failing(ctx context.Context, sub string, limit int) ([]medispatcher.Failing, error) {
	if err := r.db.Hear(ctx); err != nil {
		return nil, err
	}
	var list []medispatcher.Failing
	for p := range r.db.Partitions() {
		due, err := rdb.Scores(r.db.With(ctx), "ZRANGE", r.keys.Retry(p, sub), 0, failingLooked-1, "WITHSCORES").Result()
		if err != nil {
			return nil, rdb.Failed("list failing messages of "+sub, err)
		}
		if len(due) == 0 {
			continue
		}
		ids := make([]string, len(due))
		for i, d := range due {
			ids[i] = d.Member
		}
		records, err := rdb.List(r.db.With(ctx), rdb.Cmd("HMGET", r.keys.Failures(p, sub), ids...)...).Result()
		if err != nil {
			return nil, rdb.Failed("list failing messages of "+sub, err)
		}
		for i, v := range records {
			record, has := v.(string)
			if !has {
				continue // it did not fail: it was given back or released
			}
			if f := entry.DecodeFailure(record); f != nil {
				list = append(list, medispatcher.Failing{Partition: p, Entry: ids[i], Due: r.db.ShownDue(due[i].Score), Failure: f})
			}
		}
	}
	slices.SortStableFunc(list, func(x, y medispatcher.Failing) int { return y.Failure.LastAt.Compare(x.Failure.LastAt) })
	list = list[:min(len(list), limit)]
	return list, r.nameFailing(ctx, sub, list)
}

// nameFailing fills in the id and topic of each message. They stay empty if the message is gone.
func (r *Report) nameFailing(ctx context.Context, sub string, list []medispatcher.Failing) error {
	for chunk := range slices.Chunk(list, rdb.BodiesChunk) {
		pipe := r.db.Pipe(ctx)
		cmds := make([]*rdb.Reply[[]rdb.Entry], len(chunk))
		for i, f := range chunk {
			cmds[i] = rdb.Range(pipe, r.keys.Channel(f.Partition, sub), f.Entry, f.Entry, 1)
		}
		if err := pipe.Run(); err != nil {
			return rdb.Failed("read failing messages of "+sub, err)
		}
		for i, cmd := range cmds {
			for _, e := range cmd.Val() {
				f := entry.CopyOf(e.Fields)
				m := f.Message(chunk[i].Partition)
				chunk[i].ID, chunk[i].Topic, chunk[i].Key = m.ID, m.Topic, m.Key
			}
		}
	}
	return r.countBehind(ctx, sub, list)
}

// countBehind fills in how many messages wait behind each one.
func (r *Report) countBehind(ctx context.Context, sub string, list []medispatcher.Failing) error {
	pipe := r.db.Pipe(ctx)
	lines := map[int]*rdb.Reply[string]{}
	for i, f := range list {
		if f.Key != "" {
			lines[i] = rdb.Text(pipe, "HGET", r.keys.Line(f.Partition, sub), "c"+f.Key)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	_ = pipe.Run() // each command has its own error
	for i, line := range lines {
		text, err := line.Result()
		if err != nil && !rdb.IsNil(err) && !rdb.IsWrongType(err) {
			return rdb.Failed("count what waits behind failing messages of "+sub, err)
		}
		var copies, first, last int64
		if n, _ := fmt.Sscan(text, &copies, &first, &last); n == 3 {
			list[i].Behind = last - first + 1
		}
	}
	return nil
}
