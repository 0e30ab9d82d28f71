package streams

import (
	"time"

	"github.com/solate/medispatcher"
)

// countLua begins every script that counts. A step counts what it does inside its script,
// so that a repetition counts nothing twice: in hashes of this second, minute and hour,
// which are kept a little longer than they are read, and of all time. Their fields are
// "<what>:<name>", such as sent:billing or received:order.created; "sent:" is the sum of all.
// Counting never fails a step. Producers that make up topics must not fill Redis: past a
// limit a new name counts as ~other.
//
// KEYS 1–4 counts of the second, the minute, the hour and all time.
const countLua = `
local function count_in(key, expire, field, n)
  local sum = redis.pcall('HINCRBY', key, field, n)
  if sum ~= n then return true end
  if expire > 0 then redis.pcall('EXPIRE', key, expire) end
  return redis.pcall('HLEN', key) <= 200000
end
local function count(what, n)
  local kind = string.match(what, '^([^:]*:).')
  for i, expire in ipairs({75, 3900, 93600, 0}) do
    if not count_in(KEYS[i], expire, what, n) and kind then
      redis.pcall('HDEL', KEYS[i], what)
      count_in(KEYS[i], expire, kind .. '~other', n)
    end
    if kind then count_in(KEYS[i], expire, kind, n) end
  end
end
`

// countKeys are the hashes that a step counts in now.
func (s *Store) countKeys(p int) []string {
	now := s.now().Unix()
	return []string{s.keys.stats(p, 's', now), s.keys.stats(p, 'm', now/60), s.keys.stats(p, 'h', now/3600), s.keys.statsTotal(p)}
}

// now is the time of Redis, as the last heartbeat told it: dispatchers whose clocks differ
// count in the same seconds.
func (s *Store) now() time.Time {
	return time.Now().Add(time.Duration(s.clockAhead.Load()))
}

// appendCounts appends the names under which an outcome counts, their number first.
func appendCounts(argv []any, s *medispatcher.Settlement) []any {
	at := len(argv)
	argv = append(argv, 0, s.Outcome.String()+":"+s.Subscription)
	if ended := s.Outcome == medispatcher.Exhausted || s.Outcome == medispatcher.Dropped; ended && s.Failure != nil {
		argv = append(argv, "failed:"+s.Subscription) // its last attempt did
	}
	if s.Attempt > 1 {
		argv = append(argv, "retried:"+s.Subscription)
	}
	argv[at] = len(argv) - at - 1
	return argv
}
