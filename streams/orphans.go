package streams

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// orphanScript gives a due time to entries of ~buried that have none and so would never be tried again.
//
// KEYS channel, retry, active.
// ARGV subscription, start of the range, limit, "1" to include entries that are due later, "1" to change nothing, now in ms, due time.
// Returns {entries made due, id to go on from ("": done)}.
//
// Safe to repeat: what it made due has a due time, and is left alone.
var orphanScript = rdb.NewScript(`
local now = tonumber(ARGV[6])
local found = redis.call('XPENDING', KEYS[1], 'push', ARGV[2], '+', ARGV[3], '` + rdb.Buried + `')
local made = 0
for _, e in ipairs(found) do
  local due = redis.call('ZSCORE', KEYS[2], e[1])
  if not due or ARGV[4] == '1' and tonumber(due) > now then
    if ARGV[5] ~= '1' then redis.call('ZADD', KEYS[2], ARGV[7], e[1]) end
    made = made + 1
  end
end
if made > 0 and ARGV[5] ~= '1' then redis.pcall('SADD', KEYS[3], ARGV[1]) end
if #found < tonumber(ARGV[3]) then return {made, ''} end
local ms, seq = string.match(found[#found][1], '(%d+)-(%d+)')
return {made, ms .. '-' .. string.format('%.0f', seq + 1)}
`)

// Orphans makes those entries of ~buried due now that have no due time. With all it does so
// to every entry that waits for its next attempt, and to what failed behind others of its key. With dryRun it only counts them.
func (s *Store) Orphans(ctx context.Context, c medispatcher.Channel, all, dryRun bool) (int, error) {
	k := []string{s.keys.Channel(c.Partition, c.Subscription), s.keys.Retry(c.Partition, c.Subscription), s.keys.Active(c.Partition)}
	now, err := s.db.SharedNow(ctx)
	if err != nil {
		return 0, err
	}
	made, from := 0, "-"
	if all { // first: whoever delivers the one that is due reads those behind it
		if made, err = s.kickLines(ctx, c, dryRun, now.UnixMilli()); err != nil {
			return made, err
		}
	}
	for from != "" {
		res, err := orphanScript.Run(ctx, s.db, k, c.Subscription, from, lookBatch, all, dryRun, now.UnixMilli(), rdb.DueNow).Slice()
		if rdb.IsNoGroup(err) {
			return made, nil
		}
		if err != nil {
			return made, rdb.Failed("find entries without a due time", err)
		}
		made += rdb.ToInt(res[0])
		from, _ = res[1].(string)
	}
	return made, nil
}

// lookBatch is the most entries that a script checks, so that it holds Redis only for milliseconds.
const lookBatch = 200
