package rdb

import (
	"context"
	"sync"
	"time"
)

// Somebody may set the clock of Redis, or a Redis with another clock may take over. Waiting messages
// must not be affected. So due times, heartbeats, leases and counts use the *shared clock*: the clock
// of Redis plus a correction. Each dispatcher keeps a copy by its own monotonic clock, and compares it
// with Redis at every heartbeat. A step is a move of Redis's clock by more than ClockTolerance against
// that copy. The first dispatcher that finds one corrects it for all, in a hash:
//
//	ahead  ms that the shared clock is ahead of Redis's
//	steps  how many steps were corrected
//	seen   the latest shared time, in ms, that a dispatcher confirmed
//
// Entry ids still use the clock of Redis.

const (
	// ClockTolerance is the largest difference that counts as drift. The copy follows drift.
	ClockTolerance = time.Second
	// driftShare: two clocks drift apart by less than 1/driftShare of the elapsed time.
	driftShare = 5000
	// confirmAfter is how many heartbeats a process sends before it may confirm the time. Right after a
	// step, the processes that knew the time before it must come first.
	confirmAfter = 3
	// clockKeeps is how long a process without heartbeats trusts its copy.
	clockKeeps = 2 * time.Second
)

// Clock is this process's copy of the shared clock.
type Clock struct {
	Mono func() time.Duration // monotonic time, which nobody can set

	mu     sync.Mutex
	heard  bool
	at     time.Duration // Mono when Redis was last read
	within time.Duration // how far behind Redis this copy may be
	shared time.Duration // unix time by the shared clock at that moment
	ahead  time.Duration
	steps  int64
	beats  int
}

// NewClock makes a Clock that has not read Redis yet.
func NewClock() *Clock {
	began := time.Now()
	return &Clock{Mono: func() time.Duration { return time.Since(began) }}
}

// sharedAtLocked is the shared clock at a time of Mono.
func (c *Clock) sharedAtLocked(at time.Duration) time.Duration { return c.shared + at - c.at }

// now is the shared time, and how far it is ahead of Redis's clock. Before Redis was read, ok is
// false and now is this machine's time.
func (c *Clock) now() (now time.Time, ahead time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.heard {
		return time.Now(), 0, false
	}
	return time.Unix(0, int64(c.sharedAtLocked(c.Mono()))), c.ahead, true
}

// behind is how far behind Redis this copy may be.
func (c *Clock) behind() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.heard {
		return 0
	}
	return c.within + (c.Mono()-c.at)/driftShare
}

// stale reports whether Redis must be read again: a process without heartbeats does not keep its copy up to date.
func (c *Clock) stale() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.heard || c.beats == 0 && c.Mono()-c.at > clockKeeps
}

// Reading is one answer of Redis about the shared clock.
type Reading struct {
	shared, ahead time.Duration
	steps         int64
	asked, got    time.Duration // by Mono
}

// NewReading reads the answer of a script: {shared time in ms, ms it is ahead of Redis's clock, steps, …}.
func NewReading(res []int64, asked, got time.Duration) Reading {
	return Reading{time.Duration(res[0]) * time.Millisecond, time.Duration(res[1]) * time.Millisecond, res[2], asked, got}
}

// middle is the likeliest moment at which Redis read its clock.
func (r *Reading) middle() time.Duration { return r.asked + (r.got-r.asked)/2 }

// Follow sets the copy to a reading, unless the answer was so slow that the copy is more precise. The
// copy is never ahead, so nothing is due too early. It is behind by at most the time that the answer took.
func (c *Clock) Follow(r Reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	took := r.got - r.asked
	known := c.within + (r.got-c.at)/driftShare
	if c.heard && r.steps == c.steps && took > known && r.shared >= c.sharedAtLocked(r.asked) && r.shared <= c.sharedAtLocked(r.got)+known {
		return
	}
	c.heard, c.at, c.within, c.shared, c.ahead, c.steps = true, r.got, took, r.shared, r.ahead, r.steps
}

// Expectation is what a heartbeat tells Redis: the shared time ("" before Redis was read), how many
// steps this process knows, and whether it may confirm the time.
func (c *Clock) Expectation() (shared any, steps int64, confirms bool, asked time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked = c.Mono()
	if !c.heard {
		return "", 0, false, asked
	}
	return c.sharedAtLocked(asked).Milliseconds(), c.steps, c.beats >= confirmAfter, asked
}

// Leapt is by how much Redis's clock leapt forward; 0 if a slow answer explains the difference.
func (c *Clock) Leapt(r Reading) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.shared <= c.sharedAtLocked(r.got)+ClockTolerance {
		return 0
	}
	return r.shared - c.sharedAtLocked(r.middle())
}

// MadeUp records that this process corrected a leap.
func (c *Clock) MadeUp(ahead time.Duration, steps int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead, c.steps = ahead, steps
}

