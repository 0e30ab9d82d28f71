package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

// scene is a monitor that leads, with a store in memory and the fake clock of synctest.
type scene struct {
	t       *testing.T
	ledger  *streamstest.Ledger
	monitor *Monitor
	events  *Events
	logs    *strings.Builder
	stop    func()

	mu    sync.Mutex
	subs  map[string]medispatcher.Subscription
	awake []string
}

func thresholds() Thresholds {
	return Thresholds{Incoming: 100, IncomingAge: time.Minute, TotalBacklog: 10_000, Memory: 80, DispatcherLost: true, Every: 3 * time.Minute}
}

func texts(t *testing.T) *Texts {
	t.Helper()
	texts, err := LoadTexts("")
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// start makes a scene with the thresholds th and the subscription s, which is always active.
func start(t *testing.T, th Thresholds) *scene {
	t.Helper()
	sc := &scene{t: t, ledger: streamstest.NewLedger(), logs: &strings.Builder{}, subs: map[string]medispatcher.Subscription{}}
	log := slog.New(slog.NewTextHandler(sc.logs, nil))
	subs := func() map[string]medispatcher.Subscription {
		sc.mu.Lock()
		defer sc.mu.Unlock()
		return maps.Clone(sc.subs)
	}
	sc.change("s", func(*medispatcher.Subscription) {})
	sc.monitor = NewMonitor(MonitorConfig{
		Env: "PUB", Host: "host-1", Thresholds: th, Texts: texts(t), Log: log, Subscriptions: subs,
		Active: func() []string {
			sc.mu.Lock()
			defer sc.mu.Unlock()
			return append([]string{"s"}, sc.awake...)
		},
	}, sc.ledger)
	sc.events = NewEvents(EventsConfig{
		ID: "a", Env: "PUB", Host: "host-1", Thresholds: th, Texts: texts(t), Log: log, Subscriptions: subs,
	}, sc.ledger)
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	loops.Go(func() { _ = sc.monitor.Run(ctx) })
	loops.Go(func() { _ = sc.events.Run(ctx) })
	sc.stop = func() { cancel(); loops.Wait() }
	t.Cleanup(sc.stop)
	return sc
}

// change edits a subscription, or adds one with the default alert policy.
func (sc *scene) change(id string, edit func(s *medispatcher.Subscription)) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	s, known := sc.subs[id]
	if !known {
		s = medispatcher.Subscription{ID: id, Alert: medispatcher.DefaultAlert()}
	}
	edit(&s)
	sc.subs[id] = s
}

// after lets time pass and then checks all notices so far.
func (sc *scene) after(d time.Duration, want ...string) {
	sc.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	if got := sc.ledger.Told(); got != strings.Join(want, "\n") {
		sc.t.Errorf("%s: told\n%s\nwant\n%s", time.Now().Format(time.TimeOnly), got, strings.Join(want, "\n"))
	}
}

func (sc *scene) failed(n int64) {
	sc.ledger.Set(func(l *streamstest.Ledger) { l.Counted["failed:s"] = n })
}

func (sc *scene) channel(ready, retrying int64) {
	sc.ledger.Set(func(l *streamstest.Ledger) {
		l.Channels["s"] = medispatcher.ChannelStatus{Ready: ready, Buried: retrying, Retrying: retrying, OldestMS: 190_000}
	})
}

// tenRounds is long enough for a calm value to end an alert.
const tenRounds = calmFor + 2*time.Second

