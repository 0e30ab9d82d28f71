package streams

import (
	"context"
	"fmt"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	// unownedBytes is about how many bytes of bodies one step copies inside Redis: no command
	// returns the ids of entries without their fields.
	unownedBytes = 1 << 20
	// unownedGrace is how long an entry waits before it is tried again, because it may be in flight.
	// An XACK by hand does not stop an attempt. If that succeeds, it deletes the entry.
	unownedGrace = 5 * time.Second
)

// unownedScript finds entries that the group has passed and that are in no pending list. XREADGROUP will never
// return them. They come from a command typed by hand: XACK, XGROUP DELCONSUMER, SETID or CREATE.
//
// KEYS 1–4 counts, 5 stream, then for a channel: 6 retry, 7 failures, 8 active.
// ARGV id to go on after, most entries to check, most bytes of bodies, group, new owner, name of the
// count, due time for entries that have none, "1" to change nothing.
// Returns {entries found, id to go on after ("": done)}.
//
// An entry of a channel goes to its new owner with the number of its next attempt, taken from the failure
// record. It keeps its due time. Without one it may be in flight, and gets the one in ARGV.
//
// Safe to repeat: an entry with an owner is left alone. Settling acknowledges and removes an entry in one step, so the
// script never sees one in between. It reads the gaps between pending entries as ranges; an empty gap costs no
// copying. XCLAIM comes first because Redis allows it, and then the rest of the script, even when out of memory.
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

-- between gives away the entries after place, up to stop. It returns false if a limit ended it.
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
if found > 0 and not dry then
  if KEYS[8] then redis.pcall('SADD', KEYS[8], string.match(ARGV[6], ':(.*)')) end
  count(ARGV[6], found)
end
if not done then return {found, place} end

-- A group that was set to an id in the future would skip entries that are still to come.
if not dry and tonumber(string.match(last, '^%d+')) > now and not redis.call('XRANGE', key, last, '+', 'COUNT', 1)[1] then
  redis.pcall('XGROUP', 'SETID', key, group, '$')
end
return {found, ''}
`)

// Unowned gives the entries of a channel that nobody owns and no read would return to ~buried. It returns how many
// there were. With dryRun it only counts them.
func (s *Store) Unowned(ctx context.Context, c medispatcher.Channel, dryRun bool) (int, error) {
	k := append(s.countKeys(c.Partition), s.keys.Channels(c.Partition, []string{c.Subscription})...)
	n, err := s.unowned(ctx, append(k, s.keys.Active(c.Partition)), rdb.GroupPush, rdb.Buried, c.Subscription, dryRun)
	return n, rdb.Failed("find messages of "+c.Subscription+" that nobody owns", err)
}

// UnownedIncoming is Unowned of a partition's incoming stream. With adopt the entries go to this process.
// Otherwise they go to ~buried, as with GiveBackIncoming.
func (s *Store) UnownedIncoming(ctx context.Context, p int, adopt, dryRun bool) (int, error) {
	owner := rdb.Buried
	if adopt {
		owner = s.cfg.ID
	}
	n, err := s.unowned(ctx, append(s.countKeys(p), s.keys.Incoming(p)), rdb.GroupFanout, owner, FromIncoming, dryRun)
	return n, rdb.Failed("find incoming messages that nobody owns", err)
}

// unowned walks through a stream, one step at a time.
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

// CountUnowned counts the entries after id place that nobody owns, in a channel or, without a
// subscription, in the incoming stream. It checks up to UnownedLook entries and only reads. next
// is the id to go on after, "" at the end.
func (s *Store) CountUnowned(ctx context.Context, c medispatcher.Channel, place string) (found int, next string, err error) {
	k, group := []string{s.keys.Incoming(c.Partition)}, rdb.GroupFanout
	if c.Subscription != "" {
		k, group = s.keys.Channels(c.Partition, []string{c.Subscription}), rdb.GroupPush
	}
	return s.unownedStep(ctx, append(s.countKeys(c.Partition), k...), place, group, "", "", 0, true)
}

// UnownedLook is the most entries that one call of CountUnowned checks.
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
