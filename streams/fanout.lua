-- Fan-out of a batch: INCOMING → READY, QUARANTINE or delayed.
--
-- KEYS  1–4 counts, 5 incoming, 6 quarantine, 7 delayed, 8 delayed:body, then every
--       channel and every seen key, named by number.
-- ARGV  consumer, dedupe window in ms, number of entries, first and last entry id, then for each entry:
--       entry id, time in ms, number of its seen key (0: none), and one of
--       "quarantine" reason | "delay" due in ms | "copy" n, n numbers of channels
-- Returns a line for each entry: "<result>[ <ordinal>…]", the ordinals being those
-- copies that went to the quarantine because their channel has a wrong type, or
-- "error <what Redis said>", the entry then being as it was.
--
-- Safe to repeat: an entry that is not pending for the consumer is left alone, and
-- a seen key that holds this very entry does not make it a duplicate. Out of
-- memory refuses the first command that grows memory, before anything was written.
local me, window = ARGV[1], ARGV[2]
local incoming, quarantine = KEYS[5], KEYS[6]

-- Fields that a copy keeps; time is written anew, ~src holds the first entry id.
local kept = {topic = true, body = true, id = true, sender = true, key = true, type = true, headers = true, ['~src'] = true}

local counts = {} -- of the whole batch
local function note(what)
  counts[what] = (counts[what] or 0) + 1
end

-- Netstrings, because any byte may stand in a body.
local function pack(fields, n)
  local out = {}
  for i = 1, n do out[i] = #fields[i] .. ':' .. fields[i] end
  return table.concat(out)
end

-- Whoever repeats a field means the last; only then is the order of the fields lost.
local function without_repeats(fields)
  local last, out = {}, {}
  for i = 1, #fields, 2 do last[fields[i]] = fields[i + 1] end
  for name in pairs(kept) do
    if last[name] then out[#out + 1], out[#out + 2] = name, last[name] end
  end
  return out
end

local function copy_of(id, fields, time)
  if #fields > 40 then fields = without_repeats(fields) end
  -- Room for all, made at once: a table that grows is built anew at every power of two.
  local out = {'time', time, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
  local n, has_id, has_src, topic = 2, false, false, nil
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    if kept[name] then
      out[n + 1], out[n + 2] = name, value
      n = n + 2
      if name == 'topic' then topic = value
      elseif name == 'id' then has_id = value ~= ''
      elseif name == '~src' then has_src = true end
    end
  end
  if not has_id and not has_src then
    out[n + 1], out[n + 2] = '~src', id
    n = n + 2
  end
  return out, n, topic
end

local function to_quarantine(fields, n, reason, source)
  if n > 2000 then fields, n = {'raw', pack(fields, n)}, 2 end -- more than a call can take
  note('quarantined')
  return redis.call('XADD', quarantine, '*', 'reason', reason, 'source', source, unpack(fields, 1, n))
end

local function route(id, fields, time, seen, verb, arg, first, last)
  if seen > 0 and not redis.call('SET', KEYS[seen], id, 'NX', 'PX', window)
    and redis.call('GET', KEYS[seen]) ~= id then
    note('duplicate')
    return 'duplicate'
  end
  if verb == 'quarantine' then
    to_quarantine(fields, #fields, arg, id)
    return 'quarantined'
  end
  local copy, n, topic = copy_of(id, fields, time)
  if verb == 'delay' then
    redis.call('HSET', KEYS[8], id, pack(copy, n))
    redis.call('ZADD', KEYS[7], arg, id)
    return 'delayed'
  end
  local result = first > last and 'unroutable' or 'copied'
  for i = first, last do
    local channel = KEYS[tonumber(ARGV[i])]
    local reply = redis.pcall('XADD', channel, '*', unpack(copy, 1, n))
    if type(reply) == 'table' and reply.err then
      if not string.find(reply.err, 'WRONGTYPE', 1, true) then error(reply.err, 0) end
      -- Must not fail: other copies are written. The caller logs the message whole.
      pcall(to_quarantine, copy, n, 'REDISTFAIL ' .. channel .. ' is not a stream', id)
      result = result .. ' ' .. (i - first + 1)
    end
  end
  note('received:' .. topic)
  if first > last then note('unroutable:' .. topic) end
  return result
end

-- Nearly always the batch is a run of the stream: one call then answers for all. What the
-- run does not hold, because other consumers own entries between, is asked for alone.
local mine, body = {}, {}
if #ARGV > 2 then
  local n = tonumber(ARGV[3])
  for _, p in ipairs(redis.call('XPENDING', incoming, 'fanout', ARGV[4], ARGV[5], n, me)) do mine[p[1]] = true end
  for _, e in ipairs(redis.call('XRANGE', incoming, ARGV[4], ARGV[5], 'COUNT', n)) do body[e[1]] = e end
end

local results, done, at = {}, {}, 6
while at <= #ARGV do
  local id, verb, arg = ARGV[at], ARGV[at + 3], ARGV[at + 4]
  local time, seen, first = ARGV[at + 1], tonumber(ARGV[at + 2]), at + 5
  at = first
  if verb == 'copy' then at = first + tonumber(arg) end

  local result = 'gone'
  if mine[id] or #redis.call('XPENDING', incoming, 'fanout', id, id, 1, me) > 0 then
    local found = body[id] or redis.call('XRANGE', incoming, id, id)[1]
    local ok = true
    if found then -- else somebody deleted it by hand: nothing is left to deliver
      ok, result = pcall(route, id, found[2], time, seen, verb, arg, first, at - 1)
      if not ok then result = 'error ' .. (type(result) == 'table' and result.err or tostring(result)) end
    end
    if ok then done[#done + 1] = id end
  end
  results[#results + 1] = result
end

if #done > 0 then
  redis.call('XACK', incoming, 'fanout', unpack(done))
  redis.call('XDEL', incoming, unpack(done))
end
for what, n in pairs(counts) do count(what, n) end
return results