// TestRules: each rule that compares a number fires at its threshold and not before, reminds once in each
// every, recovers when the number stays at 80 %, and does not flap around either limit.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key       string
		threshold int64
		set       func(sc *scene, n int64)
	}{
		{"failures:s", 120, func(sc *scene, n int64) { sc.failed(n) }},
		{"backlog:s", 5000, func(sc *scene, n int64) { sc.channel(n, 0) }},
		{"backlog:s", 5000, func(sc *scene, n int64) { sc.channel(7, n) }},
		{"incoming:", 100, func(sc *scene, n int64) {
			sc.ledger.Set(func(l *streamstest.Ledger) { l.In = medispatcher.IncomingStatus{Ready: n - 2, Buried: 2} })
		}},
		{"total_backlog:", 10_000, func(sc *scene, n int64) {
			sc.change("s", func(s *medispatcher.Subscription) { s.Alert.Backlog = 0 })
			sc.channel(n/2, n-n/2)
		}},
		{"memory:", 80, func(sc *scene, n int64) {
			sc.ledger.Set(func(l *streamstest.Ledger) { l.Used, l.Limit = 10*n, 1000 })
		}},
	} {
		t.Run(c.key, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sc := start(t, thresholds())
				told := func(kind string, n int64) string { return fmt.Sprintf("%s %s %d", kind, c.key, n) }
				c.set(sc, c.threshold-1)
				sc.after(time.Minute)
				c.set(sc, c.threshold)
				fired := told("alert", c.threshold)
				sc.after(2*time.Second, fired)
				// The value moves around its threshold, and goes below 80 % for a moment.
				for i := range int64(20) {
					c.set(sc, c.threshold-1+i%2)
					sc.after(2*time.Second, fired)
				}
				calm := c.threshold * 8 / 10
				c.set(sc, calm)
				sc.after(5*time.Second, fired)
				c.set(sc, calm+1)
				sc.after(2*time.Minute+7*time.Second, fired)
				sc.after(10*time.Second, fired, told("reminder", calm+1)) // every has passed: it lasts
				sc.after(2*time.Minute, fired, told("reminder", calm+1))
				c.set(sc, calm)
				over := []string{fired, told("reminder", calm+1), told("recovered", calm)}
				sc.after(tenRounds, over...)
				sc.after(time.Hour, over...)
				c.set(sc, c.threshold+5)
				sc.after(2*time.Second, append(over, told("alert", c.threshold+5))...)
			})
		})
	}
}

// TestEveryHoldsAcrossRecoveries: an alert that fires again within every makes no notice, nor does its end.
func TestEveryHoldsAcrossRecoveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		sc.failed(200)
		sc.after(2*time.Second, "alert failures:s 200")
		once := []string{"alert failures:s 200", "recovered failures:s 0"}
		for range 3 {
			sc.failed(0)
			sc.after(tenRounds, once...)
			sc.failed(200)
			sc.after(20*time.Second, once...)
		}
		sc.after(3*time.Minute, append(once, "alert failures:s 200")...)
	})
}

func TestAgeOfIncoming(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		old := func(d time.Duration) {
			sc.ledger.Set(func(l *streamstest.Ledger) { l.In = medispatcher.IncomingStatus{Ready: 1, OldestMS: d.Milliseconds()} })
		}
		old(time.Minute - time.Millisecond)
		sc.after(10 * time.Second)
		old(time.Minute)
		sc.after(2*time.Second, "alert incoming: 1")
		old(0)
		sc.after(tenRounds, "alert incoming: 1", "recovered incoming: 1")
	})
}

// TestSwitchingOff: an alert that somebody switches off ends without a notice.
func TestSwitchingOff(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(sc *scene){
		"enabled":   func(sc *scene) { sc.change("s", func(s *medispatcher.Subscription) { s.Alert.Enabled = false }) },
		"threshold": func(sc *scene) { sc.change("s", func(s *medispatcher.Subscription) { s.Alert.Backlog = 0 }) },
		"paused":    func(sc *scene) { sc.change("s", func(s *medispatcher.Subscription) { s.Paused = true }) },
		"removed": func(sc *scene) {
			sc.mu.Lock()
			defer sc.mu.Unlock()
			delete(sc.subs, "s")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sc := start(t, thresholds())
				sc.channel(6000, 0)
				sc.after(2*time.Second, "alert backlog:s 6000")
				change(sc)
				sc.after(2*time.Second, "alert backlog:s 6000")
				if firing, _ := sc.ledger.FiringAlerts(t.Context()); len(firing) != 0 {
					t.Errorf("fires still: %+v", firing)
				}
				sc.after(time.Hour, "alert backlog:s 6000")
			})
		})
	}
}

