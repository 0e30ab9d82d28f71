package streams_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

func TestAlertsConform(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		streamstest.ConformAlerts(t, func(*testing.T) (a, b streamstest.AlertLedger) {
			l := streamstest.NewLedger()
			return l.As("a"), l.As("b")
		})
	})
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		streamstest.ConformAlerts(t, func(t *testing.T) (a, b streamstest.AlertLedger) {
			check(t, env.Client.FlushAll(t.Context()).Err())
			return env.Open(t, env.Config("a")), env.Open(t, env.Config("b"))
		})
	})
}

var backlogS = medispatcher.Alert{Rule: medispatcher.RuleBacklog, Subscription: "s", Value: 1}

// TestAlertStepsAreSafeToRepeat: the reply of each step is lost once.
func TestAlertStepsAreSafeToRepeat(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		twice := func(do func() error) {
			t.Helper()
			sc.Faults.Next(streamstest.After, 1, "evalsha")
			if do() == nil {
				t.Fatal("no reply was lost")
			}
			check(t, do())
		}
		// So that every script is known, and a lost reply is that of the script.
		prepare := medispatcher.Alert{Rule: "prepare"}
		_, _, err := sc.Store.RaiseAlert(sc.Ctx, prepare, time.Hour, nil, false)
		check(t, err)
		n := must[[]medispatcher.Notice](t)(sc.Store.ClaimNotices(sc.Ctx, 1, time.Hour))[0]
		check(t, sc.Store.MarkNotice(sc.Ctx, n.ID, "x"))
		check(t, sc.Store.PostponeNotice(sc.Ctx, n.ID, 0, false))
		n = must[[]medispatcher.Notice](t)(sc.Store.ClaimNotices(sc.Ctx, 1, time.Hour))[0]
		must[bool](t)(sc.Store.SettleNotice(sc.Ctx, &n, "sent", false))
		must[bool](t)(sc.Store.ResolveAlert(sc.Ctx, prepare, true))

		twice(func() error {
			_, _, err := sc.Store.RaiseAlert(sc.Ctx, backlogS, time.Hour, []string{"me"}, false)
			return err
		})
		n = must[[]medispatcher.Notice](t)(sc.Store.ClaimNotices(sc.Ctx, 10, time.Hour))[0]
		twice(func() error { return sc.Store.MarkNotice(sc.Ctx, n.ID, "r") })
		twice(func() error { return sc.Store.PostponeNotice(sc.Ctx, n.ID, 0, false) })
		n = must[[]medispatcher.Notice](t)(sc.Store.ClaimNotices(sc.Ctx, 10, time.Hour))[0]
		if len(n.Done) != 1 || n.Tries != 2 {
			t.Errorf("claimed %+v", n)
		}
		twice(func() error { _, err := sc.Store.SettleNotice(sc.Ctx, &n, "sent", false); return err })
		twice(func() error { _, err := sc.Store.ResolveAlert(sc.Ctx, backlogS, false); return err })
		all := must[medispatcher.Alerts](t)(sc.Store.Alerts(sc.Ctx))
		if len(all.Last) != 3 || all.Waiting != 1 || len(all.Firing) != 0 {
			t.Errorf("%+v", all)
		}
	})
}

