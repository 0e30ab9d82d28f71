package streams

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// heartbeatScript notes the time for a dispatcher, and finds out whether Redis's clock was set (see rdb.Clock).
//
// KEYS dispatchers, clock, partitions. ARGV dispatcher id, shared time in ms at which this was sent ("": the dispatcher has
// not heard from Redis yet), clock steps that it knows of, "1" if it may confirm the time for others, tolerance in ms, the
// partitions that it spreads messages over, those that it works on. Returns {shared time in ms, ms it is ahead of Redis's
// clock, steps, 1 if the dispatcher was on the list before, 1 if Redis's clock may have leapt forward, partitions}.
//
// The script cannot run before it was sent. If the clock says that it did, the clock was set back, and the
// script corrects for it. If the script runs much later than it was sent, the clock may have leapt, or the
// sender was asleep; the sender knows more. If another dispatcher has confirmed a time in between, the
// sender was asleep.
//
// Safe to repeat: it notes the newer time. ZREM comes first because Redis allows it, and then the rest
// of the script, even when out of memory. A full Redis must not make a live dispatcher look dead.
var heartbeatScript = rdb.NewScript(`
local t = redis.call('TIME')
local known = redis.call('ZREM', KEYS[1], ARGV[1])
local sent, mine, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
local c = redis.pcall('HMGET', KEYS[2], 'ahead', 'steps', 'seen')
if c.err then -- a key of another type
  redis.call('DEL', KEYS[2])
  c = {}
end
local ahead, steps, seen = tonumber(c[1] or '0') or 0, tonumber(c[2] or '0') or 0, tonumber(c[3] or '0') or 0
local now = t[1] * 1000 + math.floor(t[2] / 1000) + ahead
if steps > mine then sent = nil end -- another dispatcher corrected for a step that the sender does not know of
local from = sent or seen
if now < from - most then
  ahead, steps, now = ahead + from - now, math.max(steps, mine) + 1, from
  redis.call('HSET', KEYS[2], 'ahead', string.format('%.0f', ahead), 'steps', steps)
end
local leapt = 0
if sent and now > sent + most and seen <= sent + most then leapt = 1 end
if leapt == 1 then
  redis.call('ZADD', KEYS[1], sent, ARGV[1])
else
  redis.call('ZADD', KEYS[1], now, ARGV[1])
  if ARGV[4] == '1' then redis.call('HSET', KEYS[2], 'seen', string.format('%.0f', math.max(now, seen))) end
end
local used = redis.pcall('GET', KEYS[3])
if type(used) == 'table' then redis.call('DEL', KEYS[3]) end -- a key of another type
used = type(used) == 'string' and tonumber(used)
local least = tonumber(used and ARGV[6] or ARGV[7]) -- all that this one knows of, if Redis lost the number
if not used or used < least then
  used = least
  redis.call('SET', KEYS[3], used)
end
return {now, ahead, steps, known, leapt, used}
`)

// introduceScript notes who a dispatcher is.
//
// KEYS its info. ARGV info, ms to keep it. Returns OK. Safe to repeat: it writes the same.
// DEL comes first because Redis allows it, and then SET, even when out of memory.
var introduceScript = rdb.NewScript(`
redis.call('DEL', KEYS[1])
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
`)

// bookScript notes who a dispatcher is among the others, where one command reads all.
//
// KEYS the book. ARGV dispatcher id, info, page, ms to keep the book. Returns 1. Safe to repeat: it writes the same.
// HDEL comes first because Redis allows it, and then the rest, even when out of memory.
var bookScript = rdb.NewScript(`
if type(redis.pcall('HDEL', KEYS[1], ARGV[1])) == 'table' then redis.call('DEL', KEYS[1]) end -- a key of another type
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2], '` + bookPage + `', ARGV[3])
return redis.call('PEXPIRE', KEYS[1], ARGV[4])
`)

const (
	// infoEvery is how often the info is written again, in case Redis lost it. Without it the
	// others would apply a default dead-after limit to this dispatcher.
	infoEvery = time.Minute
	// infoKept is far longer than any dead-after limit, because the limit of a dead dispatcher is
	// read from its info.
	infoKept = 24 * time.Hour
)

// introduction is the info of this process that Redis is known to have.
type introduction struct {
	mu   sync.Mutex
	info string
	// division is what it says of the shares.
	division string
	at       time.Time
	steps    int64 // clock steps when it was written: a step by days makes the info expire
	times    int   // it was written
}

// Heartbeat says that this dispatcher is alive. It also writes the dispatcher's info if that
// changed, or if Redis may have lost it. If Redis refuses the info, the heartbeat still counts,
// and the next one writes the info again.
//
// The first info is written before the first heartbeat: others judge by it what this dispatcher knows of, and take one that
// is on the list without an info for one of an earlier version.
func (s *Store) Heartbeat(ctx context.Context, d medispatcher.Dispatcher) error {
	d.Copies, d.Active, d.Lines, d.Doorbell, d.Partitions, d.Spread = newestLayout, true, true, s.doorbell(), s.cfg.Partitions, s.cfg.Spread
	d.Retention = s.cfg.Retention
	info, err := json.Marshal(d)
	if err != nil {
		return err
	}
	said := &s.introduced
	said.mu.Lock()
	defer said.mu.Unlock()
	first := said.info == ""
	if first {
		if err := s.introduceLocked(ctx, &d, string(info)); err != nil && !rdb.IsAnswer(err) {
			return rdb.Failed("heartbeat", err) // it would fail, too
		}
	}
	known, err := s.beat(ctx)
	if err != nil {
		return rdb.Failed("heartbeat", err)
	}
	_, steps, _, _ := s.db.Clock.Expectation()
	if !first && (!known || said.info != string(info) || said.steps != steps || time.Since(said.at) >= infoEvery) {
		_ = s.introduceLocked(ctx, &d, string(info)) // the next heartbeat tries again
	}
	return nil
}