// TestThresholdsAreLive: a changed threshold holds in the next round.
func TestThresholdsAreLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		sc.channel(400, 0)
		sc.after(time.Minute)
		sc.change("s", func(s *medispatcher.Subscription) {
			s.Alert.Backlog, s.Alert.Every = 400, medispatcher.Duration(time.Hour)
		})
		sc.after(2*time.Second, "alert backlog:s 400")
		sc.after(50*time.Minute, "alert backlog:s 400")
		sc.change("s", func(s *medispatcher.Subscription) { s.Alert.Every = medispatcher.Duration(time.Second) })
		sc.after(time.Second, "alert backlog:s 400", "reminder backlog:s 400")
	})
}

// TestQuietSubscriptionsAreNotLookedAt: a round reads no idle channels.
func TestQuietSubscriptionsAreNotLookedAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		sc.change("idle", func(*medispatcher.Subscription) {})
		sc.ledger.Set(func(l *streamstest.Ledger) { l.Channels["idle"] = medispatcher.ChannelStatus{Ready: 9000} })
		sc.after(time.Minute)
		sc.mu.Lock()
		sc.awake = []string{"idle", "unknown"}
		sc.mu.Unlock()
		sc.after(2*time.Second, "alert backlog:idle 9000")
	})
}

// TestRoundIsBounded: if more subscriptions are active than a round looks at, they take turns.
func TestRoundIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, Thresholds{Every: time.Minute})
		var all, want []string
		for i := range maxWatched + 500 {
			id := fmt.Sprintf("s%04d", i)
			all = append(all, id)
			sc.change(id, func(s *medispatcher.Subscription) { s.Alert.Every = medispatcher.Duration(time.Hour) })
		}
		sc.mu.Lock()
		sc.awake = all
		sc.mu.Unlock()
		sc.after(2 * time.Second)
		sc.ledger.Set(func(l *streamstest.Ledger) { l.Channels[all[7]] = medispatcher.ChannelStatus{Ready: 9000} })
		sc.after(3*time.Second, append(want, "alert backlog:s0007 9000")...)
	})
}

// TestBacklogText: the text holds the count and the time to drain.
func TestBacklogText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		line := func() string {
			all, _ := sc.ledger.Alerts(t.Context())
			return all.Last[0].Line
		}
		sc.ledger.Set(func(l *streamstest.Ledger) { l.Counted["sent:s"] = 3000 })
		sc.channel(6000, 20)
		sc.after(2*time.Second, "alert backlog:s 6000")
		if want := "[ALERT] backlog s: 6000 messages are READY (alert at 5000), the oldest for 3m10s; they take 2m at the present rate"; line() != want {
			t.Errorf("%s\nwant\n%s", line(), want)
		}
		for range 200 {
			sc.channel(int64(6000+time.Since(time.Time{}).Seconds()), 0) // it grows
			time.Sleep(time.Second)
		}
		if !strings.HasSuffix(line(), "at the present rate they never drain") {
			t.Error(line())
		}
	})
}

func TestMessageThatFailsAgainAndAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		sub := sc.subs["s"]
		fail := func(cause string, attempts int, deadIn time.Duration) {
			m := medispatcher.Message{ID: "m-" + cause, Topic: "a.b"}
			f := medispatcher.Failure{Attempts: attempts, LastError: "status 500: no\r\nBcc: x", Target: "http://h/"}
			var deadAt time.Time
			if deadIn > 0 {
				deadAt = time.Now().Add(deadIn)
			}
			sc.events.MessageFailed(&sub, &m, &f, cause, deadAt)
		}
		sc.ledger.Set(func(l *streamstest.Ledger) { l.Failing["0 1"], l.Failing["0 2"] = true, true })
		fail("0 1", 7, 2*time.Hour)
		sc.after(time.Second, "alert message_failures:s 7")
		all, _ := sc.ledger.Alerts(t.Context())
		if want := "[ALERT] message_failures s: message m-0 1 failed 7 times (alert at 7) and will be dead in 2h at the earliest"; all.Last[0].Line != want {
			t.Errorf("%s\nwant\n%s", all.Last[0].Line, want)
		}
		text := texts(t).Text(&all.Last[0])
		for _, want := range []string{"Last error:  status 500: no  Bcc: x\n", "Worker:      http://h/", "environment PUB", "s has no receivers of its own"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in:\n%s", want, text)
			}
		}
		for range 100 {
			fail("0 2", 8, time.Hour)
		}
		sc.after(20*time.Second, "alert message_failures:s 7")
		sc.ledger.Set(func(l *streamstest.Ledger) { delete(l.Failing, "0 1") }) // one of them is delivered
		sc.after(time.Minute, "alert message_failures:s 7")
		sc.ledger.Set(func(l *streamstest.Ledger) { delete(l.Failing, "0 2") })
		sc.after(20*time.Second, "alert message_failures:s 7", "recovered message_failures:s 8")
		fail("0 3", 11, 0)
		sc.after(3*time.Minute, "alert message_failures:s 7", "recovered message_failures:s 8") // within every
		fail("0 4", 11, 0)
		sc.after(time.Second, "alert message_failures:s 7", "recovered message_failures:s 8", "alert message_failures:s 11")
		all, _ = sc.ledger.Alerts(t.Context())
		if !strings.HasSuffix(all.Last[0].Line, "and is dead") {
			t.Error(all.Last[0].Line)
		}
	})
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		sc.events.Breaker("s", true)
		sc.after(time.Second, "alert breaker:s 1")
		// The breaker of another dispatcher opens, and that dispatcher dies.
		_, _, err := sc.ledger.As("b").RaiseAlert(t.Context(), medispatcher.Alert{Rule: medispatcher.RuleBreaker, Subscription: "s", Value: 1}, 3*time.Minute, []string{"b"}, false)
		if err != nil {
			t.Fatal(err)
		}
		sc.after(2*time.Minute, "alert breaker:s 1") // this one's is held all the time
		sc.events.Breaker("s", false)
		sc.after(tenRounds, "alert breaker:s 1", "recovered breaker:s 1")

		sc.events.Breaker("s", true)
		sc.after(3*time.Minute, "alert breaker:s 1", "recovered breaker:s 1", "alert breaker:s 1")
		sc.ledger.Flush() // Redis lost everything
		sc.after(10*time.Second, "alert breaker:s 1")
	})
}

func TestGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		asked := sc.subs["s"]
		sc.events.Gone(t.Context(), &asked)
		sc.change("s", func(s *medispatcher.Subscription) { s.Paused = true })
		sc.after(time.Minute, "alert gone:s 1")
		sc.change("s", func(s *medispatcher.Subscription) { s.Paused = false })
		sc.after(tenRounds, "alert gone:s 1", "recovered gone:s 1")
	})
}

// TestLogLost: the alert is about no subscription. It goes on while a dispatcher cannot write a log, and ends
// with the last one that could not.
func TestLogLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		sc.events.LogLost(1, "DATA log: no space left on device", true)
		sc.after(time.Second, "alert log_lost: 1")
		all, _ := sc.ledger.Alerts(t.Context())
		if want := "[ALERT] log_lost: a cannot write a log: DATA log: no space left on device; 1 line lost so far"; all.Last[0].Line != want {
			t.Errorf("%s\nwant\n%s", all.Last[0].Line, want)
		}
		other := medispatcher.Alert{Rule: ruleLogLost, Value: 1}
		if _, _, err := sc.ledger.As("b").RaiseAlert(t.Context(), other, 3*time.Minute, []string{"b"}, false); err != nil {
			t.Fatal(err)
		}
		sc.after(2*time.Minute, "alert log_lost: 1")
		for lines := range int64(30) { // more are lost: no notice of its own
			sc.events.LogLost(lines, "log: a write to it does not end", true)
			time.Sleep(time.Second)
		}
		sc.after(time.Second, "alert log_lost: 1")
		sc.events.LogLost(30, "", false)
		sc.after(tenRounds, "alert log_lost: 1", "recovered log_lost: 29")
	})
}

func TestDispatcherLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		alive := func(ids ...string) {
			sc.ledger.Set(func(l *streamstest.Ledger) {
				l.List = nil
				for _, id := range ids {
					l.List = append(l.List, medispatcher.Dispatcher{ID: id, Alive: true})
				}
			})
		}
		alive("a", "b")
		for range 3 { // everybody finds it
			if err := sc.events.Lost(t.Context(), medispatcher.Dispatcher{ID: "c", Host: "host-3"}, 2); err != nil {
				t.Fatal(err)
			}
		}
		sc.after(time.Minute, "alert dispatcher_lost: 1")
		all, _ := sc.ledger.Alerts(t.Context())
		if want := "[ALERT] dispatcher_lost: c on host-3 is dead; 2 still run"; all.Last[0].Line != want {
			t.Error(all.Last[0].Line)
		}
		alive("a", "b", "d")
		sc.after(tenRounds, "alert dispatcher_lost: 1", "recovered dispatcher_lost: 1")
		alive("a", "d")
		time.Sleep(time.Hour)
		_ = sc.events.Lost(t.Context(), medispatcher.Dispatcher{ID: "b"}, 2)
		time.Sleep(lossRemembered + tenRounds) // nobody starts another one
		if firing, _ := sc.ledger.FiringAlerts(t.Context()); len(firing) != 0 {
			t.Errorf("fires for ever: %+v", firing)
		}
	})
}

// TestDispatcherShortage: the rule fires while the machine of a living dispatcher is short of something.
func TestDispatcherShortage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		short := func(list ...medispatcher.Dispatcher) {
			sc.ledger.Set(func(l *streamstest.Ledger) { l.List = list })
		}
		short(medispatcher.Dispatcher{ID: "a", Alive: true}, medispatcher.Dispatcher{ID: "b", Short: "memory"}) // b is dead
		sc.after(time.Minute)
		short(medispatcher.Dispatcher{ID: "a", Alive: true, Short: "file descriptors"}, medispatcher.Dispatcher{ID: "b", Alive: true})
		sc.after(time.Minute, "alert dispatcher_shortage: 1")
		all, _ := sc.ledger.Alerts(t.Context())
		if want := "[ALERT] dispatcher_shortage: the machine of a is short of file descriptors, so attempts wait"; all.Last[0].Line != want {
			t.Error(all.Last[0].Line)
		}
		short(medispatcher.Dispatcher{ID: "a", Alive: true}, medispatcher.Dispatcher{ID: "b", Alive: true})
		sc.after(tenRounds, "alert dispatcher_shortage: 1", "recovered dispatcher_shortage: 0")
	})
}

// TestTwoMonitors: one monitor evaluates the rules. When it stops, the other does, and no notice is repeated.
func TestTwoMonitors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		sc.after(2 * time.Second) // this one leads
		rounds := 0
		other := NewMonitor(MonitorConfig{
			Host: "host-2", Thresholds: thresholds(), Texts: texts(t), Log: slog.New(slog.DiscardHandler), Subscriptions: sc.monitor.cfg.Subscriptions,
			Active: func() []string { rounds++; return []string{"s"} },
		}, sc.ledger.As("b"))
		ctx, cancel := context.WithCancel(t.Context())
		var loop sync.WaitGroup
		loop.Go(func() { _ = other.Run(ctx) })
		sc.channel(6000, 0)
		sc.after(time.Minute, "alert backlog:s 6000")
		if rounds != 0 {
			t.Errorf("two evaluate the rules: %d rounds", rounds)
		}
		sc.stop()
		sc.after(time.Minute, "alert backlog:s 6000")
		if rounds == 0 {
			t.Error("nobody evaluates the rules")
		}
		sc.channel(0, 0)
		sc.after(tenRounds, "alert backlog:s 6000", "recovered backlog:s 0")
		cancel()
		loop.Wait()
	})
}

