package streams

import (
	"strings"

	"github.com/solate/medispatcher"
)

// countLua begins every script that counts. A step counts inside its own script, so that a
// repetition counts nothing twice. There is one hash for this second, this minute, this hour
// and all time each; the first three expire a little after they are last read. A dispatcher counts in
// the hash "now" instead of those three, and folds it into them once a second; see FoldCounts. A field is
// "<what>:<name>", such as sent:billing or received:order.created; "sent:" is the sum of all
// names. Field "~at" of the hash "now" is the second that it is of. Counting never fails a step.
//
// The names in a hash are bounded in bytes: each costs its length and 100 more. Topics and
// subscriptions have separate bounds, because producers make up topics. Fields "~topics" and
// "~subs" hold the bytes used so far. A name for which there is no room is counted as ~other.
// The totals have room for every subscription. All hashes of a partition together hold at
// most some 60 MB of topics and 270 MB of subscriptions.
//
// KEYS 1–4 counts of the second, the minute, the hour and all time. If the first is the hash "now", the second
// says which second it is, and the third is not used.
const countLua = `
local function count_kept(i) return ({75, 3900, 93600})[i] end -- s
local function count_room(names, i)
  return ({
    ['~topics'] = {131072, 262144, 1048576, 4194304},
    ['~subs'] = {524288, 2097152, 4194304},
  })[names][i]
end
local count_hashes, count_at = {1, 2, 3, 4}, nil
if string.sub(KEYS[1], -4) == ':now' then count_hashes, count_at = {1, 4}, string.match(KEYS[2], '%d+$') end
local function count_names(kind) return (kind == 'received:' or kind == 'unroutable:') and '~topics' or '~subs' end
-- Whether a name has room, and whether it is the first one of all topics or subscriptions.
local function count_fits(i, kind, bytes)
  local names = count_names(kind)
  local room = count_room(names, i)
  if not room then return true end
  local used = redis.pcall('HINCRBY', KEYS[i], names, bytes)
  if type(used) ~= 'number' or used <= room then return true, used == bytes end
  redis.pcall('HINCRBY', KEYS[i], names, -bytes)
  return false
end
local function count_all(counts)
  local kinds, sums = {}, {}
  for what, n in pairs(counts) do
    local kind = string.match(what, '^([^:]*:).')
    if kind then kinds[what], sums[kind] = kind, (sums[kind] or 0) + n end
  end
  for _, i in ipairs(count_hashes) do
    local new = false -- the hash may be
    for what, n in pairs(counts) do
      if redis.pcall('HINCRBY', KEYS[i], what, n) == n then
        local kind, fits, first = kinds[what], true, true
        if kind then fits, first = count_fits(i, kind, #what + 100) end
        if not fits then
          redis.pcall('HDEL', KEYS[i], what)
          redis.pcall('HINCRBY', KEYS[i], kind .. '~other', n)
        end
        new = new or first
      end
    end
    for kind, n in pairs(sums) do redis.pcall('HINCRBY', KEYS[i], kind, n) end
    if new and i == 1 and count_at then
      if redis.pcall('HSETNX', KEYS[1], '~at', count_at) == 1 then redis.pcall('EXPIRE', KEYS[1], count_kept(3)) end
    elseif new and count_kept(i) then redis.pcall('EXPIRE', KEYS[i], count_kept(i)) end
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
	hashes := append(s.secondKeys(p, now), s.keys.StatsTotal(p))
	if s.folds.counts(p, now) {
		hashes[0], hashes[1] = s.keys.StatsNow(p), hashes[0]
	}
	return hashes
}

// secondKeys are the hashes of a second, its minute and its hour.
func (s *Store) secondKeys(p int, second int64) []string {
	return []string{s.keys.Stats(p, 's', second), s.keys.Stats(p, 'm', second/60), s.keys.Stats(p, 'h', second/3600)}
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
