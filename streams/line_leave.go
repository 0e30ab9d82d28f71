package streams

// leaveLua is line_leave for many copies of one channel, in few calls. It follows lineLua.
const leaveLua = `
-- line_look reads the keys of the copies with ids[first] to ids[last], and what comes in when these leave. It stops where
-- that has many bytes. It returns what line_leave_all needs, and the number of the last copy that it looked at.
local function line_look(line, wait, ids, first, last)
  local fields, keys, counts, of = {'~'}, {}, {}, {}
  for i = first, last do fields[i - first + 2] = 'b' .. ids[i] end
  local got = redis.pcall('HMGET', line, unpack(fields))
  if got.err then return nil, last end
  fields = {}
  local n = 0 -- of the keys; # of a table is a search
  for i = first, last do
    local key = got[i - first + 2]
    keys[i] = key
    if key and not of[key] then
      of[key] = {n = 0, first = 1, last = 0, stay = 0, comes = false, packed = false} -- all fields at once: a growing table is slow
      n = n + 1
      counts[n], fields[n] = key, 'c' .. key
    end
  end
  if n == 0 then return nil, last end
  local state = got[1]
  got = redis.call('HMGET', line, unpack(fields))
  for i, key in ipairs(counts) do
    local c = of[key]
    c.n, c.first, c.last = line_counts(got[i])
    c.stay = c.n
  end
  local open, room, come = state == 'on' or state == 'off', line_room, {} -- come: which of the copies let another one in
  for i = first, last do
    local c = keys[i] and of[keys[i]]
    if c then
      c.stay = c.stay - 1
      if open and c.stay <= 0 and c.first <= c.last and not c.comes then c.comes, come[#come + 1] = true, i end
    end
  end
  -- Nobody knows how long they are, so the first one is read alone, and then a few at a time.
  local from, most = 1, 1
  while from <= #come do
    local upto, had = math.min(#come, from + most - 1), room
    fields = {}
    for k = from, upto do
      local key = keys[come[k]]
      fields[k - from + 1] = line_place(of[key].first, key)
    end
    got = redis.pcall('HMGET', wait, unpack(fields))
    for k = from, upto do
      local packed = got[k - from + 1]
      if type(packed) == 'string' then
        of[keys[come[k]]].packed, room = packed, room - #packed
        if room <= 0 then return {keys, of, open}, come[k] end
      end
    end
    most = had - room < 8192 * #fields and 8 or 1
    from = upto + 1
  end
  return {keys, of, open}, last
end
-- line_leave_all: the copies with ids[first] to ids[last] have left the channel for good. It returns whether others came in.
local function line_leave_all(channel, line, wait, looked, ids, first, last)
  local keys, of, open = unpack(looked)
  local gone, came, set, ready, changed = {}, {}, {}, false, {}
  local gone_n, came_n, set_n = 0, 0, 0
  for i = first, last do
    local key = keys[i]
    if key then
      local c = of[key]
      gone[gone_n + 1], gone[gone_n + 2] = 'b' .. ids[i], 'r' .. ids[i]
      gone_n = gone_n + 2
      c.n, changed[key] = math.max(0, c.n - 1), true
      if open and c.n == 0 and c.first <= c.last then
        local id = c.packed and line_add(channel, c.packed)
        if type(id) == 'string' then
          set[set_n + 1], set[set_n + 2], came[came_n + 1] = 'b' .. id, key, line_place(c.first, key)
          set_n, came_n = set_n + 2, came_n + 1
          line_room, c.n, c.first, c.packed, ready = line_room - #c.packed, 1, c.first + 1, false, true
        else
          ready = line_next(channel, line, wait, key, 0, c.first, c.last) or ready
          c.n, c.first, c.last = line_of(line, key)
        end
      end
    end
  end
  for key in pairs(changed) do
    local c = of[key]
    local counts = line_noted(c.n, c.first, c.last)
    if counts then
      set[set_n + 1], set[set_n + 2] = 'c' .. key, counts
      set_n = set_n + 2
    else
      gone_n = gone_n + 1
      gone[gone_n] = 'c' .. key
    end
  end
  in_steps('HDEL', line, gone)
  in_steps('HDEL', wait, came)
  in_steps('HSET', line, set)
  return ready
end
`
