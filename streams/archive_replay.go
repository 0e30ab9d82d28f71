package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// A replay is noted in the hash of replays until it is finished. In each partition, a hash notes its window and its place: the
// last entry of the archive that was looked at. A step names the place that it goes on from, as a step of the fan-out does. So
// a replay that was interrupted goes on where it was, and two that run at a time share the work.

const (
	// replayKept is how long the place in a partition is kept when nobody goes on.
	replayKept = 30 * 24 * time.Hour
	// replayAhead is how many messages a channel may hold, over all partitions, while a replay adds more: what it adds waits
	// in the archive, not in the channel, and what is new does not wait behind it.
	replayAhead = 1000
	// replayBytes bounds their bytes in the same way, by the size of those that are to be added.
	replayBytes = 64 << 20
)

// replayBeginScript notes a replay in a partition.
//
// KEYS archive, its state, the replay's hash. ARGV id of the replay, the first ms of its window, the last ms ("": now), the
// revision that is to be the fence ("0": none), ms to keep the hash. Returns {place, last entry, looked, replayed, first entry}, or an
// empty list if the replay is over.
//
// Safe to repeat: it finds its own id. The fence and the last entry are read in one step: all entries behind it are routed by
// that revision or a later one. DEL comes first because Redis allows it, and then the rest, even when out of memory.
var replayBeginScript = rdb.NewScript(`
local s = redis.call('HMGET', KEYS[3], 'id', 'place', 'to', 'looked', 'replayed', 'from')
if s[1] == '-' .. ARGV[1] then return {} end
if s[1] == ARGV[1] then return {s[2], s[3], tonumber(s[4]), tonumber(s[5]), s[6]} end
redis.call('DEL', KEYS[3])
local last = '0-0'
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not info.err then
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
end
local to = last
if ARGV[3] ~= '' and tonumber(ARGV[3]) < tonumber(string.match(last, '^%d+')) then to = ARGV[3] .. '-18446744073709551615' end
local fence = redis.pcall('HGET', KEYS[2], 'fence')
if type(fence) == 'table' then
  redis.call('DEL', KEYS[2])
  fence = nil
end
if tonumber(ARGV[4]) > (tonumber(fence or '') or 0) then redis.call('HSET', KEYS[2], 'fence', ARGV[4]) end
local place = string.format('%.0f', tonumber(ARGV[2]) - 1) .. '-18446744073709551615'
local first = redis.pcall('XRANGE', KEYS[1], '(' .. place, '+', 'COUNT', 1)[1]
local from = first and first[1] or place
redis.call('HSET', KEYS[3], 'id', ARGV[1], 'place', place, 'to', to, 'looked', 0, 'replayed', 0, 'from', from)
redis.call('PEXPIRE', KEYS[3], ARGV[5])
return {place, to, 0, 0, from}
`)

// archiveReplayScript copies messages of the archive to a channel: ARCHIVE → READY.
//
// KEYS 1–4 counts, 5 archive, 6 channel, 7 the replay's hash, 8 active, 9 line, 10 wait. ARGV id of the replay, its place, the
// next place, most messages of the channel, how many were looked at, ms to keep the hash, subscription, "1" if it is ordered, "1" if
// copies may be of the second layout, then ids of entries. Returns {word, place, looked, replayed, copies made, state of the lines}:
//
//	"moved"   they are made
//	"full"    nothing was done: the channel holds enough
//	"at"      nothing was done: this is the place
//	"gone"    nothing was done: the replay is over, or was stopped
//
// Safe to repeat: the place has changed. XADD comes first in a step that copies: if Redis is out of memory, the place stays. An entry
// that was trimmed meanwhile is skipped.
var archiveReplayScript = rdb.NewScript(countLua + lineLua + namedLua + `
local s = redis.call('HMGET', KEYS[7], 'id', 'place', 'looked', 'replayed')
if s[1] ~= ARGV[1] then return {'gone', '', 0, 0, 0, ''} end
if s[2] ~= ARGV[2] then return {'at', s[2], s[3], s[4], 0, ''} end
if ARGV[10] then
  redis.call('HLEN', KEYS[9]) -- fails if it is of a wrong type, before any copy is made
  local length = redis.call('XLEN', KEYS[6]) + redis.call('HLEN', KEYS[10])
  if length >= tonumber(ARGV[4]) then return {'full', s[2], s[3], s[4], 0, ''} end
end
local copies = 0
for i = 10, #ARGV do
  local e = redis.call('XRANGE', KEYS[5], ARGV[i], ARGV[i])[1]
  if e then
    local copy = {}
    for f = 1, #e[2], 2 do
      local name, value = e[2][f], e[2][f + 1]
      if name == 'm' then
        local topic = string.find(value, '\n', 1, true) or 0
        value = string.sub(value, 1, topic) .. 'replay 1\n' .. string.sub(value, topic + 1)
      end
      if name ~= '~v' and name ~= '~at' then copy[#copy + 1], copy[#copy + 2] = name, value end
    end
    if copy[1] ~= 'm' then copy[#copy + 1], copy[#copy + 2] = '~replay', '1'
    elseif ARGV[9] ~= '1' then copy = named(copy) end
    line_join(KEYS[6], KEYS[9], KEYS[10], copy, ARGV[8] == '1')
    copies = copies + 1
  end
end
redis.call('HSET', KEYS[7], 'place', ARGV[3])
redis.call('HINCRBY', KEYS[7], 'looked', ARGV[5])
redis.call('PEXPIRE', KEYS[7], ARGV[6])
if copies > 0 then
  redis.call('HINCRBY', KEYS[7], 'replayed', copies)
  if redis.pcall('SADD', KEYS[8], ARGV[7]) == 1 then
    local groups = redis.pcall('XINFO', 'GROUPS', KEYS[6])
    if #groups == 0 and not groups.err then redis.pcall('XGROUP', 'CREATE', KEYS[6], 'push', '0') end
  end
  count('replayed:' .. ARGV[7], copies)
end
return {'moved', ARGV[3], s[3] + ARGV[5], s[4] + copies, copies, line_get(KEYS[9], '~') or ''}
`)

