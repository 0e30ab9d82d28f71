package streams

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// purgeScript empties a channel. READY and BURIED → purged.
//
// KEYS 1–4 counts, 5 channel, 6 retry, 7 failures, 8 active, 9 line, 10 wait. ARGV name of the count.
// Returns {READY, BURIED}: how many of each it removed.
//
// Safe to repeat: it then finds nothing. It recreates the group in the same step, so that no
// dispatcher finds a channel without one. What dispatchers have in flight settles to nothing.
// The ids of the new stream go on after the last id of the old one. Otherwise, if the clock
// went back, a new entry could get the id of one in flight, and be acknowledged in its place.
// UNLINK comes first because Redis allows it, and then the rest of the script, even when out of
// memory. It frees entries in the background, where XTRIM would hold Redis meanwhile.
var purgeScript = rdb.NewScript(countLua + `
local ch, ready, buried = KEYS[5], 0, 0
local waits, lined = redis.pcall('HLEN', KEYS[10]), redis.call('EXISTS', KEYS[9]) == 1
redis.call('UNLINK', KEYS[9], KEYS[10])
if redis.call('EXISTS', ch) == 1 then
  local length, pending = redis.call('XLEN', ch), redis.pcall('XPENDING', ch, 'push')
  buried = tonumber(pending[1] or 0) -- none without a group
  ready = math.max(0, length - buried)
  local info, last = redis.call('XINFO', 'STREAM', ch), ''
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
  redis.call('UNLINK', ch)
  if last ~= '' and last ~= '0-0' then -- otherwise it never had an entry
    redis.call('XADD', ch, last, '~', '')
    redis.call('XDEL', ch, last)
  end
  redis.call('XGROUP', 'CREATE', ch, 'push', '0', 'MKSTREAM')
  redis.call('HSET', KEYS[4], '~ledger:' .. string.match(ARGV[1], ':(.*)'), 'reset')
end
redis.call('UNLINK', KEYS[6], KEYS[7])
if type(waits) == 'number' then ready = ready + waits end
if lined then redis.call('HSET', KEYS[9], '~', 'on') end -- nothing stands before the next copy
redis.pcall('SREM', KEYS[8], string.match(ARGV[1], ':(.*)'))
if ready + buried > 0 then count(ARGV[1], ready + buried) end
return {ready, buried}
`)

// Purge removes every message from a subscription's channel, in all partitions, and returns how
// many were READY and BURIED. Dead letters stay. Attempts in flight go on, but leave nothing
// behind in Redis. With an error the numbers are those of the partitions purged so far.
func (s *Store) Purge(ctx context.Context, sub string) (ready, buried int64, err error) {
	for p := range s.db.Partitions() {
		k := append(append(s.countKeys(p), s.keys.Channels(p, []string{sub})...), s.keys.Active(p), s.keys.Line(p, sub), s.keys.Wait(p, sub))
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

// purgedCount names the count of messages that an operator purged, including dead letters.
func purgedCount(sub string) string { return "purged:" + sub }

// discardScript removes every key of a subscription.
//
// KEYS 1–4 counts, 5 channel, 6 retry, 7 failures, 8 dead, 9 active, 10 its dead ones, 11 line, 12 wait.
// ARGV name of the count, "1" to remove them even if they hold messages, then the names of the subscription's totals.
// Returns {READY, BURIED, DEAD}: how many of each it found. Without "1" they are still there.
//
// Safe to repeat: it then finds nothing. Redis allows UNLINK when out of memory. The subscription's
// totals are removed, so that those of old subscriptions do not pile up. The sums over all
// subscriptions stay.
var discardScript = rdb.NewScript(countLua + `
local function number(reply)
  if type(reply) == 'number' then return reply end
  return 0 -- a key of a wrong type holds no messages
end
local length, dead = number(redis.pcall('XLEN', KEYS[5])), number(redis.pcall('XLEN', KEYS[8]))
local buried = number(redis.pcall('XPENDING', KEYS[5], 'push')[1])
local ready = math.max(0, length - buried) + number(redis.pcall('HLEN', KEYS[12]))
local n = ready + buried + dead
if n > 0 and ARGV[2] ~= '1' then return {ready, buried, dead} end
redis.call('UNLINK', KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[11], KEYS[12])
for k = 9, 10 do redis.pcall('SREM', KEYS[k], string.match(ARGV[1], ':(.*)')) end
if n > 0 then count(ARGV[1], n) end
redis.pcall('HDEL', KEYS[4], unpack(ARGV, 3))
return {ready, buried, dead}
`)

// Discard removes a subscription's channel, retries, failure records and dead letters from
// every partition. Without messages it leaves a partition alone that holds any message. It
// checks and removes in one step, so that no message which arrives meanwhile is lost. It
// returns what it found. Attempts in flight end as gone.
func (s *Store) Discard(ctx context.Context, sub string, messages bool) (medispatcher.ChannelStatus, error) {
	held := medispatcher.ChannelStatus{ID: sub}
	argv := []any{purgedCount(sub), messages}
	for _, what := range subscriptionCounts {
		argv = append(argv, what+":"+sub)
	}
	for p := range s.db.Partitions() {
		k := append(s.countKeys(p), s.keys.Channels(p, []string{sub})...)
		k = append(k, s.keys.Dead(p, sub), s.keys.Active(p), s.keys.ActiveDead(p), s.keys.Line(p, sub), s.keys.Wait(p, sub))
		res, err := discardScript.Run(ctx, s.db, k, argv...).Int64Slice()
		if err == nil && len(res) != 3 {
			err = fmt.Errorf("unreadable answer %v", res)
		}
		if err != nil {
			return held, rdb.Failed("discard "+sub, err)
		}
		held.Ready, held.Buried, held.Dead = held.Ready+res[0], held.Buried+res[1], held.Dead+res[2]
	}
	if !messages && held.Ready+held.Buried+held.Dead > 0 {
		return held, nil
	}
	err := rdb.Int(s.db.With(ctx), "DEL", s.keys.Deliveries(sub)).Err()
	return held, rdb.Failed("discard "+sub, err)
}
