package doctor

import (
	"cmp"
	"context"
	"slices"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// examineFailures finds failure records whose message is gone.
func (d *exam) examineFailures(ctx context.Context) error {
	var stale int64
	var in []string
	example := ""
	units := slices.Clone(d.units)
	slices.SortStableFunc(units, func(a, b *unit) int { return cmp.Compare(a.failures, b.failures) })
	for _, u := range units {
		if u.failures == 0 || !d.served(u) || u.noGroup { // without a group, the entries will be read again and keep their records
			continue
		}
		n, err := d.staleRecords(ctx, u)
		if err != nil {
			return err
		}
		if n > 0 {
			stale, in, example = stale+n, append(in, u.String()), d.keys.Failures(u.p, u.sub)
		}
	}
	if stale > 0 {
		d.note("failure records", LevelWarning, count(stale, "failure record")+" without a message: "+rdb.Some(in), "they only use memory; remove them with redis-cli HDEL KEY ENTRY, for example KEY "+example)
	} else {
		d.note("failure records", LevelOK, "every record has its message", "")
	}
	return nil
}

func (d *exam) staleRecords(ctx context.Context, u *unit) (stale int64, err error) {
	ch, failures := d.keys.Channel(u.p, u.sub), d.keys.Failures(u.p, u.sub)
	seen := map[string]bool{} // a scan may show a field twice
	for cursor := "0"; ; {
		if d.take(doctorChunk, len(seen)) == 0 {
			d.skipped += max(0, int(u.failures)-len(seen))
			return stale, nil
		}
		page, err := rdb.Scan(d.db.With(ctx), "HSCAN", failures, cursor, "COUNT", doctorChunk).Result()
		if err != nil {
			return stale, rdb.Failed("read failure records of "+u.sub, err)
		}
		var ids []string
		for pair := range slices.Chunk(page.Items, 2) {
			if !seen[pair[0]] {
				seen[pair[0]] = true
				ids = append(ids, pair[0])
			}
		}
		doubtful, err := d.notPending(ctx, ch, ids)
		if err != nil {
			return stale, err
		}
		// This look fetches bodies, so it is limited. Usually no record gets this far.
		few := doubtful[:min(len(doubtful), mostStreams)]
		d.skipped += len(doubtful) - len(few)
		n, err := d.confirm(ctx, few, func(pipe *rdb.Pipe, id string) func() bool {
			record, entry := rdb.Bool(pipe, "HEXISTS", failures, id), rdb.Range(pipe, ch, id, id, 1)
			return func() bool { return record.Val() && (entry.Err() != nil || len(entry.Val()) == 0) }
		})
		stale += n
		if err != nil {
			return stale, err
		}
		if cursor = page.Next; cursor == "0" {
			return stale, nil
		}
	}
}

// notPending returns the ids that no consumer owns.
func (d *exam) notPending(ctx context.Context, ch string, ids []string) (free []string, err error) {
	for chunk := range slices.Chunk(ids, doctorChunk) {
		pipe := d.db.Pipe(ctx)
		pending := make([]*rdb.Reply[[]rdb.Pending], len(chunk))
		for i, id := range chunk {
			pending[i] = rdb.PendingOf(pipe, ch, rdb.GroupPush, id, id, 1, "")
		}
		if err := pipe.Run(); ofServer(err) != nil {
			return nil, rdb.Failed("look for entries", err)
		}
		for i, id := range chunk {
			if len(pending[i].Val()) == 0 {
				free = append(free, id)
			}
		}
	}
	return free, nil
}
