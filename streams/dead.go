package streams

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

// deadScript makes dead letters of entries whose attempts are exhausted.
//
// KEYS counts of the minute, total counts, then channel, retry, failures, dead for each entry.
// ARGV consumer, longest dead-letter stream (0: unlimited), then for each entry:
// name of its count, entry id, failure record.
// Returns the number of entries that were the consumer's.
//
// Safe to repeat: an entry that is not the consumer's is left alone. XADD comes
// first, so out of memory leaves the entry where it is.
var deadScript = redis.NewScript(`
local me, longest, moved = ARGV[1], tonumber(ARGV[2]), 0
local function count(what, n)
  if redis.pcall('HINCRBY', KEYS[1], what, n) == n then redis.pcall('EXPIRE', KEYS[1], 93600) end
  redis.pcall('HINCRBY', KEYS[2], what, n)
end
for i = 3, #ARGV, 3 do
  local what, id, record = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local k = 3 + (i - 3) / 3 * 4
  local ch, retry, failures, dead = KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
  if #redis.call('XPENDING', ch, 'push', id, id, 1, me) > 0 then
    local found = redis.call('XRANGE', ch, id, id)
    if found[1] then
      local fields = found[1][2]
      fields[#fields + 1] = 'failure'
      fields[#fields + 1] = record
      redis.call('XADD', dead, '*', unpack(fields))
      if longest > 0 then
        local trimmed = redis.call('XTRIM', dead, 'MAXLEN', longest)
        if trimmed > 0 then count('trimmed:' .. string.match(what, ':(.*)'), trimmed) end
      end
    end
    redis.call('XACK', ch, 'push', id)
    redis.call('XDEL', ch, id)
    redis.call('ZREM', retry, id)
    redis.call('HDEL', failures, id)
    count(what, 1)
    moved = moved + 1
  end
end
return moved
`)

// Kill makes dead letters of deliveries that this process owns. BURIED → DEAD.
// All of them are of partition p.
func (s *Store) Kill(ctx context.Context, p int, exhausted []medispatcher.Settlement) error {
	minute, total := s.keys.stats(p, time.Now())
	k, argv := []string{minute, total}, []any{s.cfg.ID, s.cfg.DeadMaxLen}
	for _, e := range exhausted {
		record, err := encodeFailure(e.Failure)
		if err != nil {
			return err
		}
		k = append(k, s.keys.channels(p, []string{e.Subscription})...)
		k = append(k, s.keys.dead(p, e.Subscription))
		argv = append(argv, e.Outcome.String()+":"+e.Subscription, e.EntryID, record)
	}
	return failed("bury for good", deadScript.Run(ctx, s.client, k, argv...).Err())
}
