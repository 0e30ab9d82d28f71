package streams

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// BenchDeadAfter is how long a load test may be silent before it counts as dead. It should
// call HoldBench several times in that time.
const BenchDeadAfter = 30 * time.Second

// holdBenchScript notes that a load test is alive, and what it made.
//
// KEYS load tests. ARGV run, info, now in ms. Returns nothing.
// Safe to repeat: it overwrites the note. HDEL comes first because Redis allows it, and then
// the rest of the script, even when out of memory. A full Redis must not make a live load
// test look dead.
var holdBenchScript = rdb.NewScript(`
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3] .. ' ' .. ARGV[2])
`)

// HoldBench says that a load test is alive, and returns the time of Redis. Call it before the
// run makes anything, and again within BenchDeadAfter.
func (s *Store) HoldBench(ctx context.Context, run medispatcher.BenchRun) (time.Time, error) {
	info, err := json.Marshal(run)
	if err != nil {
		return time.Time{}, err
	}
	now, err := s.db.SharedNow(ctx)
	if err != nil {
		return time.Time{}, err
	}
	now = now.Truncate(time.Millisecond)
	err = holdBenchScript.Run(ctx, s.db, []string{s.keys.Bench()}, run.Run, info, now.UnixMilli()).Err()
	if rdb.IsNil(err) {
		err = nil // the script returns nothing
	}
	return s.db.Shown(now), rdb.Failed("note the load test", err)
}

// ForgetBench takes a load test off the list once nothing is left of it.
func (s *Store) ForgetBench(ctx context.Context, run string) error {
	return rdb.Failed("forget the load test", rdb.Int(s.db.With(ctx), "HDEL", s.keys.Bench(), run).Err())
}

// Benches lists the load tests that are running or left something behind, the oldest first.
func (s *Store) Benches(ctx context.Context) ([]medispatcher.BenchRun, error) {
	now, err := s.db.SharedNow(ctx)
	if err != nil {
		return nil, err
	}
	list, err := rdb.Map(s.db.With(ctx), "HGETALL", s.keys.Bench()).Result()
	if err != nil {
		return nil, rdb.Failed("list load tests", err)
	}
	runs := make([]medispatcher.BenchRun, 0, len(list))
	for name, text := range list {
		heard, info, _ := strings.Cut(text, " ")
		at, err := strconv.ParseInt(heard, 10, 64)
		var run medispatcher.BenchRun
		if err != nil || json.Unmarshal([]byte(info), &run) != nil || run.Run != name || run.Subscriptions < 0 {
			continue // not written by HoldBench
		}
		run.Heard = s.db.Shown(time.UnixMilli(at))
		run.Alive = now.Sub(time.UnixMilli(at)) < BenchDeadAfter
		runs = append(runs, run)
	}
	slices.SortFunc(runs, func(a, b medispatcher.BenchRun) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Run, b.Run))
	})
	return runs, nil
}

// withdrawn is the most entries one step of Withdraw reads; large bodies end it earlier.
const withdrawn = 100

// withdrawScript removes the entries of a topic from the incoming stream, whether a fan-out
// worker has read them or not. A worker that has finds them gone.
//
// KEYS incoming, copying, counts of all time.
// ARGV group, topic, id to begin at, most entries to read, bytes after which no further entry is read.
// Returns {entries removed, id to go on from ("": the end was reached)}.
//
// Safe to repeat: it then finds nothing. Redis allows XACK and XDEL when out of memory.
var withdrawScript = rdb.NewScript(`
local found, from, room, left = {}, ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[4])
while left > 0 and room > 0 do
  local e = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)[1]
  if not e then from = '' break end
  from, left = '(' .. e[1], left - 1
  local fields, wanted = e[2], false
  for f = 1, #fields, 2 do
    room = room - #fields[f + 1]
    if fields[f] == 'topic' and fields[f + 1] == ARGV[2] then wanted = true end
  end
  if wanted then found[#found + 1] = e[1] end
end
if #found > 0 then
  redis.pcall('XACK', KEYS[1], ARGV[1], unpack(found))
  redis.call('HINCRBY', KEYS[3], '~moved', redis.call('XDEL', KEYS[1], unpack(found)))
  redis.call('HDEL', KEYS[2], unpack(found))
end
return {#found, from}
`)

// Withdraw removes the messages of a topic that were written since a given time and are not
// fanned out yet, and returns how many. A message does not say who wrote it, so this is only
// for a topic that has a single producer, which has stopped.
func (s *Store) Withdraw(ctx context.Context, topic string, since time.Time) (int64, error) {
	var total int64
	for p := range s.db.Partitions() {
		from := strconv.FormatInt(max(0, since.UnixMilli()), 10)
		for from != "" {
			k := []string{s.keys.Incoming(p), s.keys.Copying(p), s.keys.StatsTotal(p)}
			res, err := withdrawScript.Run(ctx, s.db, k, rdb.GroupFanout, topic, from, withdrawn, stepBytes).Slice()
			if err == nil && len(res) != 2 {
				err = fmt.Errorf("unreadable answer %v", res)
			}
			if err != nil {
				return total, rdb.Failed("withdraw messages of "+topic, err)
			}
			total += int64(rdb.ToInt(res[0]))
			from, _ = res[1].(string)
		}
	}
	return total, nil
}