// TestAlertsAreBounded: neither the history nor the outbox grows for ever, and what is dropped is told.
func TestAlertsAreBounded(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		var outbox []any
		for i := range 9_995 {
			outbox = append(outbox, fmt.Sprint("x", i), "")
		}
		check(t, sc.Client.HSet(sc.Ctx, "medis:alerts:{alerts}:outbox", outbox...).Err())
		told := 0
		for i := range 120 {
			a := backlogS
			a.Subscription = fmt.Sprint("s", i)
			queued, dropped, err := sc.Store.RaiseAlert(sc.Ctx, a, time.Hour, nil, false)
			check(t, err)
			if queued == dropped || queued != (i < 5) {
				t.Fatalf("%d: queued %v, dropped %v", i, queued, dropped)
			}
			if dropped {
				told++
			}
		}
		all := must[medispatcher.Alerts](t)(sc.Store.Alerts(sc.Ctx))
		if len(all.Last) != 100 || all.FiringCount != 120 || all.Last[0].Outcome != "not sent: too many wait" || all.Last[0].Subscription != "s119" {
			t.Errorf("%d notices, %d fire, first %+v", len(all.Last), all.FiringCount, all.Last[0])
		}
		if n := sc.Client.HLen(sc.Ctx, "medis:alerts:{alerts}:outcomes").Val(); n != 100 {
			t.Errorf("%d outcomes of %d dropped", n, told)
		}
		causes := make([]string, 150)
		for i := range causes {
			causes[i] = streams.MessageCause(0, fmt.Sprint(i))
		}
		_, _, err := sc.Store.RaiseAlert(sc.Ctx, backlogS, time.Hour, causes, false)
		check(t, err)
		if n := sc.Client.ZCard(sc.Ctx, "medis:alerts:{alerts}:causes:backlog:s").Val(); n != 100 {
			t.Errorf("%d causes", n)
		}
	})
}

// TestAlertsOutOfMemory: a Redis that takes no messages takes alerts.
func TestAlertsOutOfMemory(t *testing.T) {
	env := streamstest.Real(t)
	sc := newScene(t, env)
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "1").Err())
	if sc.Client.Set(sc.Ctx, "x", 1, 0).Err() == nil {
		t.Fatal("Redis is not full")
	}
	if leads, _, _, err := sc.Store.LeadAlerts(sc.Ctx, time.Hour); err != nil || !leads {
		t.Error(leads, err)
	}
	for _, once := range []bool{false, true} {
		queued, _, err := sc.Store.RaiseAlert(sc.Ctx, backlogS, 0, []string{"c"}, once)
		check(t, err)
		if !queued {
			t.Error("not queued")
		}
	}
	if unknown := must[[]medispatcher.Alert](t)(sc.Store.HoldCause(sc.Ctx, []medispatcher.Alert{backlogS}, "c")); len(unknown) > 0 {
		t.Error("not held")
	}
	for _, n := range must[[]medispatcher.Notice](t)(sc.Store.ClaimNotices(sc.Ctx, 10, time.Hour)) {
		check(t, sc.Store.MarkNotice(sc.Ctx, n.ID, "r"))
		check(t, sc.Store.PostponeNotice(sc.Ctx, n.ID, 0, false))
	}
	for _, n := range must[[]medispatcher.Notice](t)(sc.Store.ClaimNotices(sc.Ctx, 10, time.Hour)) {
		must[bool](t)(sc.Store.SettleNotice(sc.Ctx, &n, "sent", false))
	}
	must[bool](t)(sc.Store.ResolveAlert(sc.Ctx, backlogS, false))
	used, limit, err := sc.Store.Memory(sc.Ctx)
	check(t, err)
	if used < 1000 || limit != 1 {
		t.Errorf("memory %d of %d", used, limit)
	}
}

// TestFailingMessagesEnd: an alert about messages goes on while one of them has a failure record.
func TestFailingMessagesEnd(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 2
		store := env.Open(t, cfg)
		a := medispatcher.Alert{Rule: medispatcher.RuleMessageFailures, Subscription: "s"}
		_, _, err := store.RaiseAlert(t.Context(), a, time.Hour, []string{streams.MessageCause(0, "1-1"), streams.MessageCause(1, "1-1"), streams.MessageCause(1, "2-2")}, false)
		check(t, err)
		left := func() int64 {
			return must[map[string]int64](t)(store.AlertCauses(t.Context(), []medispatcher.Alert{a}))[a.Key()]
		}
		if n := left(); n != 3 {
			t.Errorf("%d at once: they may not be in the records yet", n)
		}
		const causes = "medis:alerts:{alerts}:causes:message_failures:s"
		for _, z := range env.Client.ZRangeWithScores(t.Context(), causes, 0, -1).Val() {
			z.Score -= 6000 // a few seconds pass
			check(t, env.Client.ZAdd(t.Context(), causes, z).Err())
		}
		check(t, env.Client.HSet(t.Context(), "medis:{1}:failures:s", "2-2", "{}", "1-1", "{}").Err())
		if n := left(); n != 2 {
			t.Errorf("%d still fail", n)
		}
		check(t, env.Client.HDel(t.Context(), "medis:{1}:failures:s", "2-2", "1-1").Err())
		if n := left(); n != 0 {
			t.Errorf("%d still fail", n)
		}
	})
}

