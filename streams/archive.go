package streams

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// archiveLua is how the fan-out keeps messages in the archive. An entry is a copy, in the layout of the step, with two fields
// more: ~v is the revision of the subscriptions that the message was routed by, ~at how many bytes were archived before it.
// So the size of the archive is known from its oldest entry, however it was trimmed.
//
// The hash beside it is {written: bytes archived so far, first: ~at of the oldest entry, fence: the least revision that a step
// may route by}. A replay for a new subscription raises the fence: behind it all messages are routed to the subscription, and
// those before it say by ~v whether they were.
//
// open_archive(archive, state, revision, fresh) reports whether a step may go on. archive_add(fields, n) adds a message, and
// archive_close(most) bounds the bytes: it removes some of the oldest, more than one step adds. If the archive cannot be written
// because its key is of a wrong type or has no ids left, that is counted, and fails no step. Out of memory, only the first write
// of a step is refused. That is the archive's where all filters refuse a message: then nothing is done.
const archiveLua = `
local archive, shelf, written, first, archive_by, archive_added
local function at_of(e)
  for i = #e[2] - 1, 1, -2 do
    if e[2][i] == '~at' then return tonumber(e[2][i + 1]) end
  end
end
local function oldest_at()
  local e = redis.call('XRANGE', archive, '-', '+', 'COUNT', 1)[1]
  return e and at_of(e) or written
end
local function open_archive(key, state, by, fresh)
  local s = redis.pcall('HMGET', state, 'written', 'first', 'fence')
  if s.err then
    redis.call('DEL', state)
    s = {}
  end
  if not fresh and tonumber(by) < (tonumber(s[3] or '') or 0) then return false end
  archive, shelf, archive_by, archive_added = key, state, by, 0
  written, first = tonumber(s[1] or ''), tonumber(s[2] or '')
  return true
end
local function archive_begin()
  if written and first then return true end
  local newest = redis.pcall('XREVRANGE', archive, '+', '-', 'COUNT', 1)
  if newest.err then return false end
  local e = newest[1]
  written = written or e and (at_of(e) or 0) + size_of(e[2], #e[2]) or 0
  first = first or oldest_at()
  return true
end
local function archive_add(fields, n)
  local reply
  if archive_begin() then
    fields[n + 1], fields[n + 2], fields[n + 3], fields[n + 4] = '~v', archive_by, '~at', string.format('%.0f', written)
    reply = redis.pcall('XADD', archive, '*', unpack(fields, 1, n + 4))
  end
  if type(reply) ~= 'string' then
    if reply and string.find(reply.err, 'OOM', 1, true) then error(reply.err, 0) end
    note('unarchived', 1)
    return
  end
  written, archive_added = written + size_of(fields, n), archive_added + 1
end
local function archive_close(most)
  if not archive or archive_added == 0 then return end
  local over = written - first - most
  if over > 0 then
    local length = redis.call('XLEN', archive)
    local n = math.ceil(length * (over + most / 64) / (written - first))
    n = redis.call('XTRIM', archive, 'MAXLEN', length - math.min(n, length - 1, math.max(100, 2 * archive_added)))
    note('archive_dropped', n)
    first = oldest_at()
  end
  redis.call('HSET', shelf, 'written', string.format('%.0f', written), 'first', string.format('%.0f', first))
end
`

// trimArchiveScript removes the oldest messages of the archive.
//
// KEYS archive, its state. ARGV the least id that stays, most entries to remove, "1" to remove the keys once nothing is left, ms
// that messages are kept. Returns how many it removed. Safe to repeat: it removes what is still too old. Redis takes whole nodes at once. What is too
// old in the last one, a hundred entries at most, is taken when nothing else is left.
var trimArchiveScript = rdb.NewScript(`
local archive, n = KEYS[1], redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[1], 'LIMIT', ARGV[2])
if n == 0 then n = redis.call('XTRIM', archive, 'MINID', ARGV[1]) end
local e = redis.call('XRANGE', archive, '-', '+', 'COUNT', 1)[1]
if not e then
  if ARGV[3] == '1' then redis.call('DEL', archive, KEYS[2])
  else redis.pcall('HDEL', KEYS[2], 'first') end
elseif n > 0 then
  for i = 1, #e[2], 2 do
    if e[2][i] == '~at' then redis.pcall('HSET', KEYS[2], 'first', e[2][i + 1]) end
  end
end
if e then redis.pcall('HSET', KEYS[2], 'keep', ARGV[4]) end
return n
`)

const (
	// trimBytes is about how many bytes of messages one step removes, and trimLeast and trimMost how many messages: Redis removes
	// nothing if it may not remove a whole node.
	trimBytes           = 8 << 20
	trimLeast, trimMost = 100, 10_000
)

// archiveMost is the most bytes of a partition's archive; 0: this dispatcher keeps none.
func (s *Store) archiveMost() int64 {
	if s.cfg.Retention == 0 {
		return 0
	}
	return s.cfg.ArchiveBytes
}

// Archives reports whether an archive is kept, here or by a dispatcher on the list that was read last.
func (s *Store) Archives() bool {
	list, _ := s.LastDispatchers()
	return s.cfg.Retention > 0 || slices.ContainsFunc(list, func(d medispatcher.Dispatcher) bool { return d.Alive && d.Retention > 0 })
}

