package streams_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/ledger"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// clockKey is the hash in which dispatchers keep the correction of Redis's clock.
const clockKey = "medis:clock:{medis:dispatchers}"

// beats sends so many heartbeats that each store may confirm the time.
func beats(t *testing.T, stores ...*streams.Store) {
	t.Helper()
	for range 4 {
		beat(t, stores...)
	}
}

func beat(t *testing.T, stores ...*streams.Store) {
	t.Helper()
	for _, s := range stores {
		check(t, s.Heartbeat(t.Context(), medispatcher.Dispatcher{DeadAfter: 20 * time.Second}))
	}
}

// near checks that the shared clock agrees with that of this machine, within a second or two.
func near(t *testing.T, who string, s *streams.Store) {
	t.Helper()
	if off := time.Since(s.Now()); off.Abs() > 2*time.Second {
		t.Errorf("the clock of %s is off by %s", who, off)
	}
}

// TestRedisClockIsSet: when the clock of Redis is set, no dispatcher is declared dead, no message is due
// early, and none waits for the clock.
func TestRedisClockIsSet(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]time.Duration{"ahead": time.Hour, "back": -time.Hour, "by days": 50 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			streamstest.EachClock(t, func(t *testing.T, env *streamstest.Env) {
				ctx := t.Context()
				env.SetClock(t, 0)
				a, b := env.Open(t, env.Config("a")), env.Open(t, env.Config("b"))
				beats(t, a, b)
				wait := func(entry string, delay time.Duration) {
					t.Helper()
					c := medispatcher.Channel{Subscription: "s"}
					check(t, env.Client.Do(ctx, "XADD", "medis:{0}:ch:s", "*", "topic", "t", "body", entry, "~src", "1-1").Err())
					list, err := a.Read(ctx, []medispatcher.Want{{Channel: c, Max: 1}})
					if len(list) == 0 { // the first read creates the group
						list, err = a.Read(ctx, []medispatcher.Want{{Channel: c, Max: 1}})
					}
					check(t, err)
					check(t, a.Retry(ctx, 0, []medispatcher.Settlement{{
						Channel: c, EntryID: list[0].EntryID, Attempt: 1, Outcome: medispatcher.Failed, Delay: delay,
					}}))
				}
				due := func(s *streams.Store) int {
					t.Helper()
					list, _, err := s.Due(ctx, 0, []medispatcher.Want{{Channel: medispatcher.Channel{Subscription: "s"}, Max: 10}})
					check(t, err)
					return len(list)
				}
				if env.Mini == nil || step > 0 { // miniredis hides entries that were read in the future
					wait("long", 30*time.Minute)
				}
				wait("released", 0)
				eventually(t, "the first is due", func() bool { return due(b) == 1 })

				env.SetClock(t, step)
				if n := due(b); n != 0 {
					t.Errorf("%d became due because of the step", n)
				}
				for who, s := range map[string]*streams.Store{"a": a, "b": b} {
					beat(t, s)
					near(t, who, s)
				}
				late := env.Open(t, env.Config("late"))
				for who, s := range map[string]*streams.Store{"a": a, "b": b, "a later dispatcher": late} {
					list := must[[]medispatcher.Dispatcher](t)(s.Dispatchers(ctx))
					for _, d := range list {
						if !d.Alive || d.DeadAfter != 20*time.Second || time.Since(d.Heartbeat.Add(-step)).Abs() > 2*time.Second {
							t.Errorf("%s finds %s alive: %t, heard at %s", who, d.ID, d.Alive, d.Heartbeat)
						}
					}
					if len(list) != 2 {
						t.Errorf("%s knows of %d dispatchers", who, len(list))
					}
				}
				beats(t, late)
				near(t, "a later dispatcher", late)
				if got := b.ClockAhead() + step; got.Abs() > 2*time.Second {
					t.Errorf("a correction of %s for a step of %s", b.ClockAhead(), step)
				}
				if env.Mini == nil {
					wait("short", 20*time.Millisecond)
					eventually(t, "the message that failed after the step is due", func() bool { return due(late) == 1 })
				}
				if n := due(a); n != 0 {
					t.Errorf("%d were due early", n)
				}
			})
		})
	}
}

// eventually polls for a state that sends no event.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

