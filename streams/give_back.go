package streams

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// giveBackScript gives back what a dead consumer left behind: its entries are due now, and the
// interrupted attempt is not counted. It removes the consumer once it owns nothing.
//
// KEYS 1–4 counts, 5 channel, 6 retry, 7 active. ARGV consumer, limit, due time.
// Returns {entries taken from it, 1 if it still owns some and else 0, what vanished}.
//
// Safe to repeat and to run by several at once: only one call finds an entry with the consumer,
// and moves it.
var giveBackScript = rdb.NewScript(countLua + vanishedLua + `
local ch, moved = KEYS[5], 0
for _, e in ipairs(redis.call('XPENDING', ch, 'push', '-', '+', ARGV[2], ARGV[1])) do
  if redis.call('XCLAIM', ch, 'push', '` + rdb.Buried + `', 0, e[1], 'RETRYCOUNT', e[4], 'JUSTID')[1] then
    redis.call('ZADD', KEYS[6], ARGV[3], e[1])
  else
    redis.call('XACK', ch, 'push', e[1])
    vanish(sub_of(ch), e[1])
  end
  moved = moved + 1
end
if moved > 0 then redis.pcall('SADD', KEYS[7], sub_of(ch)) end
if #redis.call('XPENDING', ch, 'push', '-', '+', 1, ARGV[1]) > 0 then return {moved, 1, vanished()} end
redis.call('XGROUP', 'DELCONSUMER', ch, 'push', ARGV[1])
return {moved, 0, vanished()}
`)

// GiveBack gives back up to limit entries of a dead consumer. more reports whether it owns
// others. If it does not, it is removed from the group.
func (s *Store) GiveBack(ctx context.Context, c medispatcher.Channel, consumer string, limit int) (moved int, more bool, err error) {
	k := append(s.countKeys(c.Partition), s.keys.Channel(c.Partition, c.Subscription), s.keys.Retry(c.Partition, c.Subscription), s.keys.Active(c.Partition))
	return s.giveBack(ctx, giveBackScript, "give back "+c.Subscription, c.Partition, k, consumer, limit, rdb.DueNow)
}

func (s *Store) giveBack(ctx context.Context, script *rdb.Script, step string, p int, k []string, args ...any) (moved int, more bool, err error) {
	res, err := script.Run(ctx, s.db, k, args...).Slice()
	if rdb.IsNoGroup(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, rdb.Failed(step, err)
	}
	if len(res) != 3 {
		return 0, false, rdb.Unreadable(step, res)
	}
	s.noteVanished(p, res[2])
	return rdb.ToInt(res[0]), rdb.ToInt(res[1]) != 0, nil
}

// giveBackIncomingScript moves what a dead fan-out consumer left behind to another consumer, and
// removes the dead one once it owns nothing.
//
// KEYS 1–4 counts, 5 incoming. ARGV dead consumer, limit, new owner.
// Returns as giveBackScript. Safe to repeat for the same reason.
var giveBackIncomingScript = rdb.NewScript(countLua + vanishedLua + `
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

// GiveBackIncoming moves up to limit entries of a dead fan-out consumer. With adopt they go to
// this process. Otherwise they go to ~buried, which no process is; every dispatcher adopts from it.
func (s *Store) GiveBackIncoming(ctx context.Context, p int, consumer string, limit int, adopt bool) (moved int, more bool, err error) {
	to := rdb.Buried
	if adopt {
		to = s.cfg.ID
	}
	return s.giveBack(ctx, giveBackIncomingScript, "give back incoming", p, append(s.countKeys(p), s.keys.Incoming(p)), consumer, limit, to)
}
