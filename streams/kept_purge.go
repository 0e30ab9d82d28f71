package streams

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// keptDropScript removes kept messages for good.
//
// KEYS as keptMoveLua. ARGV name of the count, most bytes (the last one may go beyond), then "ids" and entry ids, or "until",
// the last entry id and most entries: the oldest ones up to that.
// Returns {removed, looked at}. Safe to repeat: what is gone is not counted again.
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

// PurgeKept removes kept messages for good and returns how many were there. An id that cannot be one is
// medispatcher.Problems of "ids[…]", and nothing is done.
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

// PurgeAllKept is PurgeKept of the messages that are there when it begins. more is asked after each batch whether to go
// on. left is how many it did not come to.
func (s *Store) PurgeAllKept(ctx context.Context, place medispatcher.KeptPlace, more func(done, all int64) bool) (done, left int64, err error) {
	return s.allUntil(ctx, "messages in "+string(place), s.keptKey(place), more, func(p int, last string) (int64, error) {
		removed, _, err := s.runDrop(ctx, place, p, keptPurged(place), "until", last, keptPage)
		return removed, err
	})
}

func keptPurged(place medispatcher.KeptPlace) string { return string(place) + "_purged" }

// dropKept removes some of the entries, and tells how many of them it came to.
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
