package streams

import (
	"context"
	"slices"
	"strconv"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Delete settles deliveries for good. BURIED → DELETED. It does not matter who owns their
// entries by now, because a message that was delivered must not be delivered again.
// All of them are of partition p. It returns how many it settled; others were settled before.
func (s *Store) Delete(ctx context.Context, p int, done []medispatcher.Settlement) (int64, error) {
	k := keyList{keys: s.countKeys(p), index: map[string]int{}}
	var traces []string
	argv := []any{0}
	for _, g := range alike(done) {
		sub := g.first.Subscription
		channel := k.place(s.keys.Channel(p, sub))
		if channel > countHashes+len(traces)/2 {
			traces = append(traces, s.keys.Retry(p, sub), s.keys.Failures(p, sub))
		}
		for ids := range slices.Chunk(g.ids, maxUnpack) {
			argv = append(argv, channel, len(ids))
			for _, id := range ids {
				argv = append(argv, id)
			}
			argv = appendCounts(argv, g.first)
		}
	}
	argv[0] = len(k.keys)
	n, err := deleteScript.Run(ctx, s.db, append(k.keys, traces...), argv...).Int64()
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
// KEYS 1–4 counts, then the channels, then retry and failures of each channel.
// ARGV number of the last channel in KEYS, then for each group: number of its channel, n, n entry ids, m, m names of its counts.
// Returns the number of entries that it settled.
//
// Safe to repeat: a second XACK finds nothing pending, so nothing is counted twice.
// XACK comes before anything else is written, because Redis allows it, and then the rest of the script, even when
// out of memory.
var deleteScript = rdb.NewScript(countLua + `
local channels, settled, traces = tonumber(ARGV[1]), 0, 0
-- As long as all messages succeed at the first attempt, none of these keys exists.
for k = channels + 1, #KEYS, ` + strconv.Itoa(maxUnpack) + ` do
  traces = traces + redis.call('EXISTS', unpack(KEYS, k, math.min(#KEYS, k + ` + strconv.Itoa(maxUnpack-1) + `)))
end
local at = 2
counted(function()
  while at <= #ARGV do
    local k, first = tonumber(ARGV[at]), at + 2
    local last = at + 1 + tonumber(ARGV[at + 1])
    local names = tonumber(ARGV[last + 1])
    local acked = redis.call('XACK', KEYS[k], 'push', unpack(ARGV, first, last))
    acked = math.max(acked, redis.call('XDEL', KEYS[k], unpack(ARGV, first, last))) -- after an XACK by hand the entry is still unsettled
    if traces > 0 then
      local retry = channels + 2 * (k - 4) - 1
      local failures = retry + 1
      if redis.call('EXISTS', KEYS[retry], KEYS[failures]) > 0 then
        redis.call('ZREM', KEYS[retry], unpack(ARGV, first, last))
        redis.call('HDEL', KEYS[failures], unpack(ARGV, first, last))
      end
    end
    for i = last + 2, last + 1 + names do note(ARGV[i], acked) end
    settled = settled + acked
    at = last + 2 + names
  end
end)
return settled
`)
