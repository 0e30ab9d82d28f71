package streams

import (
	"strings"

	"github.com/solate/medispatcher"
)

// countLua begins every script that counts. A step counts inside its own script, so that a
// repetition counts nothing twice. There is one hash for this second, this minute, this hour
// and all time each; the first three expire a little after they are last read. A field is
// "<what>:<name>", such as sent:billing or received:order.created; "sent:" is the sum of all
// names. Counting never fails a step.
//
// The names in a hash are bounded in bytes: each costs its length and 100 more. Topics and
// subscriptions have separate bounds, because producers make up topics. Fields "~topics" and
// "~subs" hold the bytes used so far. A name for which there is no room is counted as ~other.
// The totals have room for every subscription. All hashes of a partition together hold at
// most some 60 MB of topics and 270 MB of subscriptions.
//
// KEYS 1–4 counts of the second, the minute, the hour and all time.
const countLua = `
local count_kept = {75, 3900, 93600} -- s
local count_room = {
  ['~topics'] = {131072, 262144, 1048576, 4194304},
  ['~subs'] = {524288, 2097152, 4194304},
}
local count_topics = {['received:'] = true, ['unroutable:'] = true}
local function count_fits(i, kind, bytes)
  local names = count_topics[kind] and '~topics' or '~subs'
  local room = count_room[names][i]
  if not room then return true end
  local used = redis.pcall('HINCRBY', KEYS[i], names, bytes)
  if type(used) ~= 'number' or used <= room then return true end
  redis.pcall('HINCRBY', KEYS[i], names, -bytes)
  return false
end
local function count_all(counts)
  local kinds, sums = {}, {}
  for what, n in pairs(counts) do
    local kind = string.match(what, '^([^:]*:).')
    if kind then kinds[what], sums[kind] = kind, (sums[kind] or 0) + n end
  end
  for i = 1, 4 do
    local grown = false -- by a name: the hash may be new
    for what, n in pairs(counts) do
      if redis.pcall('HINCRBY', KEYS[i], what, n) == n then
        grown = true
        local kind = kinds[what]
        if kind and not count_fits(i, kind, #what + 100) then
          redis.pcall('HDEL', KEYS[i], what)
          redis.pcall('HINCRBY', KEYS[i], kind .. '~other', n)
        end
      end
    end
    for kind, n in pairs(sums) do redis.pcall('HINCRBY', KEYS[i], kind, n) end
    if grown and count_kept[i] then redis.pcall('EXPIRE', KEYS[i], count_kept[i]) end
  end
end
local counts = {}
local function note(what, n)
  if n > 0 then counts[what] = (counts[what] or 0) + n end
end
local function count_noted() count_all(counts) end
local function counted(work)
  local ok, result = pcall(work)
  count_noted()
  if not ok then error(result, 0) end
  return result
end
local function count(what, n) count_all({[what] = n}) end
`

// countHashes is the number of hashes in which a step counts; they are the first keys of its script.
const countHashes = 4

// subscriptionCounts are the counts of a subscription. Removing it removes them from the totals.
var subscriptionCounts = []string{"sent", "failed", "dead", "dropped", "filtered", "filter_failed", "released", "retried", "replayed", "purged", "trimmed", "panicked", "vanished", "unowned", "~ledger", "~early", strings.TrimSuffix(countBehind, ":")}

// countKeys are the hashes in which a step counts now. They follow the shared clock, so that
// dispatchers whose clocks differ count in the same seconds.
func (s *Store) countKeys(p int) []string {
	now := s.db.Now().Unix()
	return []string{s.keys.Stats(p, 's', now), s.keys.Stats(p, 'm', now/60), s.keys.Stats(p, 'h', now/3600), s.keys.StatsTotal(p)}
}

// appendCounts appends the names of the counts that an outcome increments, preceded by their number.
func appendCounts(argv []any, s *medispatcher.Settlement) []any {
	at := len(argv)
	argv = append(argv, 0)
	ended := s.Outcome == medispatcher.Exhausted || s.Outcome == medispatcher.Dropped
	switch failed := s.Outcome == medispatcher.Failed || ended && s.Failure != nil; { // the last attempt failed
	case failed && s.Panicked:
		argv = append(argv, "panicked:"+s.Subscription) // medispatcher failed, not the subscriber
	case failed:
		argv = append(argv, medispatcher.Failed.String()+":"+s.Subscription)
	}
	if s.Outcome != medispatcher.Failed {
		argv = append(argv, s.Outcome.String()+":"+s.Subscription)
	}
	if s.Attempt > 1 {
		argv = append(argv, "retried:"+s.Subscription)
	}
	argv[at] = len(argv) - at - 1
	return argv
}