// TestRedisIsAway: without Redis a monitor evaluates nothing and logs that once. It goes on when Redis is back.
func TestRedisIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		sc.ledger.Set(func(l *streamstest.Ledger) { l.Err = errors.New("redis is away") })
		sc.channel(6000, 0)
		sc.after(time.Minute)
		if n := strings.Count(sc.logs.String(), "redis is away"); n != 1 {
			t.Errorf("%d lines:\n%s", n, sc.logs)
		}
		sc.ledger.Set(func(l *streamstest.Ledger) { l.Err = nil })
		sc.after(2*time.Second, "alert backlog:s 6000")
	})
}

// TestMemoryIsNotTold: the other rules work when Redis refuses to tell its memory.
func TestMemoryIsNotTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		sc.ledger.Set(func(l *streamstest.Ledger) { l.Blind = errors.New("NOPERM") })
		sc.channel(6000, 0)
		sc.after(time.Minute, "alert backlog:s 6000")
		if n := strings.Count(sc.logs.String(), "NOPERM"); n != 1 {
			t.Errorf("%d lines:\n%s", n, sc.logs)
		}
	})
}

// TestKeptRules: unrouted and quarantined messages alert when they come. The alert is over when none came for
// the window, however many are kept.
func TestKeptRules(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, Thresholds{Unrouted: 2, Quarantine: 1, Window: 3 * time.Minute, Every: time.Hour})
		sc.ledger.Set(func(l *streamstest.Ledger) {
			l.Counted["unroutable:"] = 1
			l.In.Unrouted = 40
			l.Kept[medispatcher.PlaceUnrouted] = medispatcher.Kept{Message: medispatcher.Message{Topic: "order.craeted"}}
		})
		sc.after(5 * time.Second)
		sc.ledger.Set(func(l *streamstest.Ledger) { l.Counted["unroutable:"] = 12 })
		sc.after(5*time.Second, "alert unrouted: 12")
		sc.ledger.Set(func(l *streamstest.Ledger) {
			l.Counted["quarantined"] = 1
			l.In.Quarantine = 7
			l.Kept[medispatcher.PlaceQuarantine] = medispatcher.Kept{Reason: "DECODERR topic:\nis \x1bmissing"}
		})
		sc.after(5*time.Second, "alert unrouted: 12", "alert quarantine: 1")
		sc.ledger.Set(func(l *streamstest.Ledger) { l.Counted["unroutable:"], l.Counted["quarantined"] = 0, 0 })
		sc.after(tenRounds, "alert unrouted: 12", "alert quarantine: 1", "recovered unrouted: 0", "recovered quarantine: 0")
		told, err := sc.ledger.Alerts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, n := range told.Last {
			lines = append(lines, n.Line)
		}
		slices.Reverse(lines)
		if got, want := strings.Join(lines, "\n"), strings.Join([]string{
			"[ALERT] unrouted: 12 unrouted messages within 3m (alert at 2), the last of topic order.craeted",
			"[ALERT] quarantine: 1 entry quarantined within 3m (alert at 1), the last: DECODERR topic: is  missing",
			"[RECOVERED] unrouted: 0 unrouted messages within 3m; 40 are kept",
			"[RECOVERED] quarantine: 0 entries quarantined within 3m; 7 are kept",
		}, "\n"); got != want {
			t.Errorf("lines\n%s\nwant\n%s", got, want)
		}
	})
}
