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
	subs := func() *medispatcher.Subscriptions {
		sc.mu.Lock()
		defer sc.mu.Unlock()
		return medispatcher.NewSubscriptions(slices.Collect(maps.Values(sc.subs))...)
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
		s = medispatcher.Subscription{ID: id, Alert: medispatcher.DefaultSubscription().Alert}
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
