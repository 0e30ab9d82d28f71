package streams

import (
	"context"
	"errors"
	"slices"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// straightenScript brings the lines of a channel in order, one bounded part after another.
//
//   - Its subscription became ordered: it notes which keys have copies in the channel, before a newer copy of one may
//     enter ("walk").
//   - Its subscription is no longer ordered: it moves what waits into the channel, and removes the lines. What may be in flight with
//     the first of its key stays there until that one is settled.
//   - In between it finds what a command typed by hand took out of the channel, and calls the next copy.
//
// KEYS 1–4 counts, 5 channel, 6 line, 7 wait, 8 active.
// ARGV subscription, "1" if it is ordered, where to go on ("": begin), most fields or entries.
// Returns {where to go on ("": done; "in hand": later, from the beginning), whether it added to the channel}.
//
// Safe to repeat, and to run by several at once: it looks at what is there. HDEL comes first because Redis allows it,
// and then the rest of the script, even when out of memory: what waits moves, and must drain.
var straightenScript = rdb.NewScript(countLua + lineLua + `
local ch, line, wait, sub, ordered, from, most = KEYS[5], KEYS[6], KEYS[7], ARGV[1], ARGV[2] == '1', ARGV[3], tonumber(ARGV[4])
local added = 0
local function answer(place)
  if added > 0 then redis.pcall('SADD', KEYS[8], sub) end
  count_noted()
  return {place, added}
end
local there, waits = redis.call('EXISTS', line) == 1, redis.call('EXISTS', wait) == 1
if not there and not waits and (not ordered or redis.call('EXISTS', ch) == 0) then return {'', 0} end
redis.call('HDEL', line, '')
local state = line_get(line, '~')

if not ordered and state ~= 'off' then
  redis.call('HSET', line, '~', 'off')
  state = 'off'
elseif ordered and (not state or state == 'off') then
  state = 'walk 0-0'
  redis.call('HSET', line, '~', state)
  from = waits and not there and 'o0' or '' -- somebody deleted the lines
end

-- orphans gives a place to the copies that no line knows of. It returns where the scan goes on. A scan brings whole copies, so it
-- asks for one at a time.
local function orphans(cursor)
  local room = line_room
  for _ = 1, math.max(1, math.floor(most / 20)) do
    local scan = redis.call('HSCAN', wait, cursor, 'COUNT', 1)
    for i = 1, #scan[2], 2 do
      local number, key = string.match(scan[2][i], '^(%d+):(.*)$')
      local _, first, last = line_of(line, key or '')
      local packed = scan[2][i + 1]
      number, room = tonumber(number or 0), room - #packed
      if not key or not (first <= number and number <= last) then
        redis.call('HDEL', wait, scan[2][i])
        local function add()
          local id = line_add(ch, packed)
          if type(id) == 'table' then
            redis.call('HSET', wait, scan[2][i], packed)
            error(id.err, 0)
          end
          added = 1
          return id
        end
        if ordered and key then line_put(line, wait, key, state, add, function() return packed end) else add() end
      end
    end
    cursor = scan[1]
    if cursor == '0' or room <= 0 then break end
  end
  return cursor
end

if string.sub(from, 1, 1) == 'o' then
  local cursor = orphans(string.sub(from, 2))
  if cursor ~= '0' then return answer('o' .. cursor) end
  if ordered then return answer('again') end
  if redis.call('EXISTS', wait) == 0 then redis.call('UNLINK', line) end
  return answer('')
end

local place = state and string.match(state, '^walk (.+)$')
if place then
  for _ = 1, most do
    local e = redis.call('XRANGE', ch, '(' .. place, '+', 'COUNT', 1)[1]
    if not e then
      redis.call('HSET', line, '~', 'on')
      return answer(waits and 'o0' or 'again') -- if somebody deleted the lines, a copy may have made them again at once
    end
    local key = line_key(e[2])
    if key and redis.call('HSETNX', line, 'b' .. e[1], key) == 1 then
      local n, first, last = line_of(line, key)
      line_note(line, key, n + 1, first, last)
    end
    place = e[1]
    for _, v in ipairs(e[2]) do line_room = line_room - #v end
    if line_room <= 0 then break end
  end
  redis.call('HSET', line, '~', 'walk ' .. place)
  return answer('again')
end

local last, ready = '0-0', redis.call('XLEN', ch)
for _, g in ipairs(redis.pcall('XINFO', 'GROUPS', ch)) do
  local is, at = false, nil
  for i = 1, #g, 2 do
    if g[i] == 'name' and g[i + 1] == 'push' then is = true
    elseif g[i] == 'last-delivered-id' then at = g[i + 1] end
  end
  if is then last, ready = at, ready - redis.call('XPENDING', ch, 'push')[1] end
end
local function parts(id)
  local ms, seq = string.match(id, '(%d+)-(%d+)')
  return tonumber(ms) or math.huge, tonumber(seq) or math.huge
end
local last_ms, last_seq = parts(last or '')
-- A copy that was not read yet is there as long as anything is READY; once the group has passed it, this is known.
local function gone(id)
  if redis.pcall('XPENDING', ch, 'push', id, id, 1)[1] then return false end
  local ms, seq = parts(id)
  if ready > 0 and (ms > last_ms or ms == last_ms and seq > last_seq) then return false end
  return not redis.call('XRANGE', ch, id, id)[1]
end

-- Without order there are two walks: the first one looks at each copy in the channel, and the second one at each key.
local all, held, cursor = string.match(from, '^([st])(h?)(%d+)$')
all, held, cursor = all == 't', held or '', cursor or '0'
local function in_hand(id)
  local pending = redis.pcall('XPENDING', ch, 'push', id, id, 1)[1]
  return pending and pending[2] ~= '` + rdb.Buried + `' and redis.call('HEXISTS', line, 'r' .. id) == 1
end
local function move(name)
  local n, first, last = line_of(line, name)
  while first <= last and line_room > 0 do
    local before = first
    if line_next(ch, line, wait, name, n, first, last) then added = 1 end
    n, first, last = line_of(line, name)
    if first == before and first <= last then error('a waiting copy cannot be moved into ' .. ch, 0) end
  end
end
local scan = redis.call('HSCAN', line, cursor, 'COUNT', most)
for i = 1, #scan[2], 2 do
  if line_room <= 0 then return answer((all and 't' or 's') .. held .. cursor) end
  local field, kind, name = scan[2][i], string.sub(scan[2][i], 1, 1), string.sub(scan[2][i], 2)
  if kind == 'b' and gone(name) then
    if line_leave(ch, line, wait, name, state) then added = 1 end
  elseif kind == 'b' and not ordered then
    if in_hand(name) then held = 'h' else move(scan[2][i + 1]) end
  elseif kind == 'c' then
    local n, first, last, known = line_of(line, name)
    if ordered and known and n == 0 then
      if line_next(ch, line, wait, name, 0, first, last) then added = 1 end
    elseif not ordered and (all or n == 0) then move(name) end
  elseif kind == 'r' and not line_get(line, 'b' .. name) then redis.call('HDEL', line, field) -- an earlier version left it
  end
end
if scan[1] ~= '0' then return answer((all and 't' or 's') .. held .. scan[1]) end
if ordered then return answer('') end
if held ~= '' then return answer('in hand') end
if not all then return answer('t0') end
if redis.call('EXISTS', wait) == 1 then return answer('o0') end
redis.call('UNLINK', line)
return answer('')
`)

// errInHand: the lines of a subscription that is no longer ordered stay until what was sent out of them is settled.
var errInHand = errors.New("messages of the lines may be in flight")

// straightenMost is the most fields of a hash, or entries of a channel, that one step looks at.
const straightenMost = 200

// Straighten brings the lines of a channel in order: after its subscription became ordered, after it no longer is, and now and
// then in between. It reports whether the channel has new READY messages.
func (s *Store) Straighten(ctx context.Context, c medispatcher.Channel, ordered bool) (ready bool, err error) {
	p, sub := c.Partition, c.Subscription
	for place := "again"; place != ""; {
		if place == "again" {
			place = ""
		}
		k := append(s.countKeys(p), s.keys.Channel(p, sub), s.keys.Line(p, sub), s.keys.Wait(p, sub), s.keys.Active(p))
		res, err := straightenScript.Run(ctx, s.db, k, sub, ordered, place, straightenMost).Slice()
		if err == nil && len(res) != 2 {
			err = errors.New("unreadable answer")
		}
		if err != nil {
			return ready, rdb.Failed("bring the lines of "+sub+" in order", err)
		}
		place, _ = res[0].(string)
		ready = ready || rdb.ToInt(res[1]) != 0
		if place == "in hand" {
			return ready, errInHand
		}
	}
	return ready, nil
}

// Lined are those of some subscriptions that have lines in a partition.
func (s *Store) Lined(ctx context.Context, p int, subs []string) (lined []string, err error) {
	for chunk := range slices.Chunk(subs, rdb.SweepChunk) {
		pipe := s.db.Pipe(ctx)
		found := make([]*rdb.Reply[int64], len(chunk))
		for i, sub := range chunk {
			found[i] = rdb.Int(pipe, "EXISTS", s.keys.Line(p, sub), s.keys.Wait(p, sub))
		}
		if err := pipe.Run(); err != nil {
			return nil, rdb.Failed("look for lines", err)
		}
		for i, n := range found {
			if n.Val() > 0 {
				lined = append(lined, chunk[i])
			}
		}
	}
	return lined, nil
}