// introduceLocked writes the info.
func (s *Store) introduceLocked(ctx context.Context, d *medispatcher.Dispatcher, info string) error {
	said := &s.introduced
	kept := max(infoKept, 10*d.DeadAfter).Milliseconds()
	said.info = ""
	said.times++
	page := s.cfg.ID + "/" + strconv.Itoa(said.times)
	if err := introduceScript.Run(ctx, s.db, []string{s.keys.Dispatcher(s.cfg.ID)}, info, kept).Err(); err != nil {
		return err
	}
	if err := bookScript.Run(ctx, s.db, []string{s.keys.Book()}, s.cfg.ID, info, page, kept).Err(); err != nil {
		return err
	}
	_, steps, _, _ := s.db.Clock.Expectation()
	said.info, said.division, said.at, said.steps = info, d.Division, time.Now(), steps
	return nil
}

// beat is the heartbeat without the info. known reports whether this dispatcher was on the list.
func (s *Store) beat(ctx context.Context) (known bool, err error) {
	sent, steps, confirms, asked := s.db.Clock.Expectation()
	k := []string{s.keys.Dispatchers(), s.keys.Clock(), s.keys.Partitions()}
	res, err := heartbeatScript.Run(ctx, s.db, k, s.cfg.ID, sent, steps, confirms, rdb.ClockTolerance.Milliseconds(),
		s.cfg.Spread, s.cfg.Partitions).Int64Slice()
	if err == nil && len(res) != 6 {
		err = fmt.Errorf("unreadable answer %v", res)
	}
	if err != nil {
		return false, err
	}
	s.db.NotePartitions(int(res[5]))
	first := s.db.Clock.Beat()
	r := rdb.NewReading(res, asked, s.db.Clock.Mono())
	if res[4] == 0 {
		s.db.Clock.Follow(r)
	} else if leap := s.db.Clock.Leapt(r); leap > 0 {
		_ = s.db.MakeUp(ctx, r, leap) // if it fails, the next heartbeat tries again
	}
	if first { // the first took long because of the new connection, so it says little of the clock
		_, err = s.beat(ctx)
	}
	return res[3] == 1, err
}

// Leave takes this dispatcher off the list.
func (s *Store) Leave(ctx context.Context) error {
	if err := rdb.Int(s.db.With(ctx), "ZREM", s.keys.Dispatchers(), s.cfg.ID).Err(); err != nil {
		return rdb.Failed("take this dispatcher off the list", err)
	}
	if err := s.strike(ctx, s.cfg.ID); err != nil {
		return err
	}
	return s.ring(ctx, hintLeft, s.cfg.ID, 0, []string{everybody})
}

// noteOwn has the info of this dispatcher written again if Redis has an earlier one: it may have lost something.
func (s *Store) noteOwn(list []medispatcher.Dispatcher, asked time.Time) {
	said := &s.introduced
	said.mu.Lock()
	defer said.mu.Unlock()
	for i := range list {
		if d := &list[i]; d.ID == s.cfg.ID && asked.After(said.at) && d.Division != said.division {
			said.info = ""
		}
	}
}

// Silence is how long ago the last heartbeat of a dispatcher was.
func (s *Store) Silence(d *medispatcher.Dispatcher) time.Duration {
	return s.db.Shown(s.db.Now()).Sub(d.Heartbeat)
}

// strike removes the info of a dispatcher that is not on the list any more.
func (s *Store) strike(ctx context.Context, id string) error {
	err := rdb.Int(s.db.With(ctx), "DEL", s.keys.Dispatcher(id)).Err()
	if err == nil {
		if err = rdb.Int(s.db.With(ctx), "HDEL", s.keys.Book(), id).Err(); rdb.IsWrongType(err) {
			err = nil
		}
	}
	return rdb.Failed("remove a dispatcher's info", err)
}

// forgetScript takes a dispatcher off the list unless it has sent a heartbeat since.
//
// KEYS dispatchers. ARGV dispatcher id, time of its last known heartbeat in ms.
// Returns 1 if it was removed. Safe to repeat: it is then not on the list.
var forgetScript = rdb.NewScript(`
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or -1) == tonumber(ARGV[2]) then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
`)

// Forget takes a dead dispatcher off the list, once all of its entries are given back.
func (s *Store) Forget(ctx context.Context, d medispatcher.Dispatcher) error {
	n, err := forgetScript.Run(ctx, s.db, []string{s.keys.Dispatchers()}, d.ID, d.Heartbeat.Add(s.db.ClockAhead()).UnixMilli()).Int64()
	if err == nil && n > 0 {
		return s.strike(ctx, d.ID)
	}
	return rdb.Failed("forget a dispatcher", err)
}
