-- Fan-out of a batch: INCOMING → READY, QUARANTINE or delayed.
--
-- KEYS  1 incoming, 2 quarantine, 3 delayed, 4 delayed:body, 5 and 6 counts
--       (minute, total), then every channel and every seen key, named by number.
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
local incoming, quarantine = KEYS[1], KEYS[2]

-- Fields that a copy keeps; time is written anew, ~src holds the first entry id.
local kept = {'topic', 'body', 'id', 'sender', 'key', 'type', 'headers', '~src'}

local counts = {}
local function count(what)
  counts[what] = (counts[what] or 0) + 1
end

-- Netstrings, because any byte may stand in a body.
local function pack(fields)
  local out = {}
  for i, s in ipairs(fields) do out[i] = #s .. ':' .. s end
  return table.concat(out)
end

local function copy_of(id, fields, time)
  local last = {}
  for i = 1, #fields, 2 do last[fields[i]] = fields[i + 1] end
  if not last.id or last.id == '' then last['~src'] = last['~src'] or id end
  local out = {'time', time}
  for _, name in ipairs(kept) do
    if last[name] and (last[name] ~= '' or name == 'body') then
      out[#out + 1], out[#out + 2] = name, last[name]
    end
  end
  return out, last.topic
end

local function to_quarantine(fields, reason, source)
  if #fields > 2000 then fields = {'raw', pack(fields)} end -- more than a call can take
  count('quarantined')
  return redis.call('XADD', quarantine, '*', 'reason', reason, 'source', source, unpack(fields))
end

local function route(id, fields, time, seen, verb, arg, first, last)
  if seen > 0 and not redis.call('SET', KEYS[seen], id, 'NX', 'PX', window)
    and redis.call('GET', KEYS[seen]) ~= id then
    count('duplicate')
    return 'duplicate'
  end
  if verb == 'quarantine' then
    to_quarantine(fields, arg, id)
    return 'quarantined'
  end
  local copy, topic = copy_of(id, fields, time)
  if verb == 'delay' then
    redis.call('HSET', KEYS[4], id, pack(copy))
    redis.call('ZADD', KEYS[3], arg, id)
    return 'delayed'
  end
  local result = first > last and 'unroutable' or 'copied'
  for i = first, last do
    local channel = KEYS[tonumber(ARGV[i])]
    local reply = redis.pcall('XADD', channel, '*', unpack(copy))
    if type(reply) == 'table' and reply.err then
      if not string.find(reply.err, 'WRONGTYPE', 1, true) then error(reply.err, 0) end
      -- Must not fail: other copies are written. The caller logs the message whole.
      pcall(to_quarantine, copy, 'REDISTFAIL ' .. channel .. ' is not a stream', id)
      result = result .. ' ' .. (i - first + 1)
    end
  end
  count('received:' .. topic)
  if first > last then count('unroutable:' .. topic) end
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
for what, n in pairs(counts) do
  if redis.pcall('HINCRBY', KEYS[5], what, n) == n then redis.pcall('EXPIRE', KEYS[5], 93600) end
  redis.pcall('HINCRBY', KEYS[6], what, n)
end
return results
