package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

// sweepChunk is the number of channels asked for in one round trip.
const sweepChunk = 500

// statusScript counts messages without taking bodies out of Redis.
//
// KEYS channel, retry, dead for each subscription. ARGV group of the streams.
// Returns for each {length, pending, retrying, dead, age of the oldest in ms}; a
// key of a wrong type counts -1. Reads only.
var statusScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function number(reply)
  if type(reply) == 'number' then return reply end
  return -1
end
local out = {}
for i = 1, #KEYS, 3 do
  local pending = redis.pcall('XPENDING', KEYS[i], ARGV[1])
  local first = redis.pcall('XRANGE', KEYS[i], '-', '+', 'COUNT', 1)
  local age = 0
  if first[1] then age = now - tonumber(string.match(first[1][1], '^%d+')) end
  local dead = 0
  if KEYS[i + 2] ~= KEYS[i] then dead = number(redis.pcall('XLEN', KEYS[i + 2])) end
  out[#out + 1] = {number(redis.pcall('XLEN', KEYS[i])), number(pending[1] or 0),
    number(redis.pcall('ZCARD', KEYS[i + 1])), dead, math.max(0, age)}
end
return out
`)

// counts is what statusScript says of one stream.
type counts struct{ length, pending, retrying, dead, oldest int64 }

func (s *Store) counts(ctx context.Context, k []string, group string) ([]counts, error) {
	res, err := statusScript.Run(ctx, s.client, k, group).Slice()
	if err != nil {
		return nil, failed("count", err)
	}
	out := make([]counts, len(res))
	for i, r := range res {
		row, _ := r.([]any)
		if len(row) != 5 {
			return nil, fmt.Errorf("redis: count: unreadable answer %v", r)
		}
		out[i] = counts{int64(toInt(row[0])), int64(toInt(row[1])), int64(toInt(row[2])), int64(toInt(row[3])), int64(toInt(row[4]))}
	}
	return out, nil
}

// ChannelStatus counts the messages of subscriptions, over all partitions, in the order of ids.
func (s *Store) ChannelStatus(ctx context.Context, ids []string) ([]medispatcher.ChannelStatus, error) {
	out := make([]medispatcher.ChannelStatus, len(ids))
	for i, id := range ids {
		out[i].ID = id
	}
	for p := range s.cfg.Partitions {
		for from := 0; from < len(ids); from += sweepChunk {
			chunk := ids[from:min(from+sweepChunk, len(ids))]
			k := make([]string, 0, 3*len(chunk))
			for _, id := range chunk {
				k = append(k, s.keys.channel(p, id), s.keys.retry(p, id), s.keys.dead(p, id))
			}
			rows, err := s.counts(ctx, k, groupPush)
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
	for p := range s.cfg.Partitions {
		k := []string{s.keys.incoming(p), s.keys.delayed(p), s.keys.quarantine(p)}
		rows, err := s.counts(ctx, k, groupFanout)
		if err != nil {
			return st, err
		}
		c := rows[0]
		st.Ready += max(0, c.length-c.pending)
		st.Buried += c.pending
		st.Delayed += c.retrying
		st.Quarantine += c.dead
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
		for from := 0; from < len(subs); from += sweepChunk {
			found, err := s.waiting(ctx, p, subs[from:min(from+sweepChunk, len(subs))])
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
	pipe := s.client.Pipeline()
	lengths := make([]*redis.IntCmd, len(subs))
	for i, sub := range subs {
		lengths[i] = pipe.XLen(ctx, s.keys.channel(p, sub))
	}
	if _, err := pipe.Exec(ctx); err != nil && !isWrongType(err) {
		return nil, failed("sweep", err)
	}
	var waiting []medispatcher.Waiting
	var dues []*redis.ZSliceCmd
	pipe = s.client.Pipeline()
	for i, sub := range subs {
		if lengths[i].Val() > 0 {
			waiting = append(waiting, medispatcher.Waiting{
				Channel: medispatcher.Channel{Partition: p, Subscription: sub}, DueIn: -1,
			})
			dues = append(dues, pipe.ZRangeWithScores(ctx, s.keys.retry(p, sub), 0, 0))
		}
	}
	if len(waiting) == 0 {
		return nil, nil
	}
	if _, err := pipe.Exec(ctx); err != nil && !isWrongType(err) {
		return nil, failed("sweep", err)
	}
	now := s.now()
	for i, due := range dues {
		if z := due.Val(); len(z) > 0 {
			waiting[i].DueIn = max(0, time.UnixMilli(int64(z[0].Score)).Sub(now))
		}
	}
	return waiting, nil
}
