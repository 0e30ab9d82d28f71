package streams

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// purgeScript empties a channel. READY and BURIED → purged.
//
// KEYS 1–4 counts, 5 channel, 6 retry, 7 failures. ARGV name of the count.
// Returns {READY, BURIED} that were there.
//
// Safe to repeat: it then finds nothing. The group is made anew in the same step, so no
// dispatcher meets a channel without one, and what they have in flight settles to nothing.
// The new stream goes on behind the last id of the old one: an entry that comes after would
// else get the id of one in flight if the clock went back, and be acknowledged in its place.
// UNLINK comes first: it is allowed out of memory, and so is then all that follows. It frees
// a million entries in the background, where XTRIM would hold Redis for as long as that takes.
var purgeScript = rdb.NewScript(countLua + `
local ch, ready, buried = KEYS[5], 0, 0
if redis.call('EXISTS', ch) == 1 then
  local length, pending = redis.call('XLEN', ch), redis.pcall('XPENDING', ch, 'push')
  buried = tonumber(pending[1] or 0) -- none without a group
  ready = math.max(0, length - buried)
  local info, last = redis.call('XINFO', 'STREAM', ch), ''
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
  redis.call('UNLINK', ch)
  if last ~= '' and last ~= '0-0' then -- else it never had an entry
    redis.call('XADD', ch, last, '~', '')
    redis.call('XDEL', ch, last)
  end
  redis.call('XGROUP', 'CREATE', ch, 'push', '0', 'MKSTREAM')
  redis.call('HSET', KEYS[4], '~ledger:' .. string.match(ARGV[1], ':(.*)'), 'reset')
end
redis.call('UNLINK', KEYS[6], KEYS[7])
if ready + buried > 0 then count(ARGV[1], ready + buried) end
return {ready, buried}
`)

// Purge throws away what is in a subscription's channel, in every partition, and returns how
// many messages were READY and BURIED. Dead letters stay. What dispatchers have in flight ends
// as it may; nothing of it is left. After an error the numbers are of what is purged already.
func (s *Store) Purge(ctx context.Context, sub string) (ready, buried int64, err error) {
	for p := range s.cfg.Partitions {
		k := append(s.countKeys(p), s.keys.Channels(p, []string{sub})...)
		res, err := purgeScript.Run(ctx, s.db, k, purgedCount(sub)).Int64Slice()
		if err == nil && len(res) != 2 {
			err = fmt.Errorf("unreadable answer %v", res)
		}
		if err != nil {
			return ready, buried, rdb.Failed("purge "+sub, err)
		}
		ready, buried = ready+res[0], buried+res[1]
	}
	return ready, buried, nil
}

// purgedCount names the count of messages that an operator threw away, dead letters included.
func purgedCount(sub string) string { return "purged:" + sub }

// discardScript removes every key of a subscription.
//
// KEYS 1–4 counts, 5 channel, 6 retry, 7 failures, 8 dead.
// ARGV name of the count, "1" to remove them even when they hold messages, then every name in the totals.
// Returns {READY, BURIED, DEAD} that were there; without "1" they still are.
//
// Safe to repeat: it then finds nothing. UNLINK is allowed out of memory. The totals forget the
// subscription, so that those of all that ever were do not pile up; the sums over all keep it.
var discardScript = rdb.NewScript(countLua + `
local function number(reply)
  if type(reply) == 'number' then return reply end
  return 0 -- a key of a wrong type holds no messages
end
local length, dead = number(redis.pcall('XLEN', KEYS[5])), number(redis.pcall('XLEN', KEYS[8]))
local buried = number(redis.pcall('XPENDING', KEYS[5], 'push')[1])
local ready = math.max(0, length - buried)
local n = ready + buried + dead
if n > 0 and ARGV[2] ~= '1' then return {ready, buried, dead} end
redis.call('UNLINK', KEYS[5], KEYS[6], KEYS[7], KEYS[8])
if n > 0 then count(ARGV[1], n) end
redis.pcall('HDEL', KEYS[4], unpack(ARGV, 3))
return {ready, buried, dead}
`)

// Discard removes a subscription's channel, retries, failure records and dead letters from
// every partition. With messages unset it leaves alone what holds any: looking and
// removing are one step, so that nothing which arrives meanwhile is lost. It returns what was
// there. What dispatchers have in flight ends as gone.
func (s *Store) Discard(ctx context.Context, sub string, messages bool) (medispatcher.ChannelStatus, error) {
	held := medispatcher.ChannelStatus{ID: sub}
	argv := []any{purgedCount(sub), messages}
	for _, what := range subscriptionCounts {
		argv = append(argv, what+":"+sub)
	}
	for p := range s.cfg.Partitions {
		k := append(s.countKeys(p), s.keys.Channels(p, []string{sub})...)
		k = append(k, s.keys.Dead(p, sub))
		res, err := discardScript.Run(ctx, s.db, k, argv...).Int64Slice()
		if err == nil && len(res) != 3 {
			err = fmt.Errorf("unreadable answer %v", res)
		}
		if err != nil {
			return held, rdb.Failed("discard "+sub, err)
		}
		held.Ready, held.Buried, held.Dead = held.Ready+res[0], held.Buried+res[1], held.Dead+res[2]
	}
	return held, nil
}
