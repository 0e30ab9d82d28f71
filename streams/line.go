package streams

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// An ordered subscription has at most one copy of a key in its channel, READY or BURIED, so nothing that works on
// channels knows of order. The others of the key wait in its line. The step that settles the copy for good puts the
// next one into the channel.
//
// The hash medis:{p}:line:<sub> has these fields:
//
//	~         "on"; "walk <entry id>": it is not known yet which keys have copies in the channel, behind this id;
//	          "off": the subscription is no longer ordered
//	~runs     there may be fields r<id>; without it nobody looks for them when a copy leaves
//	b<id>     key of the copy with this entry id in the channel
//	r<id>     its owner may have sent what waits behind it, see run.go
//	c<key>    copies of the key in the channel and, if some wait, the numbers of the first and the last: "1 7 9"
//
// The hash medis:{p}:wait:<sub> has the copies that wait: <number>:<key> → the copy, as line_pack writes it.

// linePartsLua is what lineLua and the plain part of the fan-out share.
const linePartsLua = `
-- line_counts returns how many copies of a key are in the channel, the numbers of those that wait, and whether the line knows the key.
local function line_counts(v)
  if not v then return 0, 1, 0, false end
  local alone = tonumber(v)
  if alone then return alone, 1, 0, true end
  local n, first, last = string.match(v, '^(%d+) (%d+) (%d+)$')
  return tonumber(n or 0), tonumber(first or 1), tonumber(last or 0), true
end
local function line_noted(n, first, last)
  if n == 1 and first > last then return '1' end
  if first <= last then return string.format('%.0f %.0f %.0f', n, first, last) end
  return n > 0 and string.format('%.0f', n)
end
-- line_place is the field of a copy that waits. Lua writes numbers below 1e14 as they are.
local function line_place(number, key) return number .. ':' .. key end
local function in_steps(command, key, args)
  for from = 1, #args, 1000 do redis.call(command, key, unpack(args, from, math.min(#args, from + 999))) end
end
`

