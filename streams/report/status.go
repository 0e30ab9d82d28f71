package report

import (
	"context"
	"fmt"
	"slices"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// statusScript counts messages. It reads no entries, because a body that passes through Lua costs
// Redis milliseconds for each megabyte.
//
// KEYS channel, retry, dead, wait for each subscription. ARGV group of the streams.
// Returns {time in ms, for each {length, pending, retrying, dead, id of the first pending entry, waiting in lines}…}; a
// key of a wrong type counts -1. Safe to repeat: it only reads.
var statusScript = rdb.NewScript(`
local t = redis.call('TIME')
local function number(reply)
  if type(reply) == 'number' then return reply end
  return -1
end
local out = {t[1] * 1000 + math.floor(t[2] / 1000)}
for i = 1, #KEYS, 4 do
  local pending = redis.pcall('XPENDING', KEYS[i], ARGV[1])
  local dead = 0
  if KEYS[i + 2] ~= KEYS[i] then dead = number(redis.pcall('XLEN', KEYS[i + 2])) end
  out[#out + 1] = {number(redis.pcall('XLEN', KEYS[i])), number(pending[1] or 0),
    number(redis.pcall('ZCARD', KEYS[i + 1])), dead, pending[2] or '',
    number(redis.pcall('HLEN', KEYS[i + 3]))}
end
return out
`)

// counts is what statusScript returns for one stream.
type counts struct {
	length, pending, retrying, dead int64
	waiting                         int64 // in lines
	oldest                          int64 // age of the oldest message, in ms
}

// counts counts the messages of streams. k holds four keys for each.
func (r *Report) counts(ctx context.Context, k []string, group string) ([]counts, error) {
	res, err := statusScript.Run(ctx, r.db, k, group).Slice()
	if err != nil {
		return nil, rdb.Failed("count", err)
	}
	if len(res) != 1+len(k)/4 {
		return nil, rdb.Failed("count", fmt.Errorf("%d answers for %d streams", len(res)-1, len(k)/4))
	}
	now := int64(rdb.ToInt(res[0]))
	out, first := make([]counts, len(res)-1), make([]string, len(res)-1)
	var unread []int // streams with messages but no pending ones
	for i, answer := range res[1:] {
		row, _ := answer.([]any)
		if len(row) != 6 {
			return nil, rdb.Unreadable("count", answer)
		}
		out[i] = counts{length: int64(rdb.ToInt(row[0])), pending: int64(rdb.ToInt(row[1])), retrying: max(0, int64(rdb.ToInt(row[2]))), dead: max(0, int64(rdb.ToInt(row[3]))), waiting: max(0, int64(rdb.ToInt(row[5])))}
		// Messages are read in order, so the first pending one is the oldest of all.
		first[i], _ = row[4].(string)
		if out[i].length > 0 && first[i] == "" {
			unread = append(unread, i)
		}
	}
	for chunk := range slices.Chunk(unread, rdb.BodiesChunk) {
		if err := r.firstIDs(ctx, k, chunk, first); err != nil {
			return nil, rdb.Failed("count", err)
		}
	}
	for i, id := range first {
		if id != "" {
			out[i].oldest = max(0, now-streams.Entry{ID: id}.Time().UnixMilli())
		}
	}
	return out, nil
}

// firstIDs reads into first the id of the first entry of some streams of k. Redis has no command
// that returns the id without the body.
func (r *Report) firstIDs(ctx context.Context, k []string, of []int, first []string) error {
	pipe := r.db.Pipe(ctx)
	cmds := make([]*rdb.Reply[[]rdb.Entry], len(of))
	for n, i := range of {
		cmds[n] = rdb.Range(pipe, k[4*i], "-", "+", 1)
	}
	if err := pipe.Run(); err != nil {
		return err
	}
	for n, i := range of {
		for _, e := range cmds[n].Val() {
			first[i] = e.ID
		}
	}
	return nil
}

// countAll is the most subscriptions that are counted without asking which hold something.
const countAll = 16

// ChannelStatus counts the messages of subscriptions, over all partitions, in the order of ids. Of many it counts those
// that may hold something.
func (r *Report) ChannelStatus(ctx context.Context, ids []string) ([]medispatcher.ChannelStatus, error) {
	out := make([]medispatcher.ChannelStatus, len(ids))
	place := make(map[string]int, len(ids))
	for i, id := range ids {
		out[i].ID, place[id] = id, i
	}
	all := make([][]string, r.db.Partitions())
	if len(ids) > countAll {
		var err error
		if all, err = r.kept.MayHold(ctx); err != nil {
			return nil, err
		}
	}
	for p, subs := range all {
		if subs == nil {
			subs = ids
		}
		subs = slices.DeleteFunc(slices.Clone(subs), func(sub string) bool { _, asked := place[sub]; return !asked })
		for chunk := range slices.Chunk(subs, rdb.SweepChunk) {
			k := make([]string, 0, 4*len(chunk))
			for _, id := range chunk {
				k = append(k, r.keys.Channel(p, id), r.keys.Retry(p, id), r.keys.Dead(p, id), r.keys.Wait(p, id))
			}
			rows, err := r.counts(ctx, k, rdb.GroupPush)
			if err != nil {
				return nil, err
			}
			for i, c := range rows {
				st := &out[place[chunk[i]]]
				st.Ready += max(0, c.length-c.pending) + c.waiting
				st.Waiting += c.waiting
				st.Buried += c.pending
				st.Retrying += c.retrying
				st.Dead += c.dead
				st.OldestMS = max(st.OldestMS, c.oldest)
			}
		}
	}
	return out, nil
}

// IncomingStatus counts the messages that no channel has: waiting for their fan-out, delayed,
// quarantined and unrouted.
func (r *Report) IncomingStatus(ctx context.Context) (medispatcher.IncomingStatus, error) {
	st, err := r.IncomingWaiting(ctx)
	if err != nil {
		return st, err
	}
	st.Unrouted, err = r.sizes(ctx, "XLEN", r.keys.Unrouted)
	if err == nil {
		st.Quarantine, err = r.sizes(ctx, "XLEN", r.keys.Quarantine)
	}
	if err == nil {
		st.Delayed, err = r.sizes(ctx, "ZCARD", r.keys.Delayed)
	}
	if err == nil && r.kept.Archives() {
		var span medispatcher.ArchiveSpan
		span, err = r.kept.ArchiveSpan(ctx)
		st.Archive = &span
	}
	return st, err
}

// IncomingWaiting is the part of IncomingStatus that waits for its fan-out. An empty partition costs one command.
func (r *Report) IncomingWaiting(ctx context.Context) (st medispatcher.IncomingStatus, err error) {
	lengths, err := r.lengths(ctx, "XLEN", r.keys.Incoming)
	if err != nil {
		return st, err
	}
	for p, n := range lengths {
		if n == 0 {
			continue
		}
		rows, err := r.counts(ctx, []string{r.keys.Incoming(p), r.keys.Delayed(p), r.keys.Quarantine(p), r.keys.Quarantine(p)}, rdb.GroupFanout)
		if err != nil {
			return st, err
		}
		c := rows[0]
		st.Ready += max(0, c.length-c.pending)
		st.Buried += c.pending
		st.OldestMS = max(st.OldestMS, c.oldest)
	}
	return st, nil
}

// lengths asks for the size of a key of each partition, in one round trip. A key of a wrong type has none.
func (r *Report) lengths(ctx context.Context, command string, key func(p int) string) ([]int64, error) {
	pipe := r.db.Pipe(ctx)
	asked := make([]*rdb.Reply[int64], r.db.Partitions())
	for p := range asked {
		asked[p] = rdb.Int(pipe, command, key(p))
	}
	_ = pipe.Run() // each command has its own error
	out := make([]int64, len(asked))
	for p, n := range asked {
		if err := n.Err(); err != nil && !rdb.IsWrongType(err) {
			return nil, rdb.Failed("count", err)
		}
		out[p] = n.Val()
	}
	return out, nil
}

func (r *Report) sizes(ctx context.Context, command string, key func(p int) string) (sum int64, err error) {
	list, err := r.lengths(ctx, command, key)
	for _, n := range list {
		sum += n
	}
	return sum, err
}
