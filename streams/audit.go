package streams

import (
	"context"
	"errors"
	"slices"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// auditScript finds out whether more left a stream than our steps took. Unread entries that somebody trimmed or
// deleted are met by no step; but Redis 7 counts what was ever added to a stream, and we count what we settle.
//
// KEYS 1–4 counts, 5 stream.
// ARGV name of the place, largest mean size of an entry in bytes, then the names of the counts of what left.
// Returns what vanished; an id is empty. On Redis 6.2, which does not count, nothing.
//
// The account stands in the totals, so that one step compares both, and goes with them: field ~ledger:<place>, "<difference
// that is explained> <length> <settled>". The first look explains whatever is missing, and so does the first after a purge. What this
// finds, a step may meet later, a due time without its entry: field ~early:<place> keeps it from being counted twice (see
// vanishedLua). XINFO copies the first and the last entry; where those are large, a stream is looked at when it is empty.
//
// Safe to repeat: what was counted is explained. It writes only where something changed.
var auditScript = rdb.NewScript(countLua + vanishedLua + `
local key, place, total = KEYS[5], ARGV[1], KEYS[4]
local field, settled = '~ledger:' .. place, tonumber(redis.call('HGET', total, 'vanished:' .. place) or 0)
for i = 3, #ARGV do settled = settled + (redis.call('HGET', total, ARGV[i]) or 0) end
local account = redis.call('HGET', total, field)
local base, had, before = string.match(account or '', '^(-?%d+) (%d+) (%d+)$')
base, had, before = tonumber(base), tonumber(had), tonumber(before)

local length, added, there = redis.call('XLEN', key), 0, redis.call('EXISTS', key) == 1
if length > 0 then
  local size = redis.pcall('MEMORY', 'USAGE', key, 'SAMPLES', 1)
  if type(size) ~= 'number' or size / length > tonumber(ARGV[2]) then return {} end
end
if there then
  added = nil
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do
    if info[i] == 'entries-added' then added = info[i + 1] end
  end
  if not added then return {} end
end

local lost, removed = 0, added - length
if not base then
  base = removed - settled
elseif added < base + before + had then -- the key went, and may be there anew
  lost = math.max(0, had - (settled - before))
  base = removed - settled - lost
else
  lost = math.max(0, removed - settled - base)
  base = math.min(base, removed - settled)
end
if lost > 0 then
  vanish(place, '')
  places[1][2] = lost
  redis.call('HINCRBY', total, '~early:' .. place, lost)
  count('vanished:' .. place, lost)
  settled = settled + lost
end
local now = string.format('%.0f %.0f %.0f', base, length, settled)
if now ~= account then redis.call('HSET', total, field, now) end
return places
`)

// auditSize is the mean size of entries, in bytes, up to which a stream is asked for its history while it holds any.
const auditSize = 64 << 10

// AuditChannels notes what left channels of one partition without a step of ours since it last looked; TakeVanished has it. A channel
// that is not there yet is one from which nothing left.
func (s *Store) AuditChannels(ctx context.Context, p int, subs []string) error {
	var errs []error
	for chunk := range slices.Chunk(subs, auditChunk) {
		pipe := s.db.Pipe(ctx)
		cmds := make([]*rdb.Answer, len(chunk))
		for i, sub := range chunk {
			k, argv := s.channelAudit(p, sub)
			cmds[i] = auditScript.In(pipe, k, argv...)
		}
		_ = pipe.Run() // each command has its own error
		for i, cmd := range cmds {
			vanished, err := cmd.Result()
			if rdb.IsNoScript(err) {
				k, argv := s.channelAudit(p, chunk[i])
				vanished, err = auditScript.Run(ctx, s.db, k, argv...).Result()
			}
			s.noteVanished(p, vanished)
			if err != nil && !rdb.IsWrongType(err) { // healing tells of those
				errs = append(errs, rdb.Failed("look for what was taken out of "+chunk[i], err))
			}
		}
	}
	return errors.Join(errs...)
}

// auditChunk is the number of channels looked at in one round trip.
const auditChunk = 100

func (s *Store) channelAudit(p int, sub string) (k []string, argv []any) {
	return append(s.countKeys(p), s.keys.Channel(p, sub)), []any{sub, auditSize, "sent:" + sub, "dead:" + sub, "dropped:" + sub}
}

// countMoved is the field of the totals that counts what left incoming by a step of ours.
const countMoved = "~moved"

// AuditIncoming is AuditChannels of a partition's incoming stream. mixed says that dispatchers of another version run: what they
// move they may not count, so it is explained.
func (s *Store) AuditIncoming(ctx context.Context, p int, mixed bool) error {
	if mixed {
		return rdb.Failed("reset the ledger", rdb.Int(s.db.With(ctx), "HSET", s.keys.StatsTotal(p), "~ledger:"+FromIncoming, "reset").Err())
	}
	vanished, err := auditScript.Run(ctx, s.db, append(s.countKeys(p), s.keys.Incoming(p)), FromIncoming, auditSize, countMoved).Result()
	s.noteVanished(p, vanished)
	return rdb.Failed("look for what was taken out of incoming", err)
}
