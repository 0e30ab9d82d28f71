-- Fan-out of a batch: INCOMING → READY, UNROUTED, QUARANTINE or delayed.
--
-- KEYS  1–4 counts, 5 incoming, 6 delayed, 7 delayed:body, 8 quarantine, 9 its size, 10 unrouted, 11 its size,
--       12 progress: a hash from the id of an unfinished entry to the last subscription that has its copy, 13 active,
--       14 archive, 15 its state; then every channel and every seen key. ARGV names these by their number in KEYS.
-- ARGV  consumer, dedupe window in ms, most entries and bytes of the quarantine, most entries and bytes
--       of the unrouted; most bytes of the archive (0: none is kept), revision of the subscriptions that the entries were
--       routed by, "1" if it was read after a step was outdated; number of runs, then for each run: first and last entry id, number of entries;
--       number of lists of channels, then for each list: n, n numbers of channels; number of channels, then the
--       subscription of each, in the order of KEYS; number of channels to read,
--       then for each: its number, most messages; number of ordered channels, then for each: its number, number of
--       its line; the next key has what waits in it; then for each entry:
--       entry id and one of
--       number of its list, head of its copies: most entries are like this
--       "copy", the same ("0": nobody wants it; head "": copies of the first layout), seen, time in ms, last
--         subscription that has its copy ("": none), last subscription of this step ("": it is the last step)
--       "delay", due in ms, seen, time in ms
--       "quarantine", reason
--       where seen is the number of a seen key (0: none).
-- Returns the number of entries if all of them are copied, and else one line for each entry:
--       "<result>[ <ordinal>…]": the entry is done. Ordinals count the channels of this step from 1, and name
--         the copies that went to the quarantine because their channel refused them.
--       "more[ <ordinal>…]": the copies of this step are made, others are still missing.
--       "at <subscription>": nothing was done, because progress differs from what the caller said.
--       "wait": nothing was done, because an earlier entry is not finished.
--       "early": nothing was done, because an ordered channel wants a copy, and an older entry is pending elsewhere.
--       "error <what Redis said>": the entry is as it was.
--       A "~" among the ordinals says that the lines of a channel are not ready (see straightenScript).
--       It returns "outdated" and does nothing, if the archive asks for a newer revision; see archive.go.
--       With channels to read, it returns this and then for each of them what the consumer has now: entries, and after them
--       a list {id, ordinal of the entry, id, …} of copies that this step made, which the caller can build itself.
--
-- A channel is read only if the copies of this step are all that is READY there, since the caller knows how
-- large they are. They are taken by their ids, because Lua hashes every byte of a string that it gets. If the reply is lost,
-- its messages are pending for the consumer, as after any read.
--
-- A copy for an ordered channel is made only while no older entry is pending, unless this step made its copies, too: it
-- could have the same key. Whoever finds one that is older moves that one first.
--
-- A run is entries that follow one another in the stream, so that one call reads them all.
--
-- Safe to repeat: the last copies of an entry and its removal are one step, and the copies before them go on
-- only from where progress says. So as long as an entry is in the stream, what this step does was not done.
-- It does not matter who owns it by now: if two dispatchers have it in hand, because one was declared dead,
-- the first step to come moves it, and the other finds it gone. A stream does not give an id twice, but after
-- FLUSHALL the new one may. As long as the first entry is pending, there was none since these were read;
-- otherwise each must be pending. A seen key that holds the same entry id does not make the entry a duplicate.
-- Out of memory, Redis refuses the first command that needs memory, before anything is written.
--
-- The caller bounds the work: the script does all of it in one go.
local me, window = ARGV[1], ARGV[2]
local incoming, progress, archive_most = KEYS[5], KEYS[12], tonumber(ARGV[7])

-- Fields that a copy keeps. Its time comes from ARGV; ~src is the id of the first incoming entry.
local kept = {topic = true, body = true, id = true, sender = true, key = true, type = true, headers = true, ['~src'] = true}

local unfinished = redis.call('EXISTS', progress) == 1

