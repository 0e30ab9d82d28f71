package streams

import (
	"context"
	"fmt"
	"time"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// delayedScript moves due messages from the delayed ones back to INCOMING. They keep their id and
// time. They are routed when they are due, so the subscriptions of that moment get them.
//
// KEYS 1–4 counts, 5 delayed, 6 delayed:body, 7 incoming.
// ARGV limit, now in ms, bytes after which no further message is moved.
// Returns {messages moved, ms until the next one is due (-1: there is none), what vanished}. A
// message vanished if its due time is there and its body is not.
//
// Safe to repeat: what was moved is no longer in the set. XADD comes first: it fails when Redis
// is out of memory, and the message stays where it is.
var delayedScript = rdb.NewScript(countLua + vanishedLua + `
local now = tonumber(ARGV[2])
local due = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', '(' .. now + 1, 'LIMIT', 0, ARGV[1]) -- the fraction is the place within a millisecond
local moved, room = 0, tonumber(ARGV[3])
for _, id in ipairs(due) do
  if room <= 0 then break end
  local packed = redis.call('HGET', KEYS[6], id)
  if packed then
    local fields, at = {}, 1
    while at <= #packed do
      local colon = string.find(packed, ':', at, true)
      local n = tonumber(string.sub(packed, at, colon - 1))
      fields[#fields + 1] = string.sub(packed, colon + 1, colon + n)
      at = colon + n + 1
    end
    redis.call('XADD', KEYS[7], '*', '~released', id, unpack(fields))
    moved, room = moved + 1, room - #packed
  else
    vanish('~delayed', id)
  end
  redis.call('ZREM', KEYS[5], id)
  redis.call('HDEL', KEYS[6], id)
end
local next = redis.call('ZRANGE', KEYS[5], 0, 0, 'WITHSCORES')
if not next[2] then return {moved, -1, vanished()} end
return {moved, math.max(0, math.floor(tonumber(next[2]) - now)), vanished()}
`)

// ReleaseDelayed moves messages whose delay is over to the incoming stream: at most limit, and fewer
// if their bodies are large. next is the time until the next one is due, negative if there is none.
func (s *Store) ReleaseDelayed(ctx context.Context, p, limit int) (moved int, next time.Duration, err error) {
	now, err := s.db.SharedNow(ctx)
	if err != nil {
		return 0, 0, err
	}
	k := append(s.countKeys(p), s.keys.Delayed(p), s.keys.DelayedBody(p), s.keys.Incoming(p))
	res, err := delayedScript.Run(ctx, s.db, k, limit, now.UnixMilli(), stepBytes).Slice()
	if err == nil && len(res) != 3 {
		err = fmt.Errorf("unreadable answer %v", res)
	}
	if err != nil {
		return 0, 0, rdb.Failed("release delayed messages", err)
	}
	s.noteVanished(p, res[2])
	return rdb.ToInt(res[0]), time.Duration(rdb.ToInt(res[1])) * time.Millisecond, nil
}
