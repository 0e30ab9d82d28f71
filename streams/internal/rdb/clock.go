package rdb

import (
	"context"
	"sync"
	"time"
)

// Somebody may set the clock of Redis, or another Redis with another clock may take over. What waits
// in Redis must not feel it: due times, heartbeats, leases and counts are by the *shared clock*, which
// is Redis's plus what made up for its steps. Each dispatcher keeps it by its own monotonic clock and
// compares it with Redis at every heartbeat. The first to find that Redis's clock moved by more than
// clockTolerance against its own makes up for that, for everybody, in a hash:
//
//	ahead  ms that the shared clock is ahead of Redis's
//	steps  how often somebody made up for a step
//	seen   the latest shared time, in ms, that a dispatcher found right
//
// Entry ids are still by Redis's clock alone.

const (
	// ClockTolerance is the difference that counts as drift and is followed.
	ClockTolerance = time.Second
	// driftShare: two clocks drift apart by less than this share of the time that passes.
	driftShare = 5000
	// confirmAfter is how many heartbeats a process sends before its word counts: right after a step
	// those that knew the time before must be heard first.
	confirmAfter = 3
	// clockKeeps is how long a process without heartbeats trusts what it heard.
	clockKeeps = 2 * time.Second
)

// Clock is this process's copy of the shared clock.
type Clock struct {
	Mono func() time.Duration // since some moment; nobody sets it

	mu     sync.Mutex
	heard  bool
	at     time.Duration // of mono
	within time.Duration // how far behind Redis this copy may be
	shared time.Duration // unix time by the shared clock then
	ahead  time.Duration
	steps  int64
	beats  int
}

// NewClock is one that has not heard Redis yet.
func NewClock() *Clock {
	began := time.Now()
	return &Clock{Mono: func() time.Duration { return time.Since(began) }}
}

// sharedAtLocked is the shared clock when mono said at. It needs mu.
func (c *Clock) sharedAtLocked(at time.Duration) time.Duration { return c.shared + at - c.at }

// now is the shared time, and how far it is ahead of Redis's clock. ok is false before
// Redis was heard: then it is this machine's time.
func (c *Clock) now() (now time.Time, ahead time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.heard {
		return time.Now(), 0, false
	}
	return time.Unix(0, int64(c.sharedAtLocked(c.Mono()))), c.ahead, true
}

// stale reports whether Redis is to be asked: a process without heartbeats keeps nothing up to date.
func (c *Clock) stale() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.heard || c.beats == 0 && c.Mono()-c.at > clockKeeps
}

// Reading is what Redis said of the shared clock.
type Reading struct {
	shared, ahead time.Duration
	steps         int64
	asked, got    time.Duration // by mono
}

// NewReading is what a script answered: {shared time in ms, ms it is ahead of Redis's clock, steps, …}.
func NewReading(res []int64, asked, got time.Duration) Reading {
	return Reading{time.Duration(res[0]) * time.Millisecond, time.Duration(res[1]) * time.Millisecond, res[2], asked, got}
}

// middle is the likeliest moment at which Redis read its clock.
func (r *Reading) middle() time.Duration { return r.asked + (r.got-r.asked)/2 }

// Follow takes over what Redis said, unless the answer was too slow to tell more than this process
// knows. The copy is behind by as long as the answer took, at most, and never ahead: nothing comes early.
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

// Expectation is what a heartbeat tells Redis: the shared time, "" before it was heard, how many
// steps this process knows of, and whether its word counts.
func (c *Clock) Expectation() (shared any, steps int64, confirms bool, asked time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked = c.Mono()
	if !c.heard {
		return "", 0, false, asked
	}
	return c.sharedAtLocked(asked).Milliseconds(), c.steps, c.beats >= confirmAfter, asked
}