// TestRedisClockIsSetWhileNobodyRuns: a waiting message waits no longer than was left when the last
// dispatcher stopped.
func TestRedisClockIsSetWhileNobodyRuns(t *testing.T) {
	t.Parallel()
	streamstest.EachClock(t, func(t *testing.T, env *streamstest.Env) {
		env.SetClock(t, 0)
		a := env.Open(t, env.Config("a"))
		beats(t, a)
		check(t, a.Leave(t.Context()))
		env.SetClock(t, -time.Hour)
		job := env.Open(t, env.Config("job"))
		must[[]medispatcher.Dispatcher](t)(job.Dispatchers(t.Context()))
		near(t, "a job", job)
		b := env.Open(t, env.Config("b"))
		beats(t, b)
		near(t, "the next to start", b)
	})
}

// TestRedisLosesTheClock: Redis lost the correction of its clock, or holds something else in its place.
func TestRedisLosesTheClock(t *testing.T) {
	t.Parallel()
	streamstest.EachClock(t, func(t *testing.T, env *streamstest.Env) {
		for name, lose := range map[string]func(ctx context.Context) error{
			"lost":         func(ctx context.Context) error { return env.Client.Del(ctx, clockKey).Err() },
			"another type": func(ctx context.Context) error { return env.Client.Set(ctx, clockKey, "x", 0).Err() },
			"garbage": func(ctx context.Context) error {
				return env.Client.HSet(ctx, clockKey, "ahead", "x", "steps", "", "seen", "1e400x").Err()
			},
		} {
			t.Run(name, func(t *testing.T) {
				check(t, env.Client.FlushAll(t.Context()).Err())
				env.SetClock(t, 0)
				a, b := env.Open(t, env.Config("a")), env.Open(t, env.Config("b"))
				beats(t, a, b)
				for _, step := range []time.Duration{time.Hour, -time.Hour} {
					env.SetClock(t, step)
					beats(t, a, b)
					check(t, env.Client.Del(t.Context(), clockKey).Err())
					check(t, lose(t.Context()))
					beats(t, b, a)
					near(t, "a", a)
					near(t, "b", b)
				}
			})
		}
	})
}

// stopwatch is a monotonic clock that the test moves.
type stopwatch struct{ at time.Duration }

func (w *stopwatch) read() time.Duration { return w.at }

// TestDispatcherAsleep: a dispatcher whose machine was suspended takes the time from those that kept
// running. If it was alone, the time of the suspension does not count, and messages go on waiting.
func TestDispatcherAsleep(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	start := time.UnixMilli(1_700_000_000_000)
	var awake, asleep stopwatch
	pass := func(d time.Duration) {
		awake.at += d
		env.Mini.SetTime(start.Add(awake.at))
	}
	pass(0)
	a, b := env.Open(t, env.Config("a")), env.Open(t, env.Config("b"))
	a.UseMonotonic(asleep.read)
	b.UseMonotonic(awake.read)
	beats(t, a, b)
	for range 10 {
		pass(6 * time.Minute)
		beat(t, b)
	}
	beat(t, a)
	if !a.Now().Equal(b.Now()) || a.ClockAhead() != 0 {
		t.Errorf("the time is %s for the one that slept and %s for the other; the correction is %s", a.Now(), b.Now(), a.ClockAhead())
	}

	check(t, b.Leave(t.Context()))
	before := a.Now()
	pass(time.Hour)
	beat(t, a)
	if a.Now().Sub(before) > time.Second || a.ClockAhead() != -time.Hour {
		t.Errorf("%s passed for the one that slept alone; the correction is %s", a.Now().Sub(before), a.ClockAhead())
	}
}

// TestSlowAnswerIsNoStep: a heartbeat that hung for long does not mean that the clock of Redis was set.
func TestSlowAnswerIsNoStep(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	var watch stopwatch
	start := time.UnixMilli(1_700_000_000_000)
	env.Mini.SetTime(start)
	a := env.Open(t, env.Config("a"))
	a.UseMonotonic(watch.read)
	beats(t, a)
	slow := true
	a.DB().AddHook(hook(func(redis.Cmder) error {
		if slow { // the command takes long to reach Redis
			watch.at += 4 * time.Second
			env.Mini.SetTime(start.Add(watch.at))
			slow = false
		}
		return nil
	}))
	beat(t, a)
	if off := a.Now().Sub(start.Add(watch.at)); off.Abs() > time.Second || a.ClockAhead() != 0 {
		t.Errorf("off by %s, the correction is %s", off, a.ClockAhead())
	}
}

