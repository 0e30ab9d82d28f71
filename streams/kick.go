package streams

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Owners lists the consumers of channels of one partition, in the order of subs. A channel that cannot be
// looked at, because its key is of a wrong type, has an error of its own.
func (s *Store) Owners(ctx context.Context, p int, subs []string) ([]medispatcher.Owned, error) {
	pipe := s.db.Pipe(ctx)
	consumers := make([]*rdb.Reply[map[string]int64], len(subs))
	for i, sub := range subs {
		consumers[i] = rdb.ConsumersOf(pipe, s.keys.Channel(p, sub), rdb.GroupPush)
	}
	_ = pipe.Run() // each command has its own error
	owned, lengths := make([]medispatcher.Owned, len(subs)), make([]*rdb.Reply[int64], len(subs))
	pipe = s.db.Pipe(ctx)
	for i, sub := range subs {
		list, err := consumers[i].Result()
		switch {
		case rdb.IsWrongType(err):
			owned[i].Err = rdb.Failed("list the consumers of "+sub, err)
			continue
		case err != nil && !rdb.IsNoStream(err):
			return nil, rdb.Failed("list the consumers of "+sub, err)
		case err == nil: // without a group there is nothing behind it
			lengths[i] = rdb.Int(pipe, "XLEN", s.keys.Channel(p, sub))
		}
		owned[i].Pending = list
	}
	if err := pipe.Run(); err != nil && !rdb.IsWrongType(err) {
		return nil, rdb.Failed("count entries", err)
	}
	for i, n := range lengths {
		if n != nil {
			owned[i].Length = n.Val()
		}
	}
	return owned, nil
}

// IncomingOwners is Owners of a partition's incoming stream.
func (s *Store) IncomingOwners(ctx context.Context, p int) (map[string]int64, error) {
	consumers, err := rdb.ConsumersOf(s.db.With(ctx), s.keys.Incoming(p), rdb.GroupFanout).Result()
	if err != nil && !rdb.IsNoStream(err) {
		return nil, rdb.Failed("list the consumers of incoming", err)
	}
	return consumers, nil
}

// kickScript gives back what a consumer that is gone left behind, due now, the
// attempt not counted, and removes the consumer once it owns nothing.
//
// KEYS 1–4 counts, 5 channel, 6 retry. ARGV consumer, limit, due time.
// Returns {entries taken from it, entries it still owns: 0 or 1 for more, what vanished of them}.
//
// Safe to repeat and to run by several at once: each entry is moved by the one call
// that finds it with the consumer.
var kickScript = rdb.NewScript(countLua + vanishedLua + `
local ch, moved = KEYS[5], 0
for _, e in ipairs(redis.call('XPENDING', ch, 'push', '-', '+', ARGV[2], ARGV[1])) do
  if redis.call('XCLAIM', ch, 'push', '~buried', 0, e[1], 'RETRYCOUNT', e[4], 'JUSTID')[1] then
    redis.call('ZADD', KEYS[6], ARGV[3], e[1])
  else
    redis.call('XACK', ch, 'push', e[1])
    vanish(sub_of(ch), e[1])
  end
  moved = moved + 1
end
if #redis.call('XPENDING', ch, 'push', '-', '+', 1, ARGV[1]) > 0 then return {moved, 1, vanished()} end
redis.call('XGROUP', 'DELCONSUMER', ch, 'push', ARGV[1])
return {moved, 0, vanished()}
`)

// GiveBack gives back up to limit entries of a consumer that is gone. more tells whether
// it owns others; when it does not, it is removed from the group.
func (s *Store) GiveBack(ctx context.Context, c medispatcher.Channel, consumer string, limit int) (moved int, more bool, err error) {
	k := append(s.countKeys(c.Partition), s.keys.Channel(c.Partition, c.Subscription), s.keys.Retry(c.Partition, c.Subscription))
	return s.kick(ctx, kickScript, "kick "+c.Subscription, c.Partition, k, consumer, limit, rdb.DueNow)
}