// Leapt is by how much Redis's clock leapt forward, 0 where a slow answer explains what it said.
func (c *Clock) Leapt(r Reading) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.shared <= c.sharedAtLocked(r.got)+ClockTolerance {
		return 0
	}
	return r.shared - c.sharedAtLocked(r.middle())
}

// MadeUp notes that this process made up for a leap.
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

// leapScript makes up for a leap forward of Redis's clock.
//
// KEYS clock. ARGV how many steps were made up for when the leap was measured, ms of the leap, how many
// there are then. Returns the ms that the shared clock is ahead, or nil where another dispatcher did it.
//
// Safe to repeat and to run late: it does nothing once anybody made up for a step. HDEL comes first
// because it is allowed out of memory, and so is then HSET.
var leapScript = NewScript(`
if (tonumber(redis.call('HGET', KEYS[1], 'steps') or '0') or 0) ~= tonumber(ARGV[1]) then return nil end
local ahead = (tonumber(redis.call('HGET', KEYS[1], 'ahead') or '0') or 0) - ARGV[2]
redis.call('HDEL', KEYS[1], '')
redis.call('HSET', KEYS[1], 'ahead', string.format('%.0f', ahead), 'steps', ARGV[3])
return ahead
`)

// MakeUp makes up for a leap forward that this process measured.
func (db *DB) MakeUp(ctx context.Context, r Reading, leap time.Duration) error {
	db.Clock.mu.Lock()
	steps := max(r.steps, db.Clock.steps) + 1
	db.Clock.mu.Unlock()
	ahead, err := leapScript.Run(ctx, db, []string{db.Keys.Clock()}, r.steps, leap.Milliseconds(), steps).Int64()
	if IsNil(err) {
		return nil // another one did, as the next heartbeat tells
	}
	if err == nil {
		db.Clock.MadeUp(time.Duration(ahead)*time.Millisecond, steps)
	}
	return Failed("make up for a step of Redis's clock", err)
}

// Hear asks Redis for the shared clock, where this process does not keep it. It only reads.
func (db *DB) Hear(ctx context.Context) error {
	if !db.Clock.stale() {
		return nil
	}
	node, err := db.MasterOf(ctx, db.Keys.Clock()) // by whose clock the shared one is
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

// Now is the time by the shared clock. Before Redis was heard it is this machine's.
func (db *DB) Now() time.Time {
	now, _, _ := db.Clock.now()
	return now
}

// SharedNow is the time by the shared clock, of which Redis is asked where this process does not keep it.
func (db *DB) SharedNow(ctx context.Context) (time.Time, error) {
	err := db.Hear(ctx)
	return db.Now(), err
}

// ClockAhead is by how much the shared clock is ahead of Redis's: the sum of what made up for its steps.
func (db *DB) ClockAhead() time.Duration {
	_, ahead, _ := db.Clock.now()
	return ahead
}

// Shown is a shared time as the clock of Redis shows it now, for people.
func (db *DB) Shown(at time.Time) time.Time { return at.Add(-db.ClockAhead()) }

// ShownTime is shown for a time that may be none.
func (db *DB) ShownTime(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return db.Shown(at)
}

// ShownDue is a due time as people are to see it.
func (db *DB) ShownDue(score float64) time.Time {
	if score <= DueNow {
		return db.Shown(db.Now()).Truncate(time.Millisecond).UTC()
	}
	return db.Shown(time.UnixMilli(int64(score))).UTC()
}

// DueNow is the due time of what waits for nothing. It is one that no clock can make late.
const DueNow = 1

// DelayedUntil is when a message that Redis accepted at a time is due by the shared clock. What was
// accepted in the future counts from now: ids are by a clock that may have been set since. After it
// was set back they stand still, and what is new would otherwise look old.
func (db *DB) DelayedUntil(accepted time.Time, delay time.Duration) time.Time {
	now, ahead, _ := db.Clock.now()
	if accepted = accepted.Add(max(0, ahead)); accepted.After(now) {
		accepted = now
	}
	return accepted.Add(delay)
}
