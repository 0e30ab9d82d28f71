package streams

import (
	"context"
	"fmt"
	"strconv"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Delete settles deliveries for good. BURIED → DELETED. It does not matter who owns their
// entries by now, because a message that was delivered must not be delivered again.
// All of them are of partition p. It returns how many it settled; others were settled before.
func (s *Store) Delete(ctx context.Context, p int, done []medispatcher.Settlement) (settled int64, err error) {
	if err := s.settleRuns(ctx, p, done); err != nil {
		return 0, err
	}
	for groups := alike(done); len(groups) > 0; {
		k := keyList{keys: s.countKeys(p), index: map[string]int{}}
		var subs []string
		argv := []any{0}
		for _, g := range groups {
			sub := g.first.Subscription
			channel := k.place(s.keys.Channel(p, sub))
			if channel > countHashes+len(subs) {
				subs = append(subs, sub)
			}
			argv = append(argv, channel, len(g.ids))
			for _, id := range g.ids {
				argv = append(argv, id)
			}
			argv = appendCounts(argv, g.first)
		}
		argv[0] = len(k.keys)
		for _, sub := range subs {
			k.keys = append(k.keys, s.keys.Retry(p, sub), s.keys.Failures(p, sub))
		}
		for _, sub := range subs {
			k.keys = append(k.keys, s.keys.Line(p, sub))
		}
		for _, sub := range subs {
			k.keys = append(k.keys, s.keys.Wait(p, sub))
		}
		res, err := deleteScript.Run(ctx, s.db, k.keys, argv...).Int64Slice()
		if err == nil && (len(res) < 3 || res[1] < int64(len(groups)) && res[1]+res[2] == 0) {
			err = fmt.Errorf("unreadable answer %v", res)
		}
		if err != nil {
			return settled, rdb.Failed("settle", err)
		}
		settled += res[0]
		followed(s, p, res[3:], func(n int64) string { return subs[n-countHashes-1] })
		if groups = groups[res[1]:]; len(groups) > 0 {
			groups[0].ids = groups[0].ids[res[2]:]
		}
	}
	return settled, nil
}

// maxUnpack keeps unpack within Lua's limit on arguments.
const maxUnpack = 1000

// group is up to maxUnpack settlements of one channel that increment the same counts.
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
		if g == nil || len(g.ids) == maxUnpack {
			g = &group{first: d}
			index[k] = g
			groups = append(groups, g)
		}
		g.ids = append(g.ids, d.EntryID)
	}
	return groups
}

// deleteScript removes settled entries, their due times and their failure records. Where they held up others of their key,
// the next one becomes READY.
//
// KEYS 1–4 counts, then the channels, then retry and failures of each channel, then line of each, then wait of each.
// ARGV number of the last channel in KEYS, then for each group: number of its channel, n, n entry ids, m, m names of its counts.
// Returns {entries that it settled, groups that are done, entries of the next one that are done, then numbers of the
// channels with new READY messages}. It ends early if it has moved many bytes.
//
// Safe to repeat: a second XACK finds nothing pending, so nothing is counted twice, and a copy leaves its line once.
// XACK comes before anything else is written, because Redis allows it, and then the rest of the script, even when
// out of memory.
var deleteScript = rdb.NewScript(countLua + `
local channels, settled, traces, lines = tonumber(ARGV[1]), 0, 0, 0
local step = ` + strconv.Itoa(maxUnpack) + `
local function there(first, last)
  local n = 0
  for k = first, last, step do n = n + redis.call('EXISTS', unpack(KEYS, k, math.min(last, k + step - 1))) end
  return n
end
-- As long as all messages succeed at the first attempt, and without ordered subscriptions, none of these keys exists.
local n = channels - 4
traces, lines = there(channels + 1, channels + 2 * n), there(channels + 2 * n + 1, channels + 3 * n)
local look, leave
if lines > 0 then -- making functions takes time, and most steps need none of these
` + lineLua + leaveLua + `
  look, leave = line_look, line_leave_all
end
local ready, new = {}, {}
local at, groups, part = 2, 0, 0
counted(function()
  while at <= #ARGV do
    local k, first = tonumber(ARGV[at]), at + 2
    local last = at + 1 + tonumber(ARGV[at + 1])
    local names, upto, looked = tonumber(ARGV[last + 1]), last, nil
    local line, wait = KEYS[k + 3 * n], KEYS[k + 4 * n]
    if lines > 0 then
      looked, upto = look(line, wait, ARGV, first, last)
      if upto < first then return end
    end
    local acked = redis.call('XACK', KEYS[k], 'push', unpack(ARGV, first, upto))
    acked = math.max(acked, redis.call('XDEL', KEYS[k], unpack(ARGV, first, upto))) -- after an XACK by hand the entry is still unsettled
    if traces > 0 then
      local retry = channels + 2 * (k - 4) - 1
      local failures = retry + 1
      if redis.call('EXISTS', KEYS[retry], KEYS[failures]) > 0 then
        redis.pcall('ZREM', KEYS[retry], unpack(ARGV, first, upto)) -- one of a wrong type must not end the step here, half done
        redis.pcall('HDEL', KEYS[failures], unpack(ARGV, first, upto))
      end
    end
    if looked and leave(KEYS[k], line, wait, looked, ARGV, first, upto) and not new[k] then
      new[k], ready[#ready + 1] = true, k
    end
    for i = last + 2, last + 1 + names do note(ARGV[i], acked) end
    settled = settled + acked
    if upto < last then
      part = upto - first + 1
      return
    end
    groups = groups + 1
    at = last + 2 + names
  end
end)
return {settled, groups, part, unpack(ready)}
`)
