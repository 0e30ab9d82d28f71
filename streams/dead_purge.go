package streams

import (
	"context"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// purgeDeadLua has purged(n), which counts n letters that were removed.
const purgeDeadLua = countLua + `
local function purged(n)
  if n > 0 then count(ARGV[1], n) end
  if redis.call('XLEN', KEYS[5]) == 0 then redis.pcall('SREM', KEYS[6], string.match(ARGV[1], ':(.*)')) end
  return n
end
`

// purgeDeadScript removes dead letters for good.
//
// KEYS 1–4 counts, 5 dead, 6 dead ones of active. ARGV name of the count, entry ids.
// Returns the number removed. Safe to repeat: a letter that is gone is not counted again.
var purgeDeadScript = rdb.NewScript(purgeDeadLua + `
return purged(redis.call('XDEL', KEYS[5], unpack(ARGV, 2)))
`)

// purgeAllDeadScript removes the oldest dead letters.
//
// KEYS as purgeDeadScript. ARGV name of the count, entry id after the last one to remove, about how many.
// Returns the number removed. Safe to repeat: it goes on with the next oldest, up to the same id.
var purgeAllDeadScript = rdb.NewScript(purgeDeadLua + `
local n = redis.call('XTRIM', KEYS[5], 'MINID', '~', ARGV[2], 'LIMIT', ARGV[3])
if n == 0 then n = redis.call('XTRIM', KEYS[5], 'MINID', ARGV[2]) end -- the rest is less than one node of the stream
return purged(n)
`)

// trimBatch is about how many letters one step removes, so that it holds Redis only for milliseconds.
const trimBatch = 10_000

// PurgeDead removes dead letters for good and returns how many it removed.
func (s *Store) PurgeDead(ctx context.Context, sub string, ids []string) (int, error) {
	return s.eachID(ids, s.deadID, func(p int, entryIDs []string) (int64, error) {
		argv := []any{}
		for _, id := range entryIDs {
			argv = append(argv, id)
		}
		return s.purgeDead(ctx, purgeDeadScript, p, sub, argv...)
	})
}

// PurgeAllDead is PurgeDead of every dead letter that exists when it begins. more and left
// mean the same as for ReplayAll.
func (s *Store) PurgeAllDead(ctx context.Context, sub string, more func(done, all int64) bool) (done, left int64, err error) {
	return s.allUntil(ctx, "dead letters of "+sub, s.deadKey(sub), more, func(p int, last string) (int64, error) {
		return s.purgeDead(ctx, purgeAllDeadScript, p, sub, rdb.NextID(last), trimBatch)
	})
}

func (s *Store) purgeDead(ctx context.Context, script *rdb.Script, p int, sub string, args ...any) (int64, error) {
	k := append(s.countKeys(p), s.keys.Dead(p, sub), s.keys.ActiveDead(p))
	n, err := script.Run(ctx, s.db, k, append([]any{purgedCount(sub)}, args...)...).Int64()
	return n, rdb.Failed("purge dead letters of "+sub, err)
}