local found, at, entries, opens = {}, 11, 0, {} -- opens: the first entry of each run
for _ = 1, tonumber(ARGV[10]) do
  opens[ARGV[at]], entries = true, entries + ARGV[at + 2]
  for _, e in ipairs(redis.call('XRANGE', incoming, ARGV[at], ARGV[at + 1], 'COUNT', ARGV[at + 2])) do found[e[1]] = e[2] end
  at = at + 3
end

local function pending(id, ...)
  return redis.pcall('XPENDING', incoming, 'fanout', id, id, 1, ...)[1] -- nil without the group, too
end
local same = pending(ARGV[11])

local lists = {['0'] = {}}
for i = 1, tonumber(ARGV[at]) do
  local list, n = {}, tonumber(ARGV[at + 1])
  for c = 1, n do list[c] = KEYS[tonumber(ARGV[at + 1 + c])] end
  lists[tostring(i)], at = list, at + 1 + n
end
local names = at + 2 -- of the channels
at = names + tonumber(ARGV[at + 1])
local last_name = at - 1

local reads, made = {}, {} -- made: by channel, the ids of its copies, and the ordinals of their entries
local ordinal = 1 -- of the entry that is routed
for i = 1, tonumber(ARGV[at]) do reads[i] = {KEYS[tonumber(ARGV[at + 2 * i - 1])], ARGV[at + 2 * i]} end
at = at + 1 + 2 * #reads

if archive_most > 0 and not open_archive(KEYS[14], KEYS[15], ARGV[8], ARGV[9] == '1') then
  local answer = {'outdated'}
  for i = 1, #reads do answer[i + 1] = {{}} end
  return #reads > 0 and answer or 'outdated'
end

local ordered, lined = {}, {} -- by channel: its line, what waits there, and its state; lists with such channels
for i = 1, tonumber(ARGV[at]) do
  local line = tonumber(ARGV[at + 2 * i])
  ordered[KEYS[tonumber(ARGV[at + 2 * i - 1])]] = {KEYS[line], KEYS[line + 1]}
end
if ARGV[at] ~= '0' then
  for number, list in pairs(lists) do
    for i = 1, #list do lined[number] = lined[number] or ordered[list[i]] ~= nil end
  end
end
at = at + 1 + 2 * tonumber(ARGV[at])

local handled, front = {}, nil -- front: nothing older than the next entries of this run is pending, but what is handled
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
  local marks = (archive or had) and 2 or 0
  if marks > 0 then copy[n + 1], copy[n + 2] = '~archived', '1' end
  note('unrouted_lost', keep(KEYS[10], KEYS[11], tonumber(ARGV[5]), tonumber(ARGV[6]), copy, n + marks))
  if archive and not had then archive_add(copy, n) end
  if marked and (marked == id or marked == before) then redis.call('DEL', KEYS[seen]) end
  note('received:' .. topic, 1)
  note('unroutable:' .. topic, 1)
  return 'unroutable'
end

local function to_delayed(id, fields, time, due)
  local copy, n = copy_of(id, fields, time)
  redis.call('HSET', KEYS[7], id, line_pack(copy, n))
  redis.call('ZADD', KEYS[6], due, id)
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
local written = false
local function copy_all(id, fields, list, head, time, upto, key, first)
  written = true
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
  for i = 1, #list do
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

-- An entry that is not in the stream was moved, or somebody deleted it by hand: then it is still pending.
local function missing(id)
  if not pending(id, me) then return 'gone' end
  vanish('~incoming', id)
  return 'vanished'
end

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

local results, done, copied, halted = {}, {}, 0, false
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
      if not ok then
        result = 'error ' .. (type(result) == 'table' and result.err or tostring(result))
        front = 'failed'
      end
    else result = missing(id) end
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

-- A channel that is new to the set may be new altogether. Its group is made here, so that no reader has to.
-- Without the set, if its key is of another type, sweeps look at every channel.
if written then
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
archive_close(archive_most)
count_noted()
vanished()
local answer = results
if copied == #results then answer = copied end
if #reads == 0 then return answer end
answer = {answer}
for i, r in ipairs(reads) do answer[i + 1] = read(r[1], tonumber(r[2])) end
return answer
