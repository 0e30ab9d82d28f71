package streams

import (
	"context"
	"time"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// renewLua makes a stream anew whose ids are used up: somebody wrote an entry with an id that no clock comes
// to, the largest of all perhaps, and XADD goes on behind it or is refused for good.
//
// renew(stream, group) does so if the stream is empty, and returns whether it did: what is in it keeps its id, by
// which others know it. An id within a year of now is left alone. The clock may have been there, and the ids that it
// gave must not come again. Safe to repeat: the new stream's ids are not out of reach.
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

// renewScript makes the incoming stream anew where its ids are used up.
//
// KEYS incoming. Returns 0: its ids are those of a clock, 1: it was made anew, 2: it will be, once it is empty. Safe to repeat.
var renewScript = rdb.NewScript(renewLua + `
if renew(KEYS[1], 'fanout') then return 1 end
if redis.call('EXISTS', KEYS[1]) == 1 and out_of_reach(last_id(KEYS[1])) then return 2 end
return 0
`)

func (s *Store) renewIncoming(ctx context.Context, p int) (int, error) {
	state, err := renewScript.Run(ctx, s.db, []string{s.keys.Incoming(p)}).Int()
	return state, rdb.Failed("look at the ids of incoming", err)
}

const (
	renewEvery = time.Minute // for an id that nobody here has seen
	renewAgain = time.Second // until the stream is empty
)

// look notes an entry whose id no clock comes to.
func (w *FanoutWorker) look(e Entry) {
	if e.Time().Sub(w.Store.db.Now()) > 365*24*time.Hour {
		w.renewAt = time.Time{}
	}
}

// renew sees to it that the incoming stream has ids left.
func (w *FanoutWorker) renew(ctx context.Context) {
	now := time.Now()
	if now.Before(w.renewAt) {
		return
	}
	w.renewAt = now.Add(renewEvery)
	state, err := w.Store.renewIncoming(ctx, w.Partition)
	switch {
	case err != nil: // Redis is away, or the key is no stream: reading tells
	case state == 1:
		w.Log.Warn("the incoming stream was made anew: somebody wrote an entry with an id that no clock comes to", "partition", w.Partition)
	case state == 2:
		w.renewAt = now.Add(renewAgain)
		w.Log.Warn("an entry of the incoming stream has an id that no clock comes to; Redis may refuse new ones until the stream is empty, and is then made anew", "partition", w.Partition)
	}
}