// Beat counts a heartbeat, and reports whether it is the first.
func (c *Clock) Beat() (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beats++
	return c.beats == 1
}

// leapScript corrects the shared clock after a leap forward of Redis's clock.
//
// KEYS clock. ARGV steps corrected when the leap was measured, ms of the leap, the new number of
// steps. Returns the ms that the shared clock is ahead, or nil if another dispatcher corrected it.
//
// Safe to repeat and to run late: it does nothing if a step was corrected since the measurement. HDEL
// comes first because Redis allows it when memory is full, and then allows HSET too.
var leapScript = NewScript(`
if (tonumber(redis.call('HGET', KEYS[1], 'steps') or '0') or 0) ~= tonumber(ARGV[1]) then return nil end
local ahead = (tonumber(redis.call('HGET', KEYS[1], 'ahead') or '0') or 0) - ARGV[2]
redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], 'ahead', string.format('%.0f', ahead), 'steps', ARGV[3])
return ahead
`)

// MakeUp corrects a leap forward that this process measured.
func (db *DB) MakeUp(ctx context.Context, r Reading, leap time.Duration) error {
	db.Clock.mu.Lock()
	steps := max(r.steps, db.Clock.steps) + 1
	db.Clock.mu.Unlock()
	ahead, err := leapScript.Run(ctx, db, []string{db.Keys.Clock()}, r.steps, leap.Milliseconds(), steps).Int64()
	if IsNil(err) {
		return nil // another dispatcher did it; the next heartbeat brings the correction
	}
	if err == nil {
		db.Clock.MadeUp(time.Duration(ahead)*time.Millisecond, steps)
	}
	return Failed("correct a step of Redis's clock", err)
}

// Hear reads the shared clock from Redis if the copy of this process is not up to date.
func (db *DB) Hear(ctx context.Context) error {
	if !db.Clock.stale() {
		return nil
	}
	node, err := db.MasterOf(ctx, db.Keys.Clock()) // the server whose clock counts
	if err != nil {
		return Failed("time", err)
	}
	asked := db.Clock.Mono()
	pipe := node.Pipe(ctx)
	clock, noted := Time(pipe), List(pipe, "HMGET", db.Keys.Clock(), "ahead", "steps", "seen")
	if err := pipe.Run(); err != nil && !IsWrongType(err) {
		return Failed("time", err)
	}
	r := Reading{shared: time.Duration(clock.Val().UnixNano()), asked: asked, got: db.Clock.Mono()}
	if v := noted.Val(); len(v) == 3 {
		r.ahead = time.Duration(ToInt(v[0])) * time.Millisecond
		r.shared, r.steps = r.shared+r.ahead, int64(ToInt(v[1]))
		seen := time.Duration(ToInt(v[2])) * time.Millisecond
		if late := seen - r.shared; late > ClockTolerance { // set back while no dispatcher ran
			r.shared, r.ahead = seen, r.ahead+late
		}
	}
	db.Clock.Follow(r)
	return nil
}

// Now is the time by the shared clock. Before Redis was read, it is this machine's time.
func (db *DB) Now() time.Time {
	now, _, _ := db.Clock.now()
	return now
}

// SharedNow is Hear and then Now.
func (db *DB) SharedNow(ctx context.Context) (time.Time, error) {
	err := db.Hear(ctx)
	return db.Now(), err
}

// ClockAhead is how far the shared clock is ahead of Redis's: the sum of all corrections.
func (db *DB) ClockAhead() time.Duration {
	_, ahead, _ := db.Clock.now()
	return ahead
}

// Shown converts a shared time to the clock of Redis, for people.
func (db *DB) Shown(at time.Time) time.Time { return at.Add(-db.ClockAhead()) }

// ShownTime is Shown for a time that may be zero.
func (db *DB) ShownTime(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return db.Shown(at)
}

// ShownDue is Shown for a due time. What is due at once shows the current time.
func (db *DB) ShownDue(score float64) time.Time {
	if score <= DueNow {
		return db.Shown(db.Now()).Truncate(time.Millisecond).UTC()
	}
	return db.Shown(time.UnixMilli(int64(score))).UTC()
}

// DueNow is the due time of a message that is due at once. It is in the past by any clock.
const DueNow = 1

// DelayedUntil is when a delayed message is due by the shared clock. accepted is the time of its
// entry id, by the clock of Redis, which may have been set since. The correction is added to it,
// because after the clock was set back, ids stand still and a new message would look old. A time in
// the future counts as now, unless it is this copy of the clock that is behind: messages keep their order.
func (db *DB) DelayedUntil(accepted time.Time, delay time.Duration) time.Time {
	now, ahead, _ := db.Clock.now()
	if accepted = accepted.Add(max(0, ahead)); accepted.After(now.Add(db.Clock.behind())) {
		accepted = now
	}
	return accepted.Add(delay)
}
