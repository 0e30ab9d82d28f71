package streams

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// replayLua is what the two scripts below share: replay moves one dead letter. XADD comes first:
// it fails when Redis is out of memory, and the letter stays where it is. ARGV[2] is the number
// of bytes after which a step moves no further letter. In an ordered channel a letter stands behind all others of its key.
const replayLua = countLua + lineLua + `
local moved, room = 0, tonumber(ARGV[2])
local function replay(letter)
  local fields, from = {}, letter[2]
  for f = 1, #from, 2 do
    room = room - #from[f + 1]
    if from[f] ~= 'failure' then fields[#fields + 1], fields[#fields + 2] = from[f], from[f + 1] end
  end
  line_join(KEYS[6], KEYS[9], KEYS[10], fields)
  redis.call('XDEL', KEYS[5], letter[1])
  moved = moved + 1
end
local function counted()
  if moved > 0 then
    local sub = string.match(ARGV[1], ':(.*)')
    redis.pcall('SADD', KEYS[7], sub)
    if redis.call('XLEN', KEYS[5]) == 0 then redis.pcall('SREM', KEYS[8], sub) end
    count(ARGV[1], moved)
  end
  return moved
end
`

// replayScript makes dead letters READY again, as if they had never been read.
//
// KEYS 1–4 counts, 5 dead, 6 channel, 7 active, 8 its dead ones, 9 line, 10 wait.
// ARGV name of the count, bytes, entry ids.
// Returns {letters moved, ids handled}. Safe to repeat: a letter that was moved is gone, and skipped.
var replayScript = rdb.NewScript(replayLua + `
local at = 3
while at <= #ARGV and room > 0 do
  local found = redis.call('XRANGE', KEYS[5], ARGV[at], ARGV[at])
  if found[1] then replay(found[1]) end
  at = at + 1
end
return {counted(), at - 3}
`)

// replayAllScript makes the oldest dead letters READY again.
//
// KEYS as replayScript. ARGV name of the count, bytes, entry id of the last letter to move, most letters.
// Returns {letters moved, the same number}. Safe to repeat: it goes on with the next oldest, up to the same id.
var replayAllScript = rdb.NewScript(replayLua + `
for _ = 1, tonumber(ARGV[4]) do -- one by one: bodies may be large
  local found = redis.call('XRANGE', KEYS[5], '-', ARGV[3], 'COUNT', 1)
  if room <= 0 or not found[1] then break end
  replay(found[1])
end
return {counted(), moved}
`)

// Replay makes dead letters READY again: attempt 1, the same webhook-id, no failure
// record. It returns how many it moved, and tells the dispatchers. DEAD → READY.
func (s *Store) Replay(ctx context.Context, sub string, ids []string) (int, error) {
	return s.eachID(ids, s.deadID, func(p int, entryIDs []string) (int64, error) {
		var done int64
		for len(entryIDs) > 0 {
			argv := []any{}
			for _, id := range entryIDs {
				argv = append(argv, id)
			}
			moved, seen, err := s.replay(ctx, replayScript, p, sub, argv...)
			done += moved
			if err != nil {
				return done, err
			}
			entryIDs = entryIDs[seen:]
		}
		return done, nil
	})
}

// ReplayAll is Replay of every dead letter that exists when it begins. It leaves alone those
// that die meanwhile: with a target that is still down it would run for ever. After each batch
// more says whether to go on. left is how many letters were not handled.
func (s *Store) ReplayAll(ctx context.Context, sub string, more func(done, all int64) bool) (done, left int64, err error) {
	return s.allUntil(ctx, "dead letters of "+sub, s.deadKey(sub), more, func(p int, last string) (int64, error) {
		n, _, err := s.replay(ctx, replayAllScript, p, sub, last, deadBatch)
		return n, err
	})
}

func (s *Store) replay(ctx context.Context, script *rdb.Script, p int, sub string, args ...any) (moved, seen int64, err error) {
	k := append(s.countKeys(p), s.keys.Dead(p, sub), s.keys.Channel(p, sub), s.keys.Active(p), s.keys.ActiveDead(p),
		s.keys.Line(p, sub), s.keys.Wait(p, sub))
	res, err := script.Run(ctx, s.db, k, append([]any{"replayed:" + sub, stepBytes}, args...)...).Int64Slice()
	if err == nil && len(res) != 2 {
		err = fmt.Errorf("unreadable answer %v", res)
	}
	if err != nil {
		return 0, 0, rdb.Failed("replay dead letters of "+sub, err)
	}
	if res[0] > 0 {
		_ = s.ring(ctx, hintReady, everybody, p, []string{sub}) // a hint
	}
	return res[0], res[1], nil
}

func (s *Store) deadKey(sub string) func(p int) string {
	return func(p int) string { return s.keys.Dead(p, sub) }
}
