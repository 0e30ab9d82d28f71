package streams

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// keptDropScript removes kept messages for good.
//
// KEYS as keptMoveLua.
// ARGV name of the count, most bytes (the last message may exceed them), then either "ids" and entry ids, or "until", an
// entry id and most entries, for the oldest entries up to that id.
// Returns {messages removed, ids or entries handled}. Safe to repeat: what is gone is not counted again.
var keptDropScript = rdb.NewScript(keptMoveLua + `
local room, removed, looked = tonumber(ARGV[2]), 0, 0
local most = ARGV[3] == 'ids' and #ARGV - 3 or tonumber(ARGV[5])
while looked < most and room > 0 do -- one by one: bodies may be large
  local from, to = '-', ARGV[4]
  if ARGV[3] == 'ids' then from, to = ARGV[4 + looked], ARGV[4 + looked] end
  local found = redis.call('XRANGE', KEYS[5], from, to, 'COUNT', 1)[1]
  if found then
    room = room - size_of(found[2], #found[2])
    removed = removed + forget(KEYS[5], KEYS[6], found)
  elseif ARGV[3] ~= 'ids' then
    break
  end
  looked = looked + 1
end
if removed > 0 then count(ARGV[1], removed) end
return {removed, looked}
`)

// PurgeKept removes kept messages for good and returns how many it removed. If an id is malformed, nothing
// is done, and the error is medispatcher.Problems of "ids[…]".
func (s *Store) PurgeKept(ctx context.Context, place medispatcher.KeptPlace, ids []string) (int, error) {
	split := func(id string) (int, string, error) { return s.splitKeptID(place, id) }
	return s.eachID(ids, split, func(p int, entries []string) (removed int64, err error) {
		for len(entries) > 0 {
			n, looked, err := s.dropKept(ctx, place, p, keptPurged(place), entries)
			removed += n
			if err != nil {
				return removed, err
			}
			entries = entries[looked:]
		}
		return removed, nil
	})
}

// PurgeAllKept is PurgeKept of every message that exists when it begins. After each batch more says whether to go on. left
// is how many messages were not handled.
func (s *Store) PurgeAllKept(ctx context.Context, place medispatcher.KeptPlace, more func(done, all int64) bool) (done, left int64, err error) {
	return s.allUntil(ctx, "messages in "+string(place), s.keptKey(place), more, func(p int, last string) (int64, error) {
		removed, _, err := s.runDrop(ctx, place, p, keptPurged(place), "until", last, keptPage)
		return removed, err
	})
}

func keptPurged(place medispatcher.KeptPlace) string { return string(place) + "_purged" }

// dropKept removes entries, as many as fit into one step. looked is how many of them it handled.
func (s *Store) dropKept(ctx context.Context, place medispatcher.KeptPlace, p int, what string, entries []string) (removed int64, looked int, err error) {
	args := []any{"ids"}
	for _, entry := range entries {
		args = append(args, entry)
	}
	return s.runDrop(ctx, place, p, what, args...)
}

func (s *Store) runDrop(ctx context.Context, place medispatcher.KeptPlace, p int, what string, args ...any) (removed int64, looked int, err error) {
	stream, size := s.keptStream(place, p)
	res, err := keptDropScript.Run(ctx, s.db, append(s.countKeys(p), stream, size), append([]any{what, keptBytes}, args...)...).Int64Slice()
	if err == nil && len(res) != 2 {
		err = fmt.Errorf("unreadable answer %v", res)
	}
	if err != nil {
		return 0, 0, rdb.Failed("remove from "+string(place), err)
	}
	return res[0], int(res[1]), nil
}
