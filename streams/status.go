package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// statusScript counts messages. It reads none: a body that passes through Lua costs Redis
// milliseconds for each megabyte.
//
// KEYS channel, retry, dead for each subscription. ARGV group of the streams.
// Returns {time in ms, for each {length, pending, retrying, dead, id of the first that is pending}…}; a
// key of a wrong type counts -1. Reads only.
var statusScript = redis.NewScript(`
local t = redis.call('TIME')
local function number(reply)
  if type(reply) == 'number' then return reply end
  return -1
end
local out = {t[1] * 1000 + math.floor(t[2] / 1000)}
for i = 1, #KEYS, 3 do
  local pending = redis.pcall('XPENDING', KEYS[i], ARGV[1])
  local dead = 0
  if KEYS[i + 2] ~= KEYS[i] then dead = number(redis.pcall('XLEN', KEYS[i + 2])) end
  out[#out + 1] = {number(redis.pcall('XLEN', KEYS[i])), number(pending[1] or 0),
    number(redis.pcall('ZCARD', KEYS[i + 1])), dead, pending[2] or ''}
end
return out
`)

// counts is what statusScript says of one stream.
type counts struct {
	length, pending, retrying, dead int64
	oldest                          int64 // age of the oldest message, in ms
}

// counts reads k, which names three keys for each stream.
func (s *Store) counts(ctx context.Context, k []string, group string) ([]counts, error) {
	res, err := statusScript.Run(ctx, s.db.Client, k, group).Slice()
	if err != nil {
		return nil, rdb.Failed("count", err)
	}
	if len(res) != 1+len(k)/3 {
		return nil, fmt.Errorf("redis: count: %d answers for %d streams", len(res)-1, len(k)/3)
	}
	now := int64(rdb.ToInt(res[0]))
	out, first := make([]counts, len(res)-1), make([]string, len(res)-1)
	var unread []int // streams that hold messages, none of them pending
	for i, r := range res[1:] {
		row, _ := r.([]any)
		if len(row) != 5 {
			return nil, fmt.Errorf("redis: count: unreadable answer %v", r)
		}
		out[i] = counts{length: int64(rdb.ToInt(row[0])), pending: int64(rdb.ToInt(row[1])), retrying: int64(rdb.ToInt(row[2])), dead: int64(rdb.ToInt(row[3]))}
		// Messages are read in order, so the first that is pending is the oldest of all.
		first[i], _ = row[4].(string)
		if out[i].length > 0 && first[i] == "" {
			unread = append(unread, i)
		}
	}
	for chunk := range slices.Chunk(unread, rdb.BodiesChunk) {
		if err := s.firstIDs(ctx, k, chunk, first); err != nil {
			return nil, rdb.Failed("count", err)
		}
	}
	for i, id := range first {
		if id != "" {
			out[i].oldest = max(0, now-Entry{ID: id}.Time().UnixMilli())
		}
	}
	return out, nil
}

