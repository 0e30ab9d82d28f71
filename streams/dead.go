package streams

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// deadScript turns entries whose attempts are exhausted into dead letters. Where they held up others of their key, the
// next one becomes READY.
//
// KEYS 1–4 counts, 5 dead ones of active, then channel, retry, failures, dead, line, wait for each entry.
// ARGV consumer, longest dead-letter stream (0: unlimited), then for each entry:
// name of the subscription, entry id, number of the attempt that ended, failure record, n, n
// names of its counts.
// Returns {what vanished, entries that are done, then numbers of those after which the next one became READY}. It ends
// early if it has moved many bytes out of lines.
//
// Safe to repeat: like retryScript, it leaves an entry alone that the consumer does not own or
// that has a later attempt under way. XADD comes first: it fails when Redis is out of memory,
// and the entry stays where it is. A dead letter has a field for each value, so that every version can replay it.
var deadScript = rdb.NewScript(countLua + vanishedLua + namedLua + lineLua + `
local done, ready = 0, {}
local me, longest = ARGV[1], tonumber(ARGV[2])
local at, k = 3, 6
counted(function()
  while at <= #ARGV and line_room > 0 do
    local sub, id, attempt, record = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
    local names = tonumber(ARGV[at + 4])
    local ch, retry, failures, dead = KEYS[k], KEYS[k + 1], KEYS[k + 2], KEYS[k + 3]
    local pending = redis.call('XPENDING', ch, 'push', id, id, 1, me)[1]
    if pending and math.max(1, pending[4]) == attempt then
      local found = redis.call('XRANGE', ch, id, id)
      if found[1] then
        local fields = named(found[1][2])
        fields[#fields + 1] = 'failure'
        fields[#fields + 1] = record
        redis.call('XADD', dead, '*', unpack(fields))
        redis.pcall('SADD', KEYS[5], sub)
        local over = longest > 0 and redis.call('XLEN', dead) - longest or 0
        if over > 0 then
          local trimmed = 0
          if over > 1000 then trimmed = redis.call('XTRIM', dead, 'MAXLEN', '~', longest, 'LIMIT', 1000) -- the limit was lowered
          else trimmed = redis.call('XTRIM', dead, 'MAXLEN', longest) end
          note('trimmed:' .. sub, trimmed)
        end
      else
        vanish(sub, id)
      end
      redis.call('XACK', ch, 'push', id)
      redis.call('XDEL', ch, id)
      redis.pcall('ZREM', retry, id) -- one of a wrong type must not end the step here, half done
      redis.pcall('HDEL', failures, id)
      if line_leave(ch, KEYS[k + 4], KEYS[k + 5], id, line_get(KEYS[k + 4], '~')) then ready[#ready + 1] = done end
      for i = 1, names do
        local what = ARGV[at + 4 + i]
        if found[1] or string.sub(what, 1, 5) ~= 'dead:' then note(what, 1) end
      end
    end
    at, k, done = at + 5 + names, k + 6, done + 1
  end
end)
return {vanished(), done, unpack(ready)}
`)

// deadStep is the most dead letters that one step makes: 512 held Redis for 13 ms, and for 25 ms in as many channels.
const deadStep = 128

// Kill turns deliveries that this process owns into dead letters. BURIED → DEAD.
// All of them are of partition p. It takes several steps if they are too many, or the bodies too large, for one.
func (s *Store) Kill(ctx context.Context, p int, exhausted []medispatcher.Settlement) error {
	if err := s.settleRuns(ctx, p, exhausted); err != nil {
		return err
	}
	for from, to, size := 0, 0, 0; from < len(exhausted); from, size = to, 0 {
		for to = from; to < min(len(exhausted), from+deadStep) && size < stepBytes; to++ {
			if m := exhausted[to].Message; m != nil {
				size += len(m.Body)
			}
		}
		for step := exhausted[from:to]; len(step) > 0; {
			done, err := s.kill(ctx, p, step)
			if err != nil {
				return err
			}
			step = step[done:]
		}
	}
	return nil
}

// kill runs one step, and returns how many of the deliveries it is done with.
func (s *Store) kill(ctx context.Context, p int, exhausted []medispatcher.Settlement) (done int, err error) {
	k, argv := append(s.countKeys(p), s.keys.ActiveDead(p)), []any{s.cfg.ID, s.cfg.DeadMaxLen}
	for i := range exhausted {
		e := &exhausted[i]
		record, err := entry.EncodeFailure(e.Failure)
		if err != nil {
			return 0, err
		}
		k = append(k, s.keys.Channels(p, []string{e.Subscription})...)
		k = append(k, s.keys.Dead(p, e.Subscription), s.keys.Line(p, e.Subscription), s.keys.Wait(p, e.Subscription))
		argv = appendCounts(append(argv, e.Subscription, e.EntryID, e.Attempt, record), e)
	}
	res, err := deadScript.Run(ctx, s.db, k, argv...).Slice()
	if err == nil && (len(res) < 2 || rdb.ToInt(res[1]) == 0) {
		err = fmt.Errorf("unreadable answer %v", res)
	}
	if err != nil {
		return 0, rdb.Failed("make dead letters", err)
	}
	s.noteVanished(p, res[0])
	followed(s, p, res[2:], func(n any) string { return exhausted[rdb.ToInt(n)].Subscription })
	return rdb.ToInt(res[1]), nil
}
