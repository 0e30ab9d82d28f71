-- The end of a step.

-- A channel that is new to the set may be new altogether. Its group is made here, so that no reader has to.
-- Without the set, if its key is of another type, sweeps look at every channel.
if wrote then
  for from = names, last_name, 1000 do
    local added = redis.pcall('SADD', KEYS[13], unpack(ARGV, from, math.min(last_name, from + 999)))
    if added ~= 0 then
      for i = from, math.min(last_name, from + 999) do
        local channel = KEYS[16 + i - names]
        local groups = redis.pcall('XINFO', 'GROUPS', channel)
        if #groups == 0 and not groups.err then redis.pcall('XGROUP', 'CREATE', channel, 'push', '0') end
      end
    end
  end
end
if #done > 0 then
  redis.call('XACK', incoming, 'fanout', unpack(done))
  redis.call('HINCRBY', KEYS[4], '~moved', redis.call('XDEL', incoming, unpack(done)))
  if unfinished then redis.call('HDEL', progress, unpack(done)) end
end
if close_archive then close_archive(archive_most) end
count_noted()
if tell_vanished then tell_vanished() end
local answer = results
if copied == #results then answer = copied end
if #reads == 0 then return answer end

-- ready_before reports whether something older than a copy may be READY.
local function ready_before(channel, id)
  local groups = redis.pcall('XINFO', 'GROUPS', channel)
  for _, group in ipairs(groups) do
    local is = {}
    for i = 1, #group, 2 do is[group[i]] = group[i + 1] end
    if is.name == 'push' then
      return redis.call('XRANGE', channel, '(' .. is['last-delivered-id'], '(' .. id, 'COUNT', 1)[1] ~= nil
    end
  end
  return true
end

-- Without the group the caller's next read creates it.
local function read(channel, most)
  local copies = made[channel]
  if not copies then return {{}} end
  local ids, of, n = copies.ids, copies.of, math.min(#copies.ids, most)
  if redis.call('XLEN', channel) > #ids and ready_before(channel, ids[1]) then return {{}} end
  if copies.whole and not redis.pcall('XGROUP', 'SETID', channel, 'push', ids[n]).err then
    local claim, own = {'XCLAIM', channel, 'push', me, 0}, {}
    for i = 1, n do claim[5 + i], own[2 * i - 1], own[2 * i] = ids[i], ids[i], of[i] end
    claim[n + 6], claim[n + 7], claim[n + 8], claim[n + 9] = 'RETRYCOUNT', 1, 'FORCE', 'JUSTID'
    redis.call(unpack(claim))
    return {own}
  end
  local got = redis.pcall('XREADGROUP', 'GROUP', 'push', me, 'COUNT', n, 'STREAMS', channel, '>')
  local list = got and got[1] and got[1][2] or {}
  list[#list + 1] = {}
  return list
end

answer = {answer}
for i, r in ipairs(reads) do answer[i + 1] = read(r[1], tonumber(r[2])) end
return answer
