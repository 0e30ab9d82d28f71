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
--
-- This file moves the entries that are nothing special, as most are, and without making a function for it: a step with one
-- entry would spend most of its time on those. fanout_rest.lua goes on with what is left, and fanout_end.lua ends the step.
local me, window = ARGV[1], ARGV[2]
local incoming, progress, archive_most = KEYS[5], KEYS[12], tonumber(ARGV[7])

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

local results, done, copied, halted, wrote = {}, {}, 0, false, false
local channel_at = 1 -- the next channel of the next entry: those before it have their copies
local close_archive, tell_vanished -- of the rest, if it runs

local plain = same and not unfinished and archive_most == 0

-- For ordered channels this plans what line_put would do for each copy, with a few calls for the whole step. If an older entry
-- may be pending, or a line is not as it should be, fanout_rest.lua puts each copy by itself. Lists of numbers and strings
-- are a good deal quicker than a table for each copy or key.
local key_of, plans = {}, {}
if plain and next(ordered) then
  local oldest = redis.call('XPENDING', incoming, 'fanout', '-', '+', 1)[1]
  plain = ARGV[10] == '1' and oldest and oldest[1] == ARGV[11]
  for i = at, plain and #ARGV or 0, 3 do
    local list, fields, key = lists[ARGV[i + 1]], found[ARGV[i]], nil
    if not list or not fields then break end
    for f = 1, #fields, 2 do
      if fields[f] == 'key' then key = fields[f + 1] end
    end
    if key and (key == '' or string.find(key, '\n', 1, true)) then key = string.match(key, '^[^\n]+') end
    key_of[ARGV[i]] = key
    for c = 1, key and #list or 0 do
      local o = ordered[list[c]]
      if o then
        local plan = plans[list[c]]
        if not plan then
          -- of, places: by copy, the number of its key, and its place in wait (false: it goes into the channel); number: by key;
          -- the rest is by the number of the key
          plan = {line = o[1], wait = o[2], copies = 0, at = 0, of = {}, places = {}, number = {}, n = 0, keys = {}, fields = {'~'},
            inside = {}, first = {}, last = {}, changed = {}, to_line = {}, lines = 0, to_wait = {}, waits = 0}
          plans[list[c]] = plan
        end
        local k = plan.number[key]
        if not k then
          k = plan.n + 1
          plan.number[key], plan.n, plan.keys[k], plan.fields[k + 1] = k, k, key, 'c' .. key
        end
        plan.copies = plan.copies + 1
        plan.of[plan.copies] = k
      end
    end
  end
  for _, plan in pairs(plans) do
    local got = redis.pcall('HMGET', plan.line, unpack(plan.fields))
    plain = plain and got[1] == 'on'
    local known, upto, want, wanted = {}, {}, {}, 0 -- upto: the last number that is taken
    for k = 1, plan.n do
      plan.inside[k], plan.first[k], plan.last[k], known[k] = line_counts(got[k + 1])
      upto[k] = plan.last[k]
    end
    for copy = 1, plan.copies do
      local k, place = plan.of[copy], false
      if known[k] then
        upto[k], wanted = upto[k] + 1, wanted + 1
        place = line_place(upto[k], plan.keys[k])
        want[wanted] = place
      end
      plan.places[copy], known[k] = place, true
    end
    local taken = plain and wanted > 0 and redis.pcall('HMGET', plan.wait, unpack(want)) or {}
    plain = plain and not taken.err
    for i = 1, #taken do plain = plain and not taken[i] end
  end
end

-- An entry whose copies are of the second layout. Where a channel refuses its copy, the rest goes on with it.
while plain and at <= #ARGV do
  local id, list = ARGV[at], lists[ARGV[at + 1]]
  local fields, body, topic = list and found[id] or {}, nil, nil
  for i = 1, #fields, 2 do
    if fields[i] == 'body' then body = fields[i + 1]
    elseif fields[i] == 'topic' then topic = fields[i + 1] end
  end
  if not body or not topic then break end
  local whole = ARGV[at + 2] .. body
  local last = #list
  while channel_at <= last do
    local channel, copy = list[channel_at], nil
    local plan, place = key_of[id] and plans[channel], nil
    if plan then place = plan.places[plan.at + 1] end
    if place then
      plan.to_wait[plan.waits + 1], plan.to_wait[plan.waits + 2] = place, whole
      plan.waits = plan.waits + 2
    else
      copy = redis.pcall('XADD', channel, '*', 'm', whole)
      if type(copy) ~= 'string' then break end
    end
    if plan then
      local k = plan.of[plan.at + 1]
      if place then plan.last[k] = plan.last[k] + 1
      else
        plan.inside[k] = 1
        plan.to_line[plan.lines + 1], plan.to_line[plan.lines + 2] = 'b' .. copy, plan.keys[k]
        plan.lines = plan.lines + 2
      end
      plan.at, plan.changed[k] = plan.at + 1, true
    end
    channel_at, wrote = channel_at + 1, true
    if copy and #reads > 0 then
      local copies = made[channel] or {ids = {}, of = {}, whole = true}
      made[channel] = copies
      copies.ids[#copies.ids + 1], copies.of[#copies.of + 1] = copy, ordinal
    end
  end
  if channel_at <= last then break end
  note('received:' .. topic, 1)
  results[ordinal], done[ordinal], copied = 'copied', id, copied + 1
  ordinal, channel_at, at = ordinal + 1, 1, at + 3
end
for _, plan in pairs(plans) do
  for k in pairs(plan.changed) do
    plan.to_line[plan.lines + 1], plan.to_line[plan.lines + 2] = plan.fields[k + 1], line_noted(plan.inside[k], plan.first[k], plan.last[k])
    plan.lines = plan.lines + 2
  end
  in_steps('HSET', plan.wait, plan.to_wait)
  in_steps('HSET', plan.line, plan.to_line)
end
