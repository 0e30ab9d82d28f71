package streams

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

// Read takes new messages of channels: READY → BURIED, owned by this process.
// All channels share one round trip. A channel without its group gets it, and is
// read at the next call. The deliveries are good even when the error is not nil:
// it names the channels that could not be read, whose entries may have been taken
// by a read whose reply was lost; see Mine.
func (s *Store) Read(ctx context.Context, wants []medispatcher.Want) ([]medispatcher.Delivery, error) {
	pipe := s.client.Pipeline()
	cmds := make([]*redis.XStreamSliceCmd, len(wants))
	for i, w := range wants {
		cmds[i] = pipe.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: groupPush, Consumer: s.cfg.ID, Block: -1, Count: int64(w.Max),
			Streams: []string{s.keys.channel(w.Partition, w.Subscription), ">"},
		})
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	var deliveries []medispatcher.Delivery
	var errs []error
	for i, cmd := range cmds {
		res, err := cmd.Result()
		if isNoGroup(err) {
			err = s.createGroup(ctx, s.keys.channel(wants[i].Partition, wants[i].Subscription), groupPush)
			if err == nil {
				err = medispatcher.ErrGroupCreated
			}
		}
		if err := failed("read "+wants[i].Subscription, err); err != nil {
			errs = append(errs, &medispatcher.ChannelError{Channel: wants[i].Channel, Err: err})
			continue
		}
		for _, stream := range res {
			for _, m := range stream.Messages {
				deliveries = append(deliveries, delivery(wants[i].Channel, m.ID, 1, m.Values))
			}
		}
	}
	return deliveries, errors.Join(errs...)
}

// delivery reads the fields of a channel's entry, which only Fanout writes.
func delivery(c medispatcher.Channel, entryID string, attempt int, values map[string]any) medispatcher.Delivery {
	d := medispatcher.Delivery{Channel: c, EntryID: entryID, Attempt: attempt}
	get := func(name string) string {
		v, _ := values[name].(string)
		return v
	}
	m := &d.Message
	m.ID, m.Topic, m.Sender, m.Key, m.Type = get("id"), get("topic"), get("sender"), get("key"), get("type")
	m.Body = []byte(get("body"))
	if m.ID == "" {
		m.ID, m.Generated = generatedID(c.Partition, get("~src")), true
	}
	if m.Type == "" {
		m.Type = medispatcher.DefaultType
	}
	if h := get("headers"); h != "" {
		m.Headers = decodeHeaders(h)
	}
	if ms, err := strconv.ParseInt(get("time"), 10, 64); err == nil {
		m.Time = time.UnixMilli(ms)
	}
	return d
}

// Delete settles deliveries for good, whoever owns their entries by now: a message
// that was delivered must not be delivered again. BURIED → DELETED.
// All of them are of partition p. It returns how many were not settled before.
func (s *Store) Delete(ctx context.Context, p int, done []medispatcher.Settlement) (int64, error) {
	subs, groups := bySubscription(done)
	minute, total := s.keys.stats(p, time.Now())
	k := append([]string{minute, total}, s.keys.channels(p, subs)...)
	argv := []any{}
	for i, sub := range subs {
		for outcome, ids := range groups[i] {
			for len(ids) > 0 {
				n := min(len(ids), maxUnpack)
				argv = append(argv, 3*i+3, outcome.String()+":"+sub, n)
				for _, id := range ids[:n] {
					argv = append(argv, id)
				}
				ids = ids[n:]
			}
		}
	}
	n, err := deleteScript.Run(ctx, s.client, k, argv...).Int64()
	return n, failed("settle", err)
}

// maxUnpack keeps a variadic command inside Lua's limit on arguments.
const maxUnpack = 1000

// bySubscription groups entry ids; groups stand in the order of subs.
func bySubscription(done []medispatcher.Settlement) (subs []string, groups []map[medispatcher.Outcome][]string) {
	index := map[string]int{}
	for _, d := range done {
		i, ok := index[d.Subscription]
		if !ok {
			i = len(subs)
			index[d.Subscription] = i
			subs = append(subs, d.Subscription)
			groups = append(groups, map[medispatcher.Outcome][]string{})
		}
		groups[i][d.Outcome] = append(groups[i][d.Outcome], d.EntryID)
	}
	return subs, groups
}

// deleteScript removes settled entries and what is recorded of them.
//
// KEYS counts of the minute, total counts, then channel, retry, failures for each subscription.
// ARGV for each group: number of its channel in KEYS, name of its count, n, n entry ids.
// Returns the number of entries that were pending.
//
// Safe to repeat: a second XACK finds nothing pending, so nothing is counted twice.
// XACK comes first: it is allowed out of memory, and so is then all that follows.
var deleteScript = redis.NewScript(`
local at, settled = 1, 0
while at <= #ARGV do
  local k, what, n = tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
  local ids = {}
  for i = 1, n do ids[i] = ARGV[at + 2 + i] end
  at = at + 3 + n
  local acked = redis.call('XACK', KEYS[k], 'push', unpack(ids))
  redis.call('XDEL', KEYS[k], unpack(ids))
  if redis.call('EXISTS', KEYS[k + 1], KEYS[k + 2]) > 0 then -- rarely: most succeed at once
    redis.call('ZREM', KEYS[k + 1], unpack(ids))
    redis.call('HDEL', KEYS[k + 2], unpack(ids))
  end
  if acked > 0 then
    if redis.pcall('HINCRBY', KEYS[1], what, acked) == acked then redis.pcall('EXPIRE', KEYS[1], 93600) end
    redis.pcall('HINCRBY', KEYS[2], what, acked)
    settled = settled + acked
  end
end
return settled
`)