// replayPart is a replay in one partition.
type replayPart struct {
	p                int
	place, to        string
	from             string // the first entry of the window
	looked, replayed int64
}

// replayPage is what a step makes of a page of the archive.
type replayPage struct {
	next    string   // the place behind it
	looked  int      // messages of the page
	wanted  []string // ids of those that are replayed
	bytes   int      // of these
	ordered bool     // so is the subscription
}

// ahead is how many messages a channel may hold in one of n partitions before the page is added.
func (g *replayPage) ahead(n int) int {
	most := replayAhead
	if g.bytes > 0 {
		most = min(most, replayBytes*len(g.wanted)/g.bytes)
	}
	return max(1, most/n)
}

// over reports whether nothing is left of the window.
func (r *replayPart) over() bool { return compareIDs(r.place, r.to) >= 0 }

// beginReplay notes a replay in a partition, or finds out how far it has come there.
func (s *Store) beginReplay(ctx context.Context, p int, r *medispatcher.Replay) (replayPart, error) {
	until := ""
	if !r.Until.IsZero() {
		until = strconv.FormatInt(r.Until.UnixMilli(), 10)
	}
	k := []string{s.keys.Archive(p), s.keys.ArchiveState(p), s.keys.Replay(p, r.Subscription)}
	res, err := replayBeginScript.Run(ctx, s.db, k, r.ID, r.Since.UnixMilli(), until, r.Revision, replayKept.Milliseconds()).Slice()
	if err == nil && len(res) == 0 {
		return replayPart{}, errReplayGone
	}
	if err == nil && len(res) != 5 {
		err = fmt.Errorf("unreadable answer %v", res)
	}
	if err != nil {
		return replayPart{}, rdb.Failed(fmt.Sprintf("begin the replay in partition %d", p), err)
	}
	part := replayPart{p: p, looked: int64(rdb.ToInt(res[2])), replayed: int64(rdb.ToInt(res[3]))}
	part.place, _ = res[0].(string)
	part.to, _ = res[1].(string)
	part.from, _ = res[4].(string)
	return part, nil
}

// replayPlace is how far a replay has come in a partition. Where it has not begun, nothing is behind it.
func (s *Store) replayPlace(ctx context.Context, p int, r *medispatcher.Replay) (part replayPart, err error) {
	f, err := rdb.Texts(s.db.With(ctx), "HMGET", s.keys.Replay(p, r.Subscription), "id", "place", "to", "looked", "replayed", "from").Result()
	if err != nil {
		return part, rdb.Failed("read the replay", err)
	}
	part = replayPart{p: p, place: "0-0", to: "1-0"}
	if len(f) == 6 && strings.TrimPrefix(f[0], "-") == r.ID {
		part.place, part.to, part.from = f[1], f[2], f[5]
		part.looked, _ = strconv.ParseInt(f[3], 10, 64)
		part.replayed, _ = strconv.ParseInt(f[4], 10, 64)
	}
	return part, nil
}

// errReplayGone: the replay was stopped, or somebody else has finished it.
var errReplayGone = errors.New("the replay is over")

// replayStep makes the wanted messages of a page READY, and moves the place behind the page. full says that the channel holds enough.
func (s *Store) replayStep(ctx context.Context, r *medispatcher.Replay, part *replayPart, page replayPage) (full bool, err error) {
	p, sub := part.p, r.Subscription
	lines, err := s.Lines(ctx)
	if err != nil {
		return false, err
	}
	ordered := lines && page.ordered
	k := append(s.countKeys(p), s.keys.Archive(p), s.keys.Channel(p, sub), s.keys.Replay(p, sub), s.keys.Active(p), s.keys.Line(p, sub), s.keys.Wait(p, sub))
	args := []any{r.ID, part.place, page.next, page.ahead(s.db.Partitions()), page.looked, replayKept.Milliseconds(), sub, ordered, s.layout.whole()}
	for _, id := range page.wanted {
		args = append(args, id)
	}
	res, err := archiveReplayScript.Run(ctx, s.db, k, args...).Slice()
	if err == nil && len(res) != 6 {
		err = fmt.Errorf("unreadable answer %v", res)
	}
	if err != nil {
		return false, rdb.Failed(fmt.Sprintf("replay in partition %d", p), err)
	}
	if res[0] == "gone" {
		return false, errReplayGone
	}
	part.place, _ = res[1].(string)
	part.looked, part.replayed = int64(rdb.ToInt(res[2])), int64(rdb.ToInt(res[3]))
	if res[0] != "moved" {
		return res[0] == "full", nil
	}
	if state, _ := res[5].(string); ordered && strings.HasPrefix(state, "walk") {
		// What it added waits until it is known what else the channel holds. If that fails, the minute's look does it.
		_, _ = s.Straighten(ctx, medispatcher.Channel{Partition: p, Subscription: sub}, true)
	}
	if rdb.ToInt(res[4]) > 0 {
		_ = s.ring(ctx, hintReady, everybody, p, []string{sub}) // a hint
	}
	return false, nil
}

