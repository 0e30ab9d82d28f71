package streams

import (
	"context"
	"fmt"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	// unownedBytes is about how much of bodies one step copies inside Redis: there is no
	// command that tells the ids of entries without their fields.
	unownedBytes = 1 << 20
	// unownedGrace is how long an entry that may be in flight waits before it is tried again. An
	// XACK by hand does not stop the attempt: one that succeeds meanwhile deletes the entry.
	unownedGrace = 5 * time.Second
)

// unownedScript finds entries that a group has behind it and that are in nobody's pending list: XREADGROUP will never
// return them. A command typed by hand makes them: XACK, XGROUP DELCONSUMER, SETID or CREATE.
//
// KEYS 1–4 counts, 5 stream, then for a channel: 6 retry, 7 failures.
// ARGV id up to which everything was looked at, most entries to look at, bytes of bodies, group, new owner, name of the
// count, due time of what has none, "1" to change nothing.
// Returns {entries found, id to go on after ("": done)}.
//
// An entry of a channel goes to its new owner with the number of its next attempt, as the failure record
// says. Its due time stays as it is; one that has none may be in flight and is due after the grace.
//
// Safe to repeat: what has an owner is left alone. A step that settles acknowledges and removes an entry at
// once, so none is seen in between. What lies between two pending entries is asked for as a range, which
// copies no body where there is nothing. XCLAIM comes first: it is allowed out of memory, and so is then the rest.
var unownedScript = rdb.NewScript(countLua + `
local place, limit, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local key, group, owner, dry = KEYS[5], ARGV[4], ARGV[5], ARGV[8] == '1'
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function field(list, name)
  for i = 1, #list, 2 do
    if list[i] == name then return list[i + 1] end
  end
end
local last
for _, g in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  if field(g, 'name') == group then last = field(g, 'last-delivered-id') end
end
if not last then return {0, ''} end

local found = 0
local function give(id)
  found = found + 1
  if dry then return end
  local attempt = 1
  if KEYS[7] then
    local record = redis.call('HGET', KEYS[7], id)
    attempt = 1 + (record and string.match(record, '"attempts":%s*(%d+)') or 0)
  end
  redis.call('XCLAIM', key, group, owner, 0, id, 'RETRYCOUNT', attempt, 'FORCE', 'JUSTID')
  if KEYS[6] then redis.call('ZADD', KEYS[6], 'NX', ARGV[7], id) end
end

-- between looks at what is behind place, up to stop. It returns whether it came to the end.
local function between(stop)
  while true do
    local e = redis.call('XRANGE', key, '(' .. place, stop, 'COUNT', 1)[1]
    if not e then return true end
    give(e[1])
    place, limit = e[1], limit - 1
    for _, v in ipairs(e[2]) do bytes = bytes - #v end
    if limit <= 0 or bytes <= 0 then return false end
  end
end

local pending = redis.call('XPENDING', key, group, place, last, limit + 1)
local whole = #pending <= limit
local done = true
for _, e in ipairs(pending) do
  if e[1] ~= place then
    done = between('(' .. e[1])
    if not done then break end
    place = e[1]
  end
end
done = done and whole and (place == last or between(last))
if found > 0 and not dry then count(ARGV[6], found) end
if not done then return {found, place} end

-- A group that was set ahead of its stream would skip what is still to come.
if not dry and tonumber(string.match(last, '^%d+')) > now and not redis.call('XRANGE', key, last, '+', 'COUNT', 1)[1] then
  redis.pcall('XGROUP', 'SETID', key, group, '$')
end
return {found, ''}
`)

// Unowned gives back entries of a channel that nobody owns and no read would return, and returns how many. They
// become ~buried's. With dryRun it only counts them.
func (s *Store) Unowned(ctx context.Context, c medispatcher.Channel, dryRun bool) (int, error) {
	k := append(s.countKeys(c.Partition), s.keys.Channels(c.Partition, []string{c.Subscription})...)
	n, err := s.unowned(ctx, k, rdb.GroupPush, rdb.Buried, c.Subscription, dryRun)
	return n, rdb.Failed("look for messages of "+c.Subscription+" that nobody owns", err)
}

// UnownedIncoming is Unowned of a partition's incoming stream. The entries become this process's, or
// with adopt unset those of a consumer that nobody is, where every dispatcher looks.
func (s *Store) UnownedIncoming(ctx context.Context, p int, adopt, dryRun bool) (int, error) {
	owner := rdb.Buried
	if adopt {
		owner = s.cfg.ID
	}
	n, err := s.unowned(ctx, append(s.countKeys(p), s.keys.Incoming(p)), rdb.GroupFanout, owner, FromIncoming, dryRun)
	return n, rdb.Failed("look for incoming messages that nobody owns", err)
}

// unowned walks a stream, a step at a time.
func (s *Store) unowned(ctx context.Context, k []string, group, owner, from string, dryRun bool) (found int, err error) {
	now, err := s.db.SharedNow(ctx)
	if err != nil {
		return 0, err
	}
	due := now.Add(unownedGrace).UnixMilli()
	for place := "0-0"; place != ""; {
		n, next, err := s.unownedStep(ctx, k, place, group, owner, "unowned:"+from, due, dryRun)
		found += n
		if rdb.IsNoStream(err) {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		place = next
	}
	return found, nil
}

// CountUnowned counts, behind place, entries of a channel that nobody owns, or with no subscription
// those of the incoming stream. It looks at UnownedLook entries, changes nothing and returns the
// place to go on behind; "": it saw all.
func (s *Store) CountUnowned(ctx context.Context, c medispatcher.Channel, place string) (found int, next string, err error) {
	k, group := []string{s.keys.Incoming(c.Partition)}, rdb.GroupFanout
	if c.Subscription != "" {
		k, group = s.keys.Channels(c.Partition, []string{c.Subscription}), rdb.GroupPush
	}
	return s.unownedStep(ctx, append(s.countKeys(c.Partition), k...), place, group, "", "", 0, true)
}

// UnownedLook is the most entries that one step of CountUnowned looks at.
const UnownedLook = lookBatch

func (s *Store) unownedStep(ctx context.Context, k []string, place, group, owner, count string, due int64, dryRun bool) (found int, next string, err error) {
	res, err := unownedScript.Run(ctx, s.db, k, place, lookBatch, unownedBytes, group, owner, count, due, dryRun).Slice()
	if err != nil {
		return 0, "", err
	}
	if len(res) != 2 {
		return 0, "", fmt.Errorf("unreadable answer %v", res)
	}
	next, _ = res[1].(string)
	return rdb.ToInt(res[0]), next, nil
}
