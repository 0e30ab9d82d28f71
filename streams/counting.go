package streams

import "github.com/solate/medispatcher"

// countLua begins every script that counts. A step counts what it does inside its script,
// so that a repetition counts nothing twice: in hashes of this second, minute and hour,
// which are kept a little longer than they are read, and of all time. Their fields are
// "<what>:<name>", such as sent:billing or received:order.created; "sent:" is the sum of all.
// Counting never fails a step.
//
// The names in a hash are bounded in bytes, 100 for each field beside its name, those of topics, which
// producers make up, apart from those of subscriptions: "~topics" and "~subs" are the bytes so far. A name that finds no
// room counts as ~other. The totals have room for every subscription. All hashes of a partition
// together hold some 60 MB of topics and 270 MB of subscriptions at most.
//
// KEYS 1–4 counts of the second, the minute, the hour and all time.
const countLua = `
local count_kept = {75, 3900, 93600} -- s
local count_room = {
  ['~topics'] = {131072, 262144, 1048576, 4194304},
  ['~subs'] = {524288, 2097152, 4194304},
}
local count_topics = {['received:'] = true, ['unroutable:'] = true}
local function count_in(i, field, n)
  local new = redis.pcall('HINCRBY', KEYS[i], field, n) == n
  if new and count_kept[i] then redis.pcall('EXPIRE', KEYS[i], count_kept[i]) end
  return new
end
local function count_fits(i, names, bytes)
  local room = count_room[names][i]
  if not room then return true end
  local used = redis.pcall('HINCRBY', KEYS[i], names, bytes)
  if type(used) ~= 'number' or used <= room then return true end
  redis.pcall('HINCRBY', KEYS[i], names, -bytes)
  return false
end
local function count(what, n)
  local kind = string.match(what, '^([^:]*:).')
  local names = count_topics[kind] and '~topics' or '~subs'
  for i = 1, 4 do
    local new = count_in(i, what, n)
    if kind then
      if new and not count_fits(i, names, #what + 100) then
        redis.pcall('HDEL', KEYS[i], what)
        count_in(i, kind .. '~other', n)
      end
      count_in(i, kind, n)
    end
  end
end
`

// subscriptionCounts are what is counted of a subscription; the totals forget them when it is removed.
var subscriptionCounts = []string{"sent", "failed", "dead", "dropped", "released", "retried", "replayed", "purged", "trimmed", "panicked", "vanished", "unowned", "~ledger", "~early"}

// countKeys are the hashes that a step counts in now, by the shared clock: dispatchers whose clocks
// differ count in the same seconds.
func (s *Store) countKeys(p int) []string {
	now := s.db.Now().Unix()
	return []string{s.keys.Stats(p, 's', now), s.keys.Stats(p, 'm', now/60), s.keys.Stats(p, 'h', now/3600), s.keys.StatsTotal(p)}
}

// appendCounts appends the names under which an outcome counts, their number first.
func appendCounts(argv []any, s *medispatcher.Settlement) []any {
	at := len(argv)
	argv = append(argv, 0)
	ended := s.Outcome == medispatcher.Exhausted || s.Outcome == medispatcher.Dropped
	switch failed := s.Outcome == medispatcher.Failed || ended && s.Failure != nil; { // its last attempt did
	case failed && s.Panicked:
		argv = append(argv, "panicked:"+s.Subscription) // the subscriber did not fail
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