// firstIDs reads the ids of the first entries of some of the streams of k into first. Redis has no
// command for that which leaves the bodies behind.
func (s *Store) firstIDs(ctx context.Context, k []string, of []int, first []string) error {
	pipe := s.db.Client.Pipeline()
	cmds := make([]*redis.XMessageSliceCmd, len(of))
	for n, i := range of {
		cmds[n] = pipe.XRangeN(ctx, k[3*i], "-", "+", 1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for n, i := range of {
		for _, e := range cmds[n].Val() {
			first[i] = e.ID
		}
	}
	return nil
}

// ChannelStatus counts the messages of subscriptions, over all partitions, in the order of ids.
func (s *Store) ChannelStatus(ctx context.Context, ids []string) ([]medispatcher.ChannelStatus, error) {
	out := make([]medispatcher.ChannelStatus, len(ids))
	for i, id := range ids {
		out[i].ID = id
	}
	for p := range s.cfg.Partitions {
		for from := 0; from < len(ids); from += rdb.SweepChunk {
			chunk := ids[from:min(from+rdb.SweepChunk, len(ids))]
			k := make([]string, 0, 3*len(chunk))
			for _, id := range chunk {
				k = append(k, s.keys.Channel(p, id), s.keys.Retry(p, id), s.keys.Dead(p, id))
			}
			rows, err := s.counts(ctx, k, rdb.GroupPush)
			if err != nil {
				return nil, err
			}
			for i, c := range rows {
				st := &out[from+i]
				st.Ready += max(0, c.length-c.pending)
				st.Buried += c.pending
				st.Retrying += c.retrying
				st.Dead += c.dead
				st.OldestMS = max(st.OldestMS, c.oldest)
			}
		}
	}
	return out, nil
}

// IncomingStatus counts the messages before their fan-out.
func (s *Store) IncomingStatus(ctx context.Context) (medispatcher.IncomingStatus, error) {
	var st medispatcher.IncomingStatus
	pipe := s.db.Client.Pipeline()
	unrouted := make([]*redis.IntCmd, s.cfg.Partitions)
	for p := range unrouted {
		unrouted[p] = pipe.XLen(ctx, s.keys.Unrouted(p))
	}
	if _, err := pipe.Exec(ctx); err != nil && !rdb.IsWrongType(err) {
		return st, rdb.Failed("count unrouted", err)
	}
	for p := range s.cfg.Partitions {
		k := []string{s.keys.Incoming(p), s.keys.Delayed(p), s.keys.Quarantine(p)}
		rows, err := s.counts(ctx, k, rdb.GroupFanout)
		if err != nil {
			return st, err
		}
		c := rows[0]
		st.Ready += max(0, c.length-c.pending)
		st.Buried += c.pending
		st.Delayed += c.retrying
		st.Quarantine += c.dead
		st.Unrouted += unrouted[p].Val()
		st.OldestMS = max(st.OldestMS, c.oldest)
	}
	return st, nil
}

// Waiting finds the channels of subscriptions that have something in them. It costs
// one XLEN for each channel, in round trips of sweepChunk, and is meant to run seldom. With an
// error, what was found is good all the same.
func (s *Store) Waiting(ctx context.Context, subs []string) ([]medispatcher.Waiting, error) {
	var waiting []medispatcher.Waiting
	var errs []error
	for p := range s.cfg.Partitions {
		for from := 0; from < len(subs); from += rdb.SweepChunk {
			found, err := s.waiting(ctx, p, subs[from:min(from+rdb.SweepChunk, len(subs))])
			if err != nil {
				errs = append(errs, err)
				break // the master of this partition is away; those of others need not be
			}
			waiting = append(waiting, found...)
		}
	}
	return waiting, errors.Join(errs...)
}

func (s *Store) waiting(ctx context.Context, p int, subs []string) ([]medispatcher.Waiting, error) {
	pipe := s.db.Client.Pipeline()
	lengths := make([]*redis.IntCmd, len(subs))
	for i, sub := range subs {
		lengths[i] = pipe.XLen(ctx, s.keys.Channel(p, sub))
	}
	if _, err := pipe.Exec(ctx); err != nil && !rdb.IsWrongType(err) {
		return nil, rdb.Failed("sweep", err)
	}
	var waiting []medispatcher.Waiting
	var dues []*redis.ZSliceCmd
	pipe = s.db.Client.Pipeline()
	for i, sub := range subs {
		if lengths[i].Val() > 0 {
			waiting = append(waiting, medispatcher.Waiting{
				Channel: medispatcher.Channel{Partition: p, Subscription: sub}, DueIn: -1,
			})
			dues = append(dues, pipe.ZRangeWithScores(ctx, s.keys.Retry(p, sub), 0, 0))
		}
	}
	if len(waiting) == 0 {
		return nil, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !rdb.IsWrongType(err) {
		return nil, rdb.Failed("sweep", err)
	}
	now := s.db.Now()
	for i, due := range dues {
		if z := due.Val(); len(z) > 0 {
			waiting[i].DueIn = max(0, time.UnixMilli(int64(z[0].Score)).Sub(now))
		}
	}
	return waiting, nil
}
