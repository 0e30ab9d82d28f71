package streams

import (
	"context"
	"slices"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// retryScript hands failed entries to ~buried until their next attempt is due.
//
// KEYS 1–4 counts, 5 active, then channel, retry, failures for each subscription.
// ARGV consumer, then for each entry: number of its channel in KEYS, entry id, number of the attempt
// that ended, number of the next one, when it is due in ms, failure record ("": none), n, n names of its counts.
// Returns what vanished.
//
// Safe to repeat: an entry that the consumer does not own is left alone, and so is one that the
// consumer has taken again for a later attempt. XCLAIM comes first because Redis allows it, and
// then the rest of the script, even when out of memory.
var retryScript = rdb.NewScript(countLua + vanishedLua + `
local me, at, noted = ARGV[1], 2, 0
counted(function()
  while at <= #ARGV do
    local k, id = tonumber(ARGV[at]), ARGV[at + 1]
    local attempt, next, due, record = tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4], ARGV[at + 5]
    local names = tonumber(ARGV[at + 6])
    local pending = redis.call('XPENDING', KEYS[k], 'push', id, id, 1, me)[1]
    if pending and math.max(1, pending[4]) == attempt then
      local claimed = redis.call('XCLAIM', KEYS[k], 'push', '` + rdb.Buried + `', 0, id, 'RETRYCOUNT', next, 'JUSTID')
      if claimed[1] then -- Redis 6.2 claims an entry that was deleted; there dueScript notices
        redis.call('ZADD', KEYS[k + 1], due, id)
        if k ~= noted then redis.pcall('SADD', KEYS[5], sub_of(KEYS[k])) end
        noted = k
        if record ~= '' then redis.pcall('HSET', KEYS[k + 2], id, record) end -- of a wrong type: the attempt goes on without its record
      else
        redis.call('XACK', KEYS[k], 'push', id)
        redis.pcall('HDEL', KEYS[k + 2], id)
        vanish(sub_of(KEYS[k]), id)
      end
      for i = 1, names do note(ARGV[at + 6 + i], 1) end
    end
    at = at + 7 + names
  end
end)
return vanished()
`)

// retryStep is the most retries that one step schedules: 512 held Redis for 5 ms, and for 10 to 20 ms in as many channels.
const retryStep = 256

// Retry hands deliveries that this process owns to ~buried, until the next attempt is due
// after their delay. BURIED → BURIED, retrying. All of them are of partition p.
func (s *Store) Retry(ctx context.Context, p int, failures []medispatcher.Settlement) error {
	if err := s.settleRuns(ctx, p, failures); err != nil {
		return err
	}
	for step := range slices.Chunk(failures, retryStep) {
		if err := s.retry(ctx, p, step); err != nil {
			return err
		}
	}
	return nil
}

// retry is Retry in one step.
func (s *Store) retry(ctx context.Context, p int, failures []medispatcher.Settlement) error {
	k, place := s.settleKeys(p, failures)
	argv, now := []any{s.cfg.ID}, s.db.Now()
	for i := range failures {
		f := &failures[i]
		record, err := entry.EncodeFailure(f.Failure)
		if err != nil {
			return err
		}
		argv = append(argv, place[f.Subscription], f.EntryID, f.Attempt)
		if f.Next > 0 {
			due := f.Due.UnixMilli()
			if f.Due.IsZero() {
				due = dueAt(f, now)
			}
			argv = append(argv, f.Next, due, record, 0)
			continue
		}
		argv = appendCounts(append(argv, f.Attempt+1, dueAt(f, now), record), f)
	}
	vanished, err := retryScript.Run(ctx, s.db, k, argv...).Result()
	s.noteVanished(p, vanished)
	return rdb.Failed("schedule retries", err)
}

// settleKeys returns the counts, the active set, and the three keys of each subscription in done, and for each
// subscription the number of its first key.
func (s *Store) settleKeys(p int, done []medispatcher.Settlement) (k []string, place map[string]int) {
	k, place = append(s.countKeys(p), s.keys.Active(p)), map[string]int{}
	for _, d := range done {
		if place[d.Subscription] == 0 {
			place[d.Subscription] = len(k) + 1
			k = append(k, s.keys.Channels(p, []string{d.Subscription})...)
		}
	}
	return k, place
}

// dueAt is when the next attempt at a message that failed now is due, in ms.
func dueAt(f *medispatcher.Settlement, now time.Time) int64 {
	return now.UnixMilli() + max(0, f.Delay.Milliseconds())
}
