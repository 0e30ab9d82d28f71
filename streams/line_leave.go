package streams

// leaveLua is line_leave for many copies of one channel, in few calls. It follows lineLua.
const leaveLua = `
-- line_look reads the keys of the copies with ids[first] to ids[last], and what comes in when these leave. It stops where
-- that has many bytes. It returns what line_leave_all needs, and the number of the last copy that it looked at.
-- Lists of numbers and strings are a good deal quicker than a table for each copy or key.
local function line_look(line, wait, ids, first, last)
  local fields = {'~', '~runs'}
  local before = first - 3 -- fields[i] is of ids[before + i]
  for i = first, last do fields[i - before] = 'b' .. ids[i] end
  local got = redis.pcall('HMGET', line, unpack(fields))
  if got.err then return nil, last end
  local open = got[1] == 'on' or got[1] == 'off'
  -- of: by copy, as in fields, the number of its key; keys, counts: by key, its name and its field; inside, from, upto: by key,
  -- what line_counts says; place, packed: by key, the copy that comes in, if it was read
  local keys, counts, inside, from, upto, place, packed = {}, {}, {}, {}, {}, {}, {}
  local l = {open = open, runs = got[2], copies = fields, of = got, keys = keys, counts = counts, inside = inside, from = from, upto = upto, place = place, packed = packed}
  local number, n = {}, 0 -- got becomes the number of the copy's key; false: it has none
  for i = 3, last - before do
    local key = got[i]
    if key then
      local k = number[key]
      if not k then
        n = n + 1
        k, number[key] = n, n
        keys[k], counts[k] = key, 'c' .. key
      end
      got[i] = k
    end
  end
  if n == 0 then return nil, last end
  local stay, come = {}, {} -- come: which of the copies let another one in
  for k, noted in ipairs(redis.call('HMGET', line, unpack(counts))) do
    inside[k], from[k], upto[k] = line_counts(noted)
    stay[k] = inside[k]
  end
  if open then
    local comes = 0
    for i = 3, last - before do
      local k = got[i]
      if k then
        stay[k] = stay[k] - 1
        if stay[k] <= 0 and from[k] <= upto[k] and packed[k] == nil then
          comes = comes + 1
          come[comes], packed[k] = i, false
        end
      end
    end
  end
  -- Nobody knows how long they are, so the first one is read alone, and then a few at a time.
  local at, most, room = 1, 1, line_room
  while at <= #come do
    local had, places = room, {}
    local many = math.min(#come - at + 1, most)
    for i = 1, many do
      local k = got[come[at + i - 1]]
      places[i] = line_place(from[k], keys[k])
      place[k] = places[i]
    end
    for i, copy in ipairs(redis.pcall('HMGET', wait, unpack(places))) do
      if copy then
        packed[got[come[at + i - 1]]], room = copy, room - #copy
        if room <= 0 then return l, before + come[at + i - 1] end
      end
    end
    most = had - room < 8192 * many and 16 or 1
    at = at + many
  end
  return l, last
end
-- line_leave_all: the copies with ids[first] to ids[last] have left the channel for good. It returns whether others came in.
local function line_leave_all(channel, line, wait, l, ids, first, last)
  local keys, inside, from, upto = l.keys, l.inside, l.from, l.upto
  local gone, came, set, changed, ready = {}, {}, {}, {}, false
  local gone_n, came_n, set_n, before = 0, 0, 0, first - 3
  for i = 3, last - before do
    local k = l.of[i]
    if k then
      gone_n = gone_n + 1
      gone[gone_n] = l.copies[i]
      if l.runs then
        gone_n = gone_n + 1
        gone[gone_n] = 'r' .. ids[before + i]
      end
      local n = inside[k] - 1
      if n < 0 then n = 0 end
      inside[k], changed[k] = n, true
      if l.open and n == 0 and from[k] <= upto[k] then
        local packed = l.packed[k]
        local id = packed and line_add(channel, packed)
        if type(id) == 'string' then
          set[set_n + 1], set[set_n + 2], came[came_n + 1] = 'b' .. id, keys[k], l.place[k]
          set_n, came_n = set_n + 2, came_n + 1
          line_room, ready = line_room - #packed, true
          inside[k], from[k], l.packed[k] = 1, from[k] + 1, false
        else
          ready = line_next(channel, line, wait, keys[k], 0, from[k], upto[k]) or ready
          inside[k], from[k], upto[k] = line_of(line, keys[k])
        end
      end
    end
  end
  for k in pairs(changed) do
    local noted = line_noted(inside[k], from[k], upto[k])
    if noted then
      set[set_n + 1], set[set_n + 2] = l.counts[k], noted
      set_n = set_n + 2
    else
      gone_n = gone_n + 1
      gone[gone_n] = l.counts[k]
    end
  end
  in_steps('HDEL', line, gone)
  in_steps('HDEL', wait, came)
  in_steps('HSET', line, set)
  return ready
end
`
