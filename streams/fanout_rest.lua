-- The entries that fanout.lua leaves. It is the body of an if, so its functions are made only for them.

-- Fields that a copy keeps. Its time comes from ARGV; ~src is the id of the first incoming entry.
local kept = {topic = true, body = true, id = true, sender = true, key = true, type = true, headers = true, ['~src'] = true}

if archive_most > 0 and not open_archive(KEYS[14], KEYS[15], ARGV[8], ARGV[9] == '1') then
  local answer = {'outdated'}
  for i = 1, #reads do answer[i + 1] = {{}} end
  return #reads > 0 and answer or 'outdated'
end

local handled, front = {}, nil -- front: nothing older than the next entries of this run is pending, but what is handled
for i = 1, #done do handled[done[i]] = true end
local function in_front(id)
  if front == nil then
    local older = redis.call('XPENDING', incoming, 'fanout', '-', id, entries + 16)
    front = #older < entries + 16
    for _, e in ipairs(older) do
      if e[1] == id then front = true break end
      if not handled[e[1]] and redis.call('XRANGE', incoming, e[1], e[1])[1] then front = false break end
    end
  end
  return front == true
end

local function state_of(channel, o)
  o[3] = o[3] or line_state(channel, o[1], o[2])
  return o[3]
end

-- If a field is repeated, its last value counts. This loses the order of the fields, so only long entries come here.
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
  -- Preallocated for speed: a growing table is rebuilt at every power of two.
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
  if n > 2000 then fields, n = {'raw', line_pack(fields, n)}, 2 end -- more than one call takes
  local entry = {'reason', reason, 'source', source, unpack(fields, 1, n)}
  note('quarantine_lost', keep(KEYS[8], KEYS[9], tonumber(ARGV[3]), tonumber(ARGV[4]), entry, n + 4))
  note('quarantined', 1)
end

-- The seen key of a message that was delayed holds the entry id that it had before the delay.
local function released(fields)
  for i = 1, #fields, 2 do
    if fields[i] == '~released' then return fields[i + 1] end
  end
end

-- A message that was unrouted is in the archive already when it is replayed.
local function is_archived(fields)
  for i = #fields - 1, 1, -2 do
    if fields[i] == '~archived' then return true end
  end
end

-- Nobody got the message, so its producer may send it again: the seen key is deleted.
local function to_unrouted(id, fields, time, seen)
  if keep_work <= 0 then return 'wait' end
  local marked = seen > 0 and redis.call('GET', KEYS[seen])
  local before = marked and released(fields)
  if marked and marked ~= id and not before then
    note('duplicate', 1)
    return 'duplicate'
  end
  local copy, n, topic = copy_of(id, fields, time)
  local had = is_archived(fields)
  local marks = (archive or had) and 4 or 2
  copy[n + 1], copy[n + 2] = '~entry', id -- the line of the DATA log names it
  if marks == 4 then copy[n + 3], copy[n + 4] = '~archived', '1' end
  note('unrouted_lost', keep(KEYS[10], KEYS[11], tonumber(ARGV[5]), tonumber(ARGV[6]), copy, n + marks))
  if archive and not had then archive_add(copy, n) end
  if marked and (marked == id or marked == before) then redis.call('DEL', KEYS[seen]) end
  note('received:' .. topic, 1)
  note('unroutable:' .. topic, 1)
  return 'unroutable'
end

-- Of those that came in one millisecond the first one is due first: a set compares ids as texts, and a score has room for 1/4096 ms.
local function to_delayed(id, fields, time, due)
  local copy, n = copy_of(id, fields, time)
  redis.call('HSET', KEYS[7], id, line_pack(copy, n))
  redis.call('ZADD', KEYS[6], string.format('%.6f', due + string.match(id, '%d+$') / 4096), id)
  return 'delayed'
end

-- A copy that its channel refuses goes to the quarantine. A failure of that is ignored, because other
-- copies are written already. The caller logs the whole message.
local function refused(err, channel, id, fields, time, head)
  local copy, n = copy_of(id, fields, time or time_of(head))
  local why
  if string.find(err, 'WRONGTYPE', 1, true) then
    local is = redis.call('TYPE', channel).ok
    why = (is == 'stream' or is == 'none') and 'is ordered, and its line or wait is not a hash' or 'is not a stream'
  elseif no_ids(err) then why = 'has no entry ids left'
  else error(err, 0) end
  pcall(to_quarantine, copy, n, 'REDISTFAIL ' .. channel .. ' ' .. why, id)
end

