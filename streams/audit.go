package streams

import (
	"context"
	"errors"
	"slices"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// auditScript compares how many entries left a stream with how many our steps removed. The difference vanished: somebody
// trimmed or deleted entries by hand. No step meets those that were unread, but Redis 7 counts all that was ever added
// to a stream, and we count what we settle.
//
// KEYS 1–4 counts, 5 stream, then for a channel: 6 retry, 7 active, 8 wait.
// ARGV name of the place, largest mean size of an entry in bytes, then the names of the counts of what left.
// Returns what vanished, with empty ids. On Redis 6.2, which does not count added entries, it returns nothing.
//
// The result of the last check is in the totals, field ~ledger:<place>: "<explained difference> <length> <settled>".
// It is kept there so that one step can compare both, and so that both are deleted together. The first check takes
// whatever is missing as explained, and so does the first one after a purge. A step may later meet a trace of an entry
// counted here, such as its due time; field ~early:<place> keeps it from being counted twice (see vanishedLua).
// XINFO copies the first and the last entry. A stream with large entries is therefore checked only when it is empty.
//
// A channel that is empty then, with nothing pending, nothing retrying and nothing that waits in a line, leaves the active set.
//
// Safe to repeat: what was counted counts as explained. It writes only if something changed.
var auditScript = rdb.NewScript(countLua + vanishedLua + `
local function audit()
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
elseif added < base + before + had then -- the key was deleted, and may exist again
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
end
local found = audit()
if KEYS[7] and redis.call('XLEN', KEYS[5]) == 0 and redis.call('EXISTS', KEYS[6], KEYS[8]) == 0 then
  local pending = redis.pcall('XPENDING', KEYS[5], 'push')[1]
  if not pending or pending == 0 then redis.pcall('SREM', KEYS[7], ARGV[1]) end
end
return found
`)

// auditSize is the largest mean size of entries, in bytes, at which a stream that is not empty is audited.
const auditSize = 64 << 10

// AuditChannels notes what vanished from channels of one partition since the last call. TakeVanished returns it. A
// channel that does not exist yet has lost nothing.
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
			if err != nil && !rdb.IsWrongType(err) { // healing reports these
				errs = append(errs, rdb.Failed("audit channel "+chunk[i], err))
			}
		}
	}
	return errors.Join(errs...)
}

// BeginAudits begins the audits of channels that were never audited. A channel loses nothing before its first audit.
func (s *Store) BeginAudits(ctx context.Context, p int, subs []string) error {
	for chunk := range slices.Chunk(subs, rdb.SweepChunk) {
		fields := make([]string, len(chunk))
		for i, sub := range chunk {
			fields[i] = "~ledger:" + sub
		}
		begun, err := rdb.List(s.db.With(ctx), rdb.Cmd("HMGET", s.keys.StatsTotal(p), fields...)...).Result()
		if err != nil {
			return rdb.Failed("begin audits", err)
		}
		var fresh []string
		for i, sub := range chunk {
			if begun[i] == nil {
				fresh = append(fresh, sub)
			}
		}
		if err := s.AuditChannels(ctx, p, fresh); err != nil {
			return err
		}
	}
	return nil
}

// auditChunk is the number of channels audited in one round trip.
const auditChunk = 100

func (s *Store) channelAudit(p int, sub string) (k []string, argv []any) {
	return append(s.countKeys(p), s.keys.Channel(p, sub), s.keys.Retry(p, sub), s.keys.Active(p), s.keys.Wait(p, sub)), []any{sub, auditSize, "sent:" + sub, "dead:" + sub, "dropped:" + sub, countBehind + sub}
}

// countMoved is the field of the totals that counts the entries our steps removed from incoming.
const countMoved = "~moved"

// AuditIncoming is AuditChannels of a partition's incoming stream. mixed says that dispatchers of another version run.
// They may move entries without counting them, so whatever is missing then counts as explained.
func (s *Store) AuditIncoming(ctx context.Context, p int, mixed bool) error {
	if mixed {
		return rdb.Failed("reset the audit", rdb.Int(s.db.With(ctx), "HSET", s.keys.StatsTotal(p), "~ledger:"+FromIncoming, "reset").Err())
	}
	vanished, err := auditScript.Run(ctx, s.db, append(s.countKeys(p), s.keys.Incoming(p)), FromIncoming, auditSize, countMoved).Result()
	s.noteVanished(p, vanished)
	return rdb.Failed("audit incoming", err)
}
