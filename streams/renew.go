package streams

import (
	"context"
	"time"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// renewLua recreates a stream whose ids are used up. Somebody wrote an entry with an id far in the future, perhaps
// the largest there is. XADD then goes on after that id, or is refused for good.
//
// renew(stream, group) recreates the stream if it is empty, and returns whether it did. A stream with entries must
// keep their ids, which others know. A stream whose last id is at most a year ahead stays: the clock may have been
// there, and the ids that it gave must not be given twice.
// Safe to repeat: the new stream has normal ids.
const renewLua = `
local function no_ids(err)
  return string.find(err, 'exhausted', 1, true) or string.find(err, 'equal or smaller', 1, true)
end
local function out_of_reach(id)
  local t = redis.call('TIME')
  return tonumber(string.match(id, '^%d+')) / 1000 > t[1] + 366 * 86400
end
local function last_id(stream)
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
  return '0-0'
end
local function renew(stream, group)
  if redis.call('EXISTS', stream) == 0 or redis.call('XLEN', stream) > 0 or not out_of_reach(last_id(stream)) then return false end
  redis.call('UNLINK', stream)
  redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  return true
end
`

// renewScript recreates the incoming stream if its ids are used up.
//
// KEYS incoming. Returns 0: its ids are normal; 1: it was recreated; 2: its ids are used up, but it is not empty.
// Safe to repeat: a new stream has normal ids.
var renewScript = rdb.NewScript(renewLua + `
if renew(KEYS[1], 'fanout') then return 1 end
if redis.call('EXISTS', KEYS[1]) == 1 and out_of_reach(last_id(KEYS[1])) then return 2 end
return 0
`)

func (s *Store) renewIncoming(ctx context.Context, p int) (int, error) {
	state, err := renewScript.Run(ctx, s.db, []string{s.keys.Incoming(p)}).Int()
	return state, rdb.Failed("check the ids of incoming", err)
}

const (
	renewEvery = time.Minute // finds a bad id that this process did not read
	renewAgain = time.Second // while the stream with a bad id is not empty
)

// look makes renew check the stream at once if an entry has an id far in the future.
func (w *FanoutWorker) look(e Entry) {
	if e.Time().Sub(w.Store.db.Now()) > 365*24*time.Hour {
		w.renewAt = time.Time{}
	}
}

// renew checks now and then that the incoming stream has ids left.
func (w *FanoutWorker) renew(ctx context.Context) {
	now := time.Now()
	if now.Before(w.renewAt) {
		return
	}
	w.renewAt = now.Add(renewEvery)
	state, err := w.Store.renewIncoming(ctx, w.Partition)
	switch {
	case err != nil: // reading the stream fails too, and reports it
	case state == 1:
		w.Log.Warn("the incoming stream was recreated, because somebody had written an entry with an id far in the future", "partition", w.Partition)
	case state == 2:
		w.renewAt = now.Add(renewAgain)
		w.Log.Warn("the incoming stream has an entry with an id far in the future; Redis may refuse new entries until the stream is empty, and is then recreated", "partition", w.Partition)
	}
}