func (s *Store) kick(ctx context.Context, script *rdb.Script, step string, p int, k []string, args ...any) (moved int, more bool, err error) {
	res, err := script.Run(ctx, s.db, k, args...).Slice()
	if rdb.IsNoGroup(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, rdb.Failed(step, err)
	}
	if len(res) != 3 {
		return 0, false, rdb.Failed(step, fmt.Errorf("unreadable answer %v", res))
	}
	s.noteVanished(p, res[2])
	return rdb.ToInt(res[0]), rdb.ToInt(res[1]) != 0, nil
}

// kickIncomingScript moves what a fan-out consumer that is gone left behind to
// another consumer, and removes the former once it owns nothing.
//
// KEYS 1–4 counts, 5 incoming. ARGV consumer, limit, new owner.
// Returns as kickScript. Safe to repeat.
var kickIncomingScript = rdb.NewScript(countLua + vanishedLua + `
local incoming, moved = KEYS[5], 0
for _, e in ipairs(redis.call('XPENDING', incoming, 'fanout', '-', '+', ARGV[2], ARGV[1])) do
  if not redis.call('XCLAIM', incoming, 'fanout', ARGV[3], 0, e[1], 'RETRYCOUNT', e[4], 'JUSTID')[1] then
    redis.call('XACK', incoming, 'fanout', e[1])
    vanish('~incoming', e[1])
  end
  moved = moved + 1
end
if #redis.call('XPENDING', incoming, 'fanout', '-', '+', 1, ARGV[1]) > 0 then return {moved, 1, vanished()} end
redis.call('XGROUP', 'DELCONSUMER', incoming, 'fanout', ARGV[1])
return {moved, 0, vanished()}
`)

// GiveBackIncoming moves up to limit entries of a fan-out consumer that is gone to this
// process, or with adopt unset to a consumer that nobody is, where every dispatcher looks.
func (s *Store) GiveBackIncoming(ctx context.Context, p int, consumer string, limit int, adopt bool) (moved int, more bool, err error) {
	to := rdb.Buried
	if adopt {
		to = s.cfg.ID
	}
	return s.kick(ctx, kickIncomingScript, "kick incoming", p, append(s.countKeys(p), s.keys.Incoming(p)), consumer, limit, to)
}

// orphanScript finds entries of ~buried that no due time will ever wake.
//
// KEYS channel, retry. ARGV start of the range, limit, "1" to make every entry due now, "1" to change nothing, now in ms, due time.
// Returns {entries made due, where to go on ("": done)}.
//
// Safe to repeat: an entry with a due time is left alone.
var orphanScript = rdb.NewScript(`
local now = tonumber(ARGV[5])
local found = redis.call('XPENDING', KEYS[1], 'push', ARGV[1], '+', ARGV[2], '~buried')
local made = 0
for _, e in ipairs(found) do
  local due = redis.call('ZSCORE', KEYS[2], e[1])
  if not due or ARGV[3] == '1' and tonumber(due) > now then
    if ARGV[4] ~= '1' then redis.call('ZADD', KEYS[2], ARGV[6], e[1]) end
    made = made + 1
  end
end
if #found < tonumber(ARGV[2]) then return {made, ''} end
local ms, seq = string.match(found[#found][1], '(%d+)-(%d+)')
return {made, ms .. '-' .. string.format('%.0f', seq + 1)}
`)

// Orphans makes entries of ~buried that have no due time due now, and with all set
// every entry that waits. With dryRun it only counts them.
func (s *Store) Orphans(ctx context.Context, c medispatcher.Channel, all, dryRun bool) (int, error) {
	k := []string{s.keys.Channel(c.Partition, c.Subscription), s.keys.Retry(c.Partition, c.Subscription)}
	now, err := s.db.SharedNow(ctx)
	if err != nil {
		return 0, err
	}
	made, from := 0, "-"
	for from != "" {
		res, err := orphanScript.Run(ctx, s.db, k, from, kickBatch, all, dryRun, now.UnixMilli(), rdb.DueNow).Slice()
		if rdb.IsNoGroup(err) {
			return made, nil
		}
		if err != nil {
			return made, rdb.Failed("find entries without a due time", err)
		}
		made += rdb.ToInt(res[0])
		from, _ = res[1].(string)
	}
	return made, nil
}

// kickBatch is the most entries a script looks at, so that it holds Redis for milliseconds.
const kickBatch = 200
