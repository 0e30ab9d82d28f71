package streams

import (
	"context"
	"slices"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Delete settles deliveries for good. BURIED → DELETED. It does not matter who owns their
// entries by now, because a message that was delivered must not be delivered again.
// All of them are of partition p. It returns how many it settled; others were settled before.
func (s *Store) Delete(ctx context.Context, p int, done []medispatcher.Settlement) (int64, error) {
	k, place := s.settleKeys(p, done)
	argv := []any{}
	for _, g := range alike(done) {
		for ids := range slices.Chunk(g.ids, maxUnpack) {
			argv = append(argv, place[g.first.Subscription], len(ids))
			for _, id := range ids {
				argv = append(argv, id)
			}
			argv = appendCounts(argv, g.first)
		}
	}
	n, err := deleteScript.Run(ctx, s.db, k, argv...).Int64()
	return n, rdb.Failed("settle", err)
}

// maxUnpack keeps unpack within Lua's limit on arguments.
const maxUnpack = 1000

// group is the settlements of one channel that increment the same counts.
type group struct {
	first *medispatcher.Settlement
	ids   []string
}

// alike groups settlements by channel and by the counts they increment, in the order of first appearance.
func alike(done []medispatcher.Settlement) []*group {
	type kind struct {
		sub                       string
		outcome                   medispatcher.Outcome
		failed, retried, panicked bool
	}
	index := map[kind]*group{}
	var groups []*group
	for i := range done {
		d := &done[i]
		k := kind{d.Subscription, d.Outcome, d.Failure != nil, d.Attempt > 1, d.Panicked}
		g := index[k]
		if g == nil {
			g = &group{first: d}
			index[k] = g
			groups = append(groups, g)
		}
		g.ids = append(g.ids, d.EntryID)
	}
	return groups
}

// deleteScript removes settled entries, their due times and their failure records.
//
// KEYS 1–4 counts, then channel, retry, failures for each subscription.
// ARGV for each group: number of its channel in KEYS, n, n entry ids, m, m names of its counts.
// Returns the number of entries that it settled.
//
// Safe to repeat: a second XACK finds nothing pending, so nothing is counted twice.
// XACK comes first because Redis allows it, and then the rest of the script, even when out of memory.
var deleteScript = rdb.NewScript(countLua + `
local at, settled = 1, 0
while at <= #ARGV do
  local k, n = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local ids = {}
  for i = 1, n do ids[i] = ARGV[at + 1 + i] end
  at = at + 2 + n
  local acked = redis.call('XACK', KEYS[k], 'push', unpack(ids))
  acked = math.max(acked, redis.call('XDEL', KEYS[k], unpack(ids))) -- after an XACK by hand the entry is still unsettled
  if redis.call('EXISTS', KEYS[k + 1], KEYS[k + 2]) > 0 then -- rare: most messages succeed at the first attempt
    redis.call('ZREM', KEYS[k + 1], unpack(ids))
    redis.call('HDEL', KEYS[k + 2], unpack(ids))
  end
  local names = tonumber(ARGV[at])
  if acked > 0 then
    for i = 1, names do count(ARGV[at + i], acked) end
    settled = settled + acked
  end
  at = at + 1 + names
end
return settled
`)