// encodeReplay is how the hash of replays holds one: the revision, and the rest as JSON. changeScript writes the revision.
func encodeReplay(r *medispatcher.Replay) []byte {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and times only
	}
	return text
}

func decodeReplay(text string) (r medispatcher.Replay, ok bool) {
	head, doc, _ := strings.Cut(text, " ")
	revision, err := strconv.ParseInt(head, 10, 64)
	if err != nil || json.Unmarshal([]byte(doc), &r) != nil {
		return r, false
	}
	r.Revision = revision
	return r, true
}

// Replays are the replays that are not finished, by subscription.
func (s *Store) Replays(ctx context.Context) ([]medispatcher.Replay, error) {
	texts, err := rdb.Map(s.db.With(ctx), "HGETALL", s.keys.Replays()).Result()
	if err != nil {
		return nil, rdb.Failed("list replays", err)
	}
	var list []medispatcher.Replay
	for _, text := range texts {
		if r, ok := decodeReplay(text); ok {
			list = append(list, r)
		}
	}
	return list, nil
}

// ReplayOf is the replay of a subscription that is not finished. The error is ErrNotFound if there is none.
func (s *Store) ReplayOf(ctx context.Context, sub string) (medispatcher.Replay, error) {
	text, err := rdb.Text(s.db.With(ctx), "HGET", s.keys.Replays(), sub).Result()
	if err != nil && !rdb.IsNil(err) {
		return medispatcher.Replay{}, rdb.Failed("read the replay", err)
	}
	r, ok := decodeReplay(text)
	if !ok {
		return r, fmt.Errorf("a replay to %q that is under way: %w", sub, medispatcher.ErrNotFound)
	}
	return r, nil
}

// StartReplay notes a replay. If one of the subscription is not finished, that was asked for in the same words, it returns that
// one, and joined. One in other words is a ReplayBusyError.
func (s *Store) StartReplay(ctx context.Context, r medispatcher.Replay) (_ medispatcher.Replay, joined bool, err error) {
	made, err := rdb.Int(s.db.With(ctx), "HSETNX", s.keys.Replays(), r.Subscription, append([]byte("0 "), encodeReplay(&r)...)).Result()
	if err != nil {
		return r, false, rdb.Failed("note the replay", err)
	}
	if made == 1 {
		return r, false, nil
	}
	other, err := s.ReplayOf(ctx, r.Subscription)
	switch {
	case err != nil:
		return r, false, err
	case other.ID == r.ID: // the reply was lost
		return r, false, nil
	case other.Asked == r.Asked:
		return other, true, nil
	}
	return r, false, &medispatcher.ReplayBusyError{Other: other}
}

// endReplayScript removes a replay from the hash. KEYS replays. ARGV subscription, id. Returns 1 if it did. Safe to repeat: it is gone.
var endReplayScript = rdb.NewScript(`
local text = redis.call('HGET', KEYS[1], ARGV[1])
if text and string.find(text, '"id":"' .. ARGV[2] .. '"', 1, true) then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
`)

// endPlaceScript notes in a partition that a replay is over, so that nobody who still works on it begins anew.
//
// KEYS the replay's hash. ARGV id, ms to keep the note. Safe to repeat. It leaves the place of another replay alone. HDEL comes first
// because Redis allows it, and then the rest, even when out of memory.
var endPlaceScript = rdb.NewScript(`
local id = redis.call('HGET', KEYS[1], 'id')
if id and id ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], 'id', '-' .. ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

// endKept is how long a partition remembers that a replay is over.
const endKept = time.Hour

// EndReplay forgets a replay: it is finished, or is to stop.
func (s *Store) EndReplay(ctx context.Context, r *medispatcher.Replay) error {
	for p := range s.db.Partitions() { // in one that cannot be reached nobody goes on, either
		_ = endPlaceScript.Run(ctx, s.db, []string{s.keys.Replay(p, r.Subscription)}, r.ID, endKept.Milliseconds()).Err()
	}
	err := endReplayScript.Run(ctx, s.db, []string{s.keys.Replays()}, r.Subscription, r.ID).Err()
	return rdb.Failed("end the replay", err)
}