-- With a head the copies are of the second layout: one field for the whole message.
local function copy_all(id, fields, list, head, time, upto, key, first)
  wrote = true
  local whole, copy, n, topic
  if head == '' then copy, n, topic = copy_of(id, fields, time)
  else
    for i = 1, #fields, 2 do
      if fields[i] == 'body' then whole = head .. fields[i + 1]
      elseif fields[i] == 'topic' then topic = fields[i + 1] end
    end
  end
  local function add(channel)
    if whole then return redis.pcall('XADD', channel, '*', 'm', whole) end
    return redis.pcall('XADD', channel, '*', unpack(copy, 1, n))
  end
  local failed = ''
  local function line_up(channel, o)
    local state = state_of(channel, o)
    if state ~= 'on' and not string.find(failed, '~', 1, true) then failed = failed .. ' ~' end
    return line_put(o[1], o[2], key, state, function() return add(channel) end, function() return whole or line_pack(copy, n) end)
  end
  local function put(channel)
    local o = key and ordered[channel]
    if not o then return add(channel) end
    local ok, reply = pcall(line_up, channel, o) -- fails before it has written anything
    if ok or type(reply) == 'table' then return reply end
    return {err = tostring(reply)}
  end
  for i = channel_at, #list do
    local channel = list[i]
    local reply = put(channel)
    local err = type(reply) == 'table' and reply.err
    if err and no_ids(err) and renew(channel, 'push') then
      reply = put(channel)
      err = type(reply) == 'table' and reply.err
    end
    if err then
      refused(err, channel, id, fields, time, head)
      failed = failed .. ' ' .. i
    elseif #reads > 0 and reply then
      local copies = made[channel] or {ids = {}, of = {}, whole = whole ~= nil}
      made[channel] = copies
      copies.ids[#copies.ids + 1], copies.of[#copies.of + 1] = reply, ordinal
    end
  end
  if archive and first and not is_archived(fields) then
    if whole then archive_add({'m', whole}, 2) else archive_add(copy, n) end
  end
  if upto ~= '' then
    redis.call('HSET', progress, id, upto)
    return 'more' .. failed
  end
  note('received:' .. topic, 1)
  return 'copied' .. failed
end

-- Copying that has begun is finished without looking at the seen key, which may be another entry's by now.
local function route(id, fields, verb, arg, head, seen, time, after, upto)
  local key
  if verb == 'copy' then
    key = lined[arg] and line_key(fields)
    if key and not in_front(id) then return 'early' end
    local begun = unfinished and redis.call('HGET', progress, id) or ''
    if begun ~= after then return 'at ' .. begun end
    if begun ~= '' then return copy_all(id, fields, lists[arg], head, time, upto, key) end
    if arg == '0' then return to_unrouted(id, fields, time, seen) end
  end
  if seen > 0 and not redis.call('SET', KEYS[seen], id, 'NX', 'PX', window)
    and redis.call('GET', KEYS[seen]) ~= id then
    note('duplicate', 1)
    return 'duplicate'
  end
  if verb == 'quarantine' then
    if keep_work <= 0 then return 'wait' end
    to_quarantine(fields, #fields, arg, id)
    return 'quarantined'
  end
  if verb == 'delay' then return to_delayed(id, fields, time, arg) end
  return copy_all(id, fields, lists[arg], head, time, upto, key, true)
end

-- passed reports whether the group ever came as far as an entry. If not, it is not the one that the entry was read by: the stream was deleted.
local function passed(id)
  local function parts(of) return tonumber(string.match(of, '^%d+')), tonumber(string.match(of, '%d+$')) end
  local ms, seq = parts(id)
  for _, group in ipairs(redis.pcall('XINFO', 'GROUPS', incoming)) do
    local is = {}
    for i = 1, #group, 2 do is[group[i]] = group[i + 1] end
    local last_ms, last_seq = parts(is['last-delivered-id'])
    if is.name == 'fanout' and (last_ms > ms or last_ms == ms and last_seq >= seq) then return true end
  end
end

-- An entry that is not in the stream was moved, or somebody deleted it by hand: then it is still pending, or nobody knows of it any more.
local function missing(id, there)
  if not pending(id, me) and (there or passed(id)) then return 'gone' end
  vanish('~incoming', id)
  return 'vanished'
end

while at <= #ARGV do
  local id, verb, arg = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local head, seen, time, after, upto = '', 0, nil, '', ''
  at = at + 3
  if lists[verb] then
    head = arg
    arg = verb
    verb = 'copy'
  elseif verb == 'copy' then
    head, seen, time, after, upto = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
    at = at + 5
  elseif verb == 'delay' then
    seen, time, at = tonumber(ARGV[at]), ARGV[at + 1], at + 2
  end

  local result, ok = 'wait', true
  if not halted then
    local fields = found[id]
    if not fields then -- the run has gaps
      local e = redis.call('XRANGE', incoming, id, id)[1]
      fields = e and e[2]
    end
    if opens[id] and front ~= 'failed' then front = nil end
    if fields and (same or pending(id)) then
      ok, result = pcall(route, id, fields, verb, arg, head, seen, time, after, upto)
      channel_at = 1
      if not ok then
        result = 'error ' .. (type(result) == 'table' and result.err or tostring(result))
        front = 'failed'
      end
    else result = missing(id, fields) end
    if result == 'copied' then copied = copied + 1
    else
      local word = string.match(result, '^%a+')
      halted = word == 'more' or word == 'at' or word == 'wait'
    end
    if ok and result ~= 'early' and not halted then
      handled[id] = true
      if result ~= 'gone' then done[#done + 1] = id end
    end
  end
  results[ordinal] = result
  ordinal = ordinal + 1
end
close_archive, tell_vanished = archive_close, vanished