// lineLua follows countLua in a script that adds to a channel or settles its copies.
const lineLua = linePartsLua + `
local line_room = 1048576 -- stepBytes: bytes that may still go from lines into channels
local function line_pack(fields, n) -- netstrings, because a body may contain any byte; a whole message is one value anyway
  if n == 2 and fields[1] == 'm' then return fields[2] end
  local out = {}
  for i = 1, n do out[i] = #fields[i] .. ':' .. fields[i] end
  return table.concat(out)
end
local function line_fields(packed)
  if not string.find(packed, '^%d+:') then return {'m', packed} end
  local fields, at = {}, 1
  while at <= #packed do
    local colon = string.find(packed, ':', at, true)
    local n = tonumber(string.sub(packed, at, colon - 1))
    fields[#fields + 1] = string.sub(packed, colon + 1, colon + n)
    at = colon + n + 1
  end
  return fields
end
local function line_add(channel, packed)
  if not string.find(packed, '^%d+:') then return redis.pcall('XADD', channel, '*', 'm', packed) end
  return redis.pcall('XADD', channel, '*', unpack(line_fields(packed)))
end
-- line_key is the key of a copy; nil: it has none.
local function line_key(fields)
  if #fields == 2 and fields[1] == 'm' then
    local stop = string.find(fields[2], '\n\n', 1, true)
    return stop and string.match(string.sub(fields[2], 1, stop), '\nkey ([^\n]+)')
  end
  local key
  for i = 1, #fields, 2 do
    if fields[i] == 'key' then key = string.match(fields[i + 1], '^[^\n]+') end
  end
  return key
end
local function line_get(line, field)
  local v = redis.pcall('HGET', line, field)
  return type(v) == 'string' and v or nil
end
-- line_of is line_counts of a key.
local function line_of(line, key) return line_counts(line_get(line, 'c' .. key)) end
local function line_note(line, key, n, first, last)
  local counts = line_noted(n, first, last)
  if counts then redis.call('HSET', line, 'c' .. key, counts) else redis.call('HDEL', line, 'c' .. key) end
end
-- line_state is the state of a channel's lines. They are made by its first ordered copy; what is in the channel by then comes first.
local function line_state(channel, line, wait)
  local state = line_get(line, '~')
  if state and state ~= 'off' then return state end
  local length = redis.pcall('XLEN', channel)
  local empty = type(length) == 'table' or length == 0
  state = not state and empty and redis.call('EXISTS', wait) == 0 and 'on' or 'walk 0-0'
  redis.call('HSET', line, '~', state)
  return state
end
-- line_put gives a copy its place: add writes it into the channel if its key is free there. It returns what add did;
-- false: the copy waits.
local function line_put(line, wait, key, state, add, packed)
  local n, first, last, known = line_of(line, key)
  if state == 'on' and not known then
    local id = add()
    if type(id) == 'string' then redis.call('HSET', line, 'b' .. id, key, 'c' .. key, '1') end
    return id
  end
  repeat last = last + 1 until redis.call('HSETNX', wait, line_place(last, key), packed()) == 1
  line_note(line, key, n, first, last)
  return false
end
-- line_join adds a copy to a channel that may have lines, and has some if it is known to be ordered. It returns whether it is READY.
local function line_join(channel, line, wait, fields, ordered)
  local key = line_key(fields)
  local state = ordered and key and line_state(channel, line, wait) or line_get(line, '~')
  if not key or not state or state == 'off' then
    redis.call('XADD', channel, '*', unpack(fields))
    return true
  end
  local function add() return redis.call('XADD', channel, '*', unpack(fields)) end
  return line_put(line, wait, key, state, add, function() return line_pack(fields, #fields) end) ~= false
end
-- line_next puts the next copy of a key, which has n in the channel, there. It returns whether there was one.
local function line_next(channel, line, wait, key, n, first, last)
  local missing, added = 0, false
  while first <= last and missing < 1000 do
    local at = line_place(first, key)
    local packed = redis.pcall('HGET', wait, at)
    if type(packed) == 'string' then
      local id = line_add(channel, packed)
      if type(id) == 'table' then break end -- healing tries again
      redis.call('HDEL', wait, at)
      redis.call('HSET', line, 'b' .. id, key)
      line_room, first, added = line_room - #packed, first + 1, true
      break
    end
    first, missing = first + 1, missing + 1 -- deleted by hand
  end
  note('vanished:' .. string.match(line, '}:line:(.*)$'), missing)
  line_note(line, key, added and n + 1 or n, first, last)
  return added
end
-- line_leave: the copy with this id has left the channel for good. It returns whether the next one of its key came in.
local function line_leave(channel, line, wait, id, state)
  local key = line_get(line, 'b' .. id)
  if not key then return false end
  redis.call('HDEL', line, 'b' .. id, 'r' .. id)
  local n, first, last = line_of(line, key)
  n = math.max(0, n - 1)
  if n > 0 or first > last or state ~= 'on' and state ~= 'off' then
    line_note(line, key, n, first, last)
    return false
  end
  return line_next(channel, line, wait, key, 0, first, last)
end
`

// lineTrust is whether all dispatchers keep lines. One of an earlier version copies past them, and settles without
// calling the next copy.
type lineTrust struct {
	mu     sync.Mutex
	looked time.Time // at the list of dispatchers
	kept   bool
}

func (l *lineTrust) noteDispatchers(asked time.Time, list []medispatcher.Dispatcher) {
	kept := true
	for i := range list {
		kept = kept && list[i].Lines
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !asked.Before(l.looked) {
		l.looked, l.kept = asked, kept
	}
}

// OnNext has next told, from now on, of channels where settling made the next messages of ordered subscriptions READY. It must
// not block. Call it before the first message is settled.
func (s *Store) OnNext(next func(p int, subs []string)) { s.next = next }

// followed tells of channels with new READY messages. Each is listed as something that name knows.
func followed[T any](s *Store, p int, list []T, name func(T) string) {
	if len(list) == 0 || s.next == nil {
		return
	}
	subs := make([]string, len(list))
	for i, at := range list {
		subs[i] = name(at)
	}
	slices.Sort(subs)
	s.next(p, slices.Compact(subs))
}

// Lines reports whether order is kept: no dispatcher of a version that does not know of it is on the list.
func (s *Store) Lines(ctx context.Context) (bool, error) {
	l := &s.lines
	l.mu.Lock()
	fresh, kept := time.Since(l.looked) < lookValid, l.kept
	l.mu.Unlock()
	if fresh {
		return kept, nil
	}
	if _, err := s.Dispatchers(ctx); err != nil {
		return false, err
	}
	return s.linesKept(), nil
}

// linesKept is Lines as of the last look.
func (s *Store) linesKept() bool {
	s.lines.mu.Lock()
	defer s.lines.mu.Unlock()
	return s.lines.kept
}