// TrimArchive removes from the archive of a partition what is older than keep, and returns how many messages that were. With
// last nobody keeps an archive any more: what is in it stays as long as it was to stay then, and the archive goes once it is
// empty. An archive that nobody made costs one round trip.
func (s *Store) TrimArchive(ctx context.Context, p int, keep time.Duration, last bool) (n int64, err error) {
	span, kept, err := s.archiveSpan(ctx, p)
	if err != nil || span.Messages == 0 && !last {
		return 0, err
	}
	if keep == 0 {
		keep = kept
	}
	most := int64(trimMost)
	if span.Messages > 0 && span.Bytes > 0 {
		most = min(trimMost, max(trimLeast, trimBytes*span.Messages/span.Bytes))
	}
	// Entry ids follow Redis's clock. If that was set, what is kept for too long is better than what is kept too short.
	now := s.db.Now()
	if shown := s.db.Shown(now); shown.Before(now) {
		now = shown
	}
	least := strconv.FormatInt(now.Add(-keep).UnixMilli(), 10)
	for {
		gone, err := trimArchiveScript.Run(ctx, s.db, []string{s.keys.Archive(p), s.keys.ArchiveState(p)}, least, most, last, keep.Milliseconds()).Int64()
		if err != nil || gone == 0 {
			return n, rdb.Failed("trim the archive", err)
		}
		n += gone
	}
}

// archiveSpanScript measures the archive. The ids of its ends come without their messages, which may be large.
//
// KEYS archive, its state. Returns {entries, bytes, ms to keep, oldest id, newest id}, or an empty list without entries. Safe to
// repeat: it only reads.
var archiveSpanScript = rdb.NewScript(`
local n = redis.call('XLEN', KEYS[1])
if n == 0 then return {} end
local s = redis.pcall('HMGET', KEYS[2], 'written', 'first', 'keep')
local function end_of(how, from, to) return redis.call(how, KEYS[1], from, to, 'COUNT', 1)[1][1] end
return {n, string.format('%.0f', math.max(0, (tonumber(s[1] or 0) or 0) - (tonumber(s[2] or 0) or 0))), s[3] or '0',
  end_of('XRANGE', '-', '+'), end_of('XREVRANGE', '+', '-')}
`)

// archiveSpan is what the archive of a partition holds, and how long that was to be kept when it was trimmed last.
func (s *Store) archiveSpan(ctx context.Context, p int) (a medispatcher.ArchiveSpan, keep time.Duration, err error) {
	res, err := archiveSpanScript.Run(ctx, s.db, []string{s.keys.Archive(p), s.keys.ArchiveState(p)}).Slice()
	if err != nil || len(res) == 0 {
		return a, 0, rdb.Failed("look at the archive", err)
	}
	if len(res) != 5 {
		return a, 0, rdb.Unreadable("look at the archive", res)
	}
	number := func(i int) int64 { return int64(rdb.ToInt(res[i])) }
	at := func(i int) time.Time { id, _ := res[i].(string); return rdb.EntryTime(id) }
	a = medispatcher.ArchiveSpan{Messages: number(0), Bytes: number(1), Oldest: at(3), Newest: at(4)}
	return a, time.Duration(number(2)) * time.Millisecond, nil
}

// ArchiveSpan is what the archives of all partitions hold together.
func (s *Store) ArchiveSpan(ctx context.Context) (all medispatcher.ArchiveSpan, err error) {
	for p := range s.db.Partitions() {
		a, _, err := s.archiveSpan(ctx, p)
		if err != nil {
			return all, err
		}
		all.Add(a)
	}
	return all, nil
}

// archived is a message of the archive.
type archived struct {
	id       string
	message  medispatcher.Message
	revision int64 // of the subscriptions that it was routed by
	bytes    int
}

// archivePageScript reads some messages of the archive.
//
// KEYS archive. ARGV where to begin and to end, as XRANGE takes them, most entries, bytes after which no further entry is read.
// Returns the entries as XRANGE does. Safe to repeat: it only reads.
var archivePageScript = rdb.NewScript(`
local from, room, page = ARGV[1], tonumber(ARGV[4]), {}
while #page < tonumber(ARGV[3]) and room > 0 do -- one by one: bodies may be large
  local e = redis.call('XRANGE', KEYS[1], from, ARGV[2], 'COUNT', 1)[1]
  if not e then break end
  for i = 2, #e[2], 2 do room = room - #e[2][i] end
  page[#page + 1], from = e, '(' .. e[1]
end
return page
`)

// archivePage is how many messages one step looks at, archiveBytes after how many bytes it begins no further one. A step that copies
// them handles each byte four times.
const archivePage, archiveBytes = 100, stepBytes / 4

// readArchive reads the next messages of a partition's archive; none at the end.
func (s *Store) readArchive(ctx context.Context, p int, from, to string) ([]archived, error) {
	page, err := rdb.Read(ctx, s.db, archivePageScript, func(c *rdb.Cursor) (page []archived) {
		for range c.Len() {
			e := c.Entry()
			f := entry.CopyOf(e.Fields)
			revision, _ := strconv.ParseInt(e.Fields.Get("~v"), 10, 64)
			page = append(page, archived{id: e.ID, message: f.Message(p), revision: revision, bytes: e.Fields.Bytes()})
		}
		return page
	}, []string{s.keys.Archive(p)}, from, to, archivePage, archiveBytes)
	return page, rdb.Failed("read the archive", err)
}
