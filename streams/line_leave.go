package streams

// leaveLua is line_leave for many copies of one channel, in few calls. It follows lineLua.
const leaveLua = `
local function in_steps(command, key, args)
  for from = 1, #args, 1000 do redis.call(command, key, unpack(args, from, math.min(#args, from + 999))) end
end
-- line_look reads the keys of the copies with ids[first] to ids[last], and what comes in when these leave. It stops where
-- that has many bytes. It returns what line_leave_all needs, and the number of the last copy that it looked at.
local function line_look(line, wait, ids, first, last)
  local fields, keys, counts, of = {'~'}, {}, {}, {}
  for i = first, last do fields[#fields + 1] = 'b' .. ids[i] end
  local got = redis.pcall('HMGET', line, unpack(fields))
  if got.err then return nil, last end
  fields = {}
  for i = first, last do
    local key = got[i - first + 2]
    keys[i] = key
    if key and not of[key] then
      of[key], counts[#counts + 1], fields[#fields + 1] = {}, key, 'c' .. key
    end
  end
  if #fields == 0 then return nil, last end
  local state = got[1]
  got = redis.call('HMGET', line, unpack(fields))
  for i, key in ipairs(counts) do
    local c = of[key]
    c.n, c.first, c.last = line_counts(got[i])
    c.stay = c.n
  end
  local open, room = state == 'on' or state == 'off', line_room
  for i = first, last do
    if room <= 0 then return {keys, of, open}, i - 1 end
    local c = keys[i] and of[keys[i]]
    if c then
      c.stay = c.stay - 1
      if open and c.stay <= 0 and c.first <= c.last and not c.packed then
        local packed = redis.pcall('HGET', wait, string.format('%.0f:', c.first) .. keys[i])
        if type(packed) == 'string' then c.packed, room = packed, room - #packed end
      end
    end
  end
  return {keys, of, open}, last
end
-- line_leave_all: the copies with ids[first] to ids[last] have left the channel for good. It returns whether others came in.
local function line_leave_all(channel, line, wait, looked, ids, first, last)
  local keys, of, open = unpack(looked)
  local gone, came, set, ready, changed = {}, {}, {}, false, {}
  for i = first, last do
    local key = keys[i]
    if key then
      local c = of[key]
      gone[#gone + 1], gone[#gone + 2] = 'b' .. ids[i], 'r' .. ids[i]
      c.n, changed[key] = math.max(0, c.n - 1), true
      if open and c.n == 0 and c.first <= c.last then
        local id = c.packed and line_add(channel, c.packed)
        if type(id) == 'string' then
          set[#set + 1], set[#set + 2], came[#came + 1] = 'b' .. id, key, string.format('%.0f:', c.first) .. key
          line_room, c.n, c.first, c.packed, ready = line_room - #c.packed, 1, c.first + 1, nil, true
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
    if counts then set[#set + 1], set[#set + 2] = 'c' .. key, counts else gone[#gone + 1] = 'c' .. key end
  end
  in_steps('HDEL', line, gone)
  in_steps('HDEL', wait, came)
  in_steps('HSET', line, set)
  return ready
end
`