// TestAlertLeaseAcrossAStep: the lease of a dead dispatcher ends although Redis's clock was set back.
func TestAlertLeaseAcrossAStep(t *testing.T) {
	t.Parallel()
	streamstest.EachClock(t, func(t *testing.T, env *streamstest.Env) {
		env.SetClock(t, 0)
		a, b := env.Open(t, env.Config("a")), env.Open(t, env.Config("b"))
		beats(t, a, b)
		leads := func(s *streams.Store) bool {
			t.Helper()
			leads, _, _, err := ledger.New(s.DB()).LeadAlerts(t.Context(), 100*time.Millisecond)
			check(t, err)
			return leads
		}
		if !leads(a) {
			t.Fatal("the first does not lead")
		}
		env.SetClock(t, -time.Hour)
		beat(t, b)
		eventually(t, "another one leads", func() bool { return leads(b) })
	})
}

// TestDelayAcrossAStep: a delay keeps its length, whatever clock gave the entry its id.
func TestDelayAcrossAStep(t *testing.T) {
	t.Parallel()
	streamstest.EachClock(t, func(t *testing.T, env *streamstest.Env) {
		for name, steps := range map[string][]time.Duration{"ahead": {time.Hour}, "back": {-time.Hour}, "ahead and back": {time.Hour, 0}} {
			t.Run(name, func(t *testing.T) {
				check(t, env.Client.FlushAll(t.Context()).Err())
				env.SetClock(t, 0)
				a := env.Open(t, env.Config("a"))
				beats(t, a)
				for _, step := range steps {
					must[string](t)(a.Publish(t.Context(), medispatcher.Message{Topic: "t", Body: []byte("x")}))
					env.SetClock(t, step)
					beat(t, a)
				}
				for _, stream := range []string{"medis:{0}:incoming", "anew"} {
					id := must[string](t)(env.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: []any{"a", "b"}}).Result())
					wait := a.DelayedUntil(streams.Entry{ID: id}.Time(), 10*time.Minute).Sub(a.Now())
					if (wait - 10*time.Minute).Abs() > 2*time.Second {
						t.Errorf("%s: a message with a delay of 10 minutes waits for %s", stream, wait)
					}
				}
			})
		}
	})
}

// TestCountsAcrossAStep: if Redis's clock shows the same time twice, each time has its own counts.
func TestCountsAcrossAStep(t *testing.T) {
	t.Parallel()
	streamstest.EachClock(t, func(t *testing.T, env *streamstest.Env) {
		env.SetClock(t, 0)
		sc := newScene(t, env)
		beats(t, sc.Store)
		quarantine := func() {
			t.Helper()
			check(t, env.Client.Do(t.Context(), "XADD", "medis:{0}:incoming", "*", "no", "topic").Err())
			var entries []streams.Entry
			for len(entries) == 0 {
				var err error
				entries, err = sc.Store.ReadIncoming(t.Context(), 0, 1, false)
				check(t, err)
			}
			must[[]streams.Routed](t)(sc.Store.Fanout(t.Context(), 0, []streams.Routing{{EntryID: entries[0].ID, Reason: "x"}}))
		}
		quarantine()
		for _, step := range []time.Duration{-time.Minute, 0, -3 * time.Minute} {
			env.SetClock(t, step)
			beat(t, sc.Store)
			quarantine()
			w := must[map[string]medispatcher.Windows](t)(report.New(sc.Store).Windows(t.Context(), []string{"quarantined"}))["quarantined"]
			series, at, err := report.New(sc.Store).Series(t.Context(), 'm', []string{"quarantined"})
			check(t, err)
			sum := int64(0)
			for _, n := range series["quarantined"] {
				sum += n
			}
			if w.Hour != w.Total || sum != w.Total {
				t.Errorf("%d counted, %d within the hour, %d in the series", w.Total, w.Hour, sum)
			}
			if off := time.Now().Add(step).Unix() - at; off < -2 || off > 62 {
				t.Errorf("the series ends %d s ago by the clock of Redis", off)
			}
		}
	})
}
