package streams

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// dueScript takes messages whose next attempt is due.
//
// KEYS 1–4 counts, then channel, retry, failures, line, wait for each subscription.
// ARGV consumer, now in ms, bytes after which no further entry is taken, then the limit of each subscription, and "1" to read runs.
// Returns for each subscription {ms until the next one is due (-1: there is none), number of runs,
// {id, attempt, record, {field, value, …}}…, then as runs (see runLua)}, and at the end what vanished.
//
// Safe to repeat: an entry is taken only from ~buried, so each is taken once. If the reply is
// lost, its entries are pending for the consumer, and Mine finds them.
//
// If an entry does not belong to ~buried, its due time is dropped. Such an entry may be pending for another consumer.
// If it is pending for none but in the stream, it is READY again because its group was recreated, or healing finds
// it. If it is not in the stream either, it vanished.
//
// A subscription with a key of a wrong type has nothing due, and holds up no other one.
var dueScript = rdb.NewScript(countLua + vanishedLua + lineLua + runLua + `
local now, room = tonumber(ARGV[2]), tonumber(ARGV[3])
local small, out = room < line_room, {}
local function take(i, taken)
  local k = 5 + 5 * (i - 4) / 2
  local ch, retry, failures, ids = KEYS[k], KEYS[k + 1], KEYS[k + 2], {}
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', retry, '-inf', now, 'LIMIT', 0, ARGV[i])) do
    if room <= 0 then break end -- the next step takes the others
    local pending = redis.pcall('XPENDING', ch, 'push', id, id, 1, '` + rdb.Buried + `')
    if pending.err and not string.find(pending.err, 'NOGROUP', 1, true) then error(pending.err, 0) end
    if pending[1] then
      local n = pending[1][4]
      local claimed = redis.call('XCLAIM', ch, 'push', ARGV[1], 0, id, 'RETRYCOUNT', n)
      if claimed[1] and claimed[1][2] then
        for f = 2, #claimed[1][2], 2 do room = room - #claimed[1][2][f] end
        local record = redis.pcall('HGET', failures, id)
        ids[#ids + 1], taken[#taken + 1] = id, {id, n, type(record) == 'string' and record or '', claimed[1][2]}
      else
        redis.call('XACK', ch, 'push', id)
        redis.pcall('HDEL', failures, id)
        vanish(sub_of(ch), id)
      end
    elseif not redis.pcall('XPENDING', ch, 'push', id, id, 1)[1] and not redis.call('XRANGE', ch, id, id)[1] then
      redis.pcall('HDEL', failures, id)
      vanish(sub_of(ch), id)
    end
    redis.call('ZREM', retry, id)
  end
  local next = redis.call('ZRANGE', retry, 0, 0, 'WITHSCORES')
  if next[2] then taken[1] = math.max(0, tonumber(next[2]) - now) end
  if small then line_room = room end -- runs come with the same answer
  if ARGV[i + 1] == '1' then
    for n, run in ipairs(runs(KEYS[k + 3], KEYS[k + 4], ids, ARGV[i] - #ids)) do taken[2], taken[#taken + 1] = n, run end
  end
end
for i = 4, #ARGV, 2 do
  local taken = {-1, 0}
  local ok, why = pcall(take, i, taken)
  if not ok then
    why = type(why) == 'table' and why.err or tostring(why)
    if not string.find(why, 'WRONGTYPE', 1, true) then error(why, 0) end
  end
  out[#out + 1] = taken
end
out[#out + 1] = vanished()
return out
`)

// Due takes messages whose next attempt is due: BURIED by ~buried → BURIED, owned
// by this process. All wants are of partition p. next is, for each want, the time until
// the next message is due, negative if there is none.
func (s *Store) Due(ctx context.Context, p int, wants []medispatcher.Want) (due []medispatcher.Delivery, next []time.Duration, err error) {
	bytes := s.dues.of(stepBytes)
	k, argv := s.countKeys(p), []any{s.cfg.ID, s.db.Now().UnixMilli(), bytes}
	for _, w := range wants {
		k = append(k, s.keys.Channels(p, []string{w.Subscription})...)
		k = append(k, s.keys.Line(p, w.Subscription), s.keys.Wait(p, w.Subscription))
		argv = append(argv, w.Max, w.Runs)
	}
	answer, err := rdb.Read(ctx, s.db, dueScript, func(c *rdb.Cursor) dueAnswer { return readDue(c, wants, s.db.Now()) }, k, argv...)
	s.dues.note(bytes, err)
	if err != nil {
		return nil, nil, rdb.Failed("take due messages", err)
	}
	s.noteVanished(p, answer.vanished)
	return answer.due, answer.next, nil
}

type dueAnswer struct {
	due      []medispatcher.Delivery
	next     []time.Duration
	vanished any
}

func readDue(c *rdb.Cursor, wants []medispatcher.Want, now time.Time) (a dueAnswer) {
	c.Len() // one list for each want, and then what vanished
	for _, w := range wants {
		taken := c.Len() - 2
		a.next = append(a.next, time.Duration(c.Int())*time.Millisecond)
		runs, from := c.Int(), len(a.due)
		for range taken - runs {
			a.due = append(a.due, dueDelivery(w.Channel, c))
		}
		for range runs {
			takeRun(c, a.due[from:], now)
		}
	}
	a.vanished = c.Value()
	return a
}

// dueDelivery reads {id, attempt, record, {field, value, …}}.
func dueDelivery(ch medispatcher.Channel, c *rdb.Cursor) medispatcher.Delivery {
	c.Len()
	id, attempt, record := c.Text(), c.Int(), c.Text()
	d := entry.Delivery(ch, id, max(1, attempt), c.Fields())
	if record != "" {
		d.Failure = entry.DecodeFailure(record)
	}
	return d
}