// TestCountedWithin: what lies within the window counts whole, what its far edge cuts in part.
func TestCountedWithin(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 2
		store := env.Open(t, cfg)
		now := must[time.Time](t)(env.Client.Time(t.Context()).Result()).Unix()
		put := func(kind string, at int64, n int) {
			for p := range 2 {
				check(t, env.Client.HSet(t.Context(), fmt.Sprintf("medis:stats:{%d}:%s%d", p, kind, at), "failed:s", n).Err())
			}
		}
		for age := range int64(100) { // some in the future, for the clock goes on
			put("s", now+30-age, 1)
			put("m", now/60+2-age, 60)
			put("h", now/3600+2-age, 3600)
		}
		for window, want := range map[time.Duration]int64{
			time.Second: 2, 10 * time.Second: 20, time.Minute: 120, 3 * time.Minute: 360, time.Hour: 7200, 24 * time.Hour: 24 * 7200,
		} {
			got := must[[]int64](t)(store.CountedWithin(t.Context(), "failed", window, []string{"other", "s"}))
			// The bucket under way is full here, and really is not: up to one bucket more.
			size := int64(2)
			if window > time.Minute {
				size *= 60
			}
			if window > time.Hour {
				size *= 60
			}
			if got[0] != 0 || got[1] < want-1 || got[1] > want+size {
				t.Errorf("%s: %v, want %d to %d", window, got, want, want+size)
			}
		}
	})
}

func TestLengthsAndMemory(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 2
		store := env.Open(t, cfg)
		for p, n := range []int{2, 3} {
			for range n {
				check(t, env.Client.XAdd(t.Context(), &redis.XAddArgs{Stream: fmt.Sprintf("medis:{%d}:ch:s", p), Values: []any{"a", "b"}}).Err())
			}
		}
		check(t, env.Client.Set(t.Context(), "medis:{0}:ch:wrong", "x", 0).Err())
		if got := must[[]int64](t)(store.Lengths(t.Context(), []string{"none", "s", "wrong"})); fmt.Sprint(got) != "[0 5 0]" {
			t.Errorf("lengths %v", got)
		}
		used, limit, err := store.Memory(t.Context())
		if limit != 0 || err == nil && env.Server != nil && used < 1000 {
			t.Errorf("memory %d of %d, %v", used, limit, err)
		}
		if err != nil && !strings.Contains(err.Error(), "INFO") && !strings.Contains(err.Error(), "section") {
			t.Error(err)
		}
	})
}

// TestForgetNotices: the time of a notice is kept as long as it may throttle another.
func TestForgetNotices(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		_, _, err := sc.Store.RaiseAlert(sc.Ctx, backlogS, time.Hour, nil, false)
		check(t, err)
		check(t, sc.Store.ForgetNotices(sc.Ctx, time.Now().Add(7*24*time.Hour)))
		if n := sc.Client.HLen(sc.Ctx, "medis:alerts:{alerts}:sent").Val(); n != 1 {
			t.Error("forgotten too early")
		}
		check(t, sc.Store.ForgetNotices(sc.Ctx, time.Now().Add(9*24*time.Hour)))
		if n := sc.Client.HLen(sc.Ctx, "medis:alerts:{alerts}:sent").Val(); n != 0 {
			t.Error("kept for ever")
		}
	})
}
