package streams

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// delayedScript moves due messages from the delayed ones back to INCOMING, with
// their id and time kept, so that the subscriptions of that moment get them.
//
// KEYS delayed, delayed:body, incoming. ARGV limit, now in ms.
// Returns the number moved and the ms until the next one is due (-1: none).
//
// Safe to repeat: what was moved is no longer in the set. XADD comes first, so out
// of memory leaves the message where it is.
var delayedScript = redis.NewScript(`
local now = tonumber(ARGV[2])
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
local moved = 0
for _, id in ipairs(due) do
  local packed = redis.call('HGET', KEYS[2], id)
  if packed then
    local fields, at = {}, 1
    while at <= #packed do
      local colon = string.find(packed, ':', at, true)
      local n = tonumber(string.sub(packed, at, colon - 1))
      fields[#fields + 1] = string.sub(packed, colon + 1, colon + n)
      at = colon + n + 1
    end
    redis.call('XADD', KEYS[3], '*', '~released', id, unpack(fields))
    moved = moved + 1
  end
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
end
local next = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not next[2] then return {moved, -1} end
return {moved, math.max(0, tonumber(next[2]) - now)}
`)

// ReleaseDelayed moves up to limit messages whose delay is over to the incoming
// stream. next is the time until there is more to do, negative when nothing waits.
func (s *Store) ReleaseDelayed(ctx context.Context, p, limit int) (moved int, next time.Duration, err error) {
	now, err := s.sharedNow(ctx)
	if err != nil {
		return 0, 0, err
	}
	k := []string{s.keys.delayed(p), s.keys.delayedBody(p), s.keys.incoming(p)}
	res, err := delayedScript.Run(ctx, s.client, k, limit, now.UnixMilli()).Int64Slice()
	if err != nil {
		return 0, 0, failed("release delayed messages", err)
	}
	return int(res[0]), time.Duration(res[1]) * time.Millisecond, nil
}
