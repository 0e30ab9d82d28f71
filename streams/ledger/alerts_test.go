package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/ledger"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

func TestAlertsConform(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		streamstest.ConformAlerts(t, func(*testing.T) (a, b streamstest.AlertLedger) {
			l := streamstest.NewLedger()
			return l.As("a"), l.As("b")
		})
	})
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		streamstest.ConformAlerts(t, func(t *testing.T) (a, b streamstest.AlertLedger) {
			streamstest.Check(t, env.Client.FlushAll(t.Context()).Err())
			return ledger.New(env.Open(t, env.Config("a")).DB()), ledger.New(env.Open(t, env.Config("b")).DB())
		})
	})
}

var backlogS = medispatcher.Alert{Rule: medispatcher.RuleBacklog, Subscription: "s", Value: 1}

// TestAlertStepsAreSafeToRepeat loses the reply of each step once.
func TestAlertStepsAreSafeToRepeat(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		twice := func(do func() error) {
			t.Helper()
			sc.Faults.Next(streamstest.After, 1, "evalsha")
			if do() == nil {
				t.Fatal("no reply was lost")
			}
			streamstest.Check(t, do())
		}
		// Load every script first, so that the lost reply is that of the script.
		prepare := medispatcher.Alert{Rule: "prepare"}
		_, _, err := ledger.New(sc.Store.DB()).RaiseAlert(sc.Ctx, prepare, time.Hour, nil, false)
		streamstest.Check(t, err)
		n := streamstest.Must[[]medispatcher.Notice](t)(ledger.New(sc.Store.DB()).ClaimNotices(sc.Ctx, 1, time.Hour))[0]
		streamstest.Check(t, ledger.New(sc.Store.DB()).MarkNotice(sc.Ctx, n.ID, "x"))
		streamstest.Check(t, ledger.New(sc.Store.DB()).PostponeNotice(sc.Ctx, n.ID, 0, false))
		n = streamstest.Must[[]medispatcher.Notice](t)(ledger.New(sc.Store.DB()).ClaimNotices(sc.Ctx, 1, time.Hour))[0]
		streamstest.Must[bool](t)(ledger.New(sc.Store.DB()).SettleNotice(sc.Ctx, &n, "sent", false))
		streamstest.Must[bool](t)(ledger.New(sc.Store.DB()).ResolveAlert(sc.Ctx, prepare, true))

		twice(func() error {
			_, _, err := ledger.New(sc.Store.DB()).RaiseAlert(sc.Ctx, backlogS, time.Hour, []string{"me"}, false)
			return err
		})
		n = streamstest.Must[[]medispatcher.Notice](t)(ledger.New(sc.Store.DB()).ClaimNotices(sc.Ctx, 10, time.Hour))[0]
		twice(func() error { return ledger.New(sc.Store.DB()).MarkNotice(sc.Ctx, n.ID, "r") })
		twice(func() error { return ledger.New(sc.Store.DB()).PostponeNotice(sc.Ctx, n.ID, 0, false) })
		n = streamstest.Must[[]medispatcher.Notice](t)(ledger.New(sc.Store.DB()).ClaimNotices(sc.Ctx, 10, time.Hour))[0]
		if len(n.Done) != 1 || n.Tries != 2 {
			t.Errorf("claimed %+v", n)
		}
		twice(func() error { _, err := ledger.New(sc.Store.DB()).SettleNotice(sc.Ctx, &n, "sent", false); return err })
		twice(func() error { _, err := ledger.New(sc.Store.DB()).ResolveAlert(sc.Ctx, backlogS, false); return err })
		all := streamstest.Must[medispatcher.Alerts](t)(ledger.New(sc.Store.DB()).Alerts(sc.Ctx))
		if len(all.Last) != 3 || all.Waiting != 1 || len(all.Firing) != 0 {
			t.Errorf("%+v", all)
		}
	})
}

// TestAlertsAreBounded: neither the history nor the outbox grows for ever, and a dropped notice is reported.
func TestAlertsAreBounded(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		var outbox []any
		for i := range 9_995 {
			outbox = append(outbox, fmt.Sprint("x", i), "")
		}
		streamstest.Check(t, sc.Client.HSet(sc.Ctx, "medis:alerts:{alerts}:outbox", outbox...).Err())
		told := 0
		for i := range 120 {
			a := backlogS
			a.Subscription = fmt.Sprint("s", i)
			queued, dropped, err := ledger.New(sc.Store.DB()).RaiseAlert(sc.Ctx, a, time.Hour, nil, false)
			streamstest.Check(t, err)
			if queued == dropped || queued != (i < 5) {
				t.Fatalf("%d: queued %v, dropped %v", i, queued, dropped)
			}
			if dropped {
				told++
			}
		}
		all := streamstest.Must[medispatcher.Alerts](t)(ledger.New(sc.Store.DB()).Alerts(sc.Ctx))
		if len(all.Last) != 100 || all.FiringCount != 120 || all.Last[0].Outcome != "not sent: too many wait" || all.Last[0].Subscription != "s119" {
			t.Errorf("%d notices, %d fire, first %+v", len(all.Last), all.FiringCount, all.Last[0])
		}
		if n := sc.Client.HLen(sc.Ctx, "medis:alerts:{alerts}:outcomes").Val(); n != 100 {
			t.Errorf("%d outcomes of %d dropped", n, told)
		}
		causes := make([]string, 150)
		for i := range causes {
			causes[i] = ledger.MessageCause(0, fmt.Sprint(i))
		}
		_, _, err := ledger.New(sc.Store.DB()).RaiseAlert(sc.Ctx, backlogS, time.Hour, causes, false)
		streamstest.Check(t, err)
		if n := sc.Client.ZCard(sc.Ctx, "medis:alerts:{alerts}:causes:backlog:s").Val(); n != 100 {
			t.Errorf("%d causes", n)
		}
	})
}

// TestAlertsOutOfMemory: a full Redis refuses messages but accepts alerts.
func TestAlertsOutOfMemory(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	sc := streamstest.NewScene(t, env)
	streamstest.Check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "1").Err())
	if sc.Client.Set(sc.Ctx, "x", 1, 0).Err() == nil {
		t.Fatal("Redis is not full")
	}
	if leads, _, _, err := ledger.New(sc.Store.DB()).LeadAlerts(sc.Ctx, time.Hour); err != nil || !leads {
		t.Error(leads, err)
	}
	for _, once := range []bool{false, true} {
		queued, _, err := ledger.New(sc.Store.DB()).RaiseAlert(sc.Ctx, backlogS, 0, []string{"c"}, once)
		streamstest.Check(t, err)
		if !queued {
			t.Error("not queued")
		}
	}
	if unknown := streamstest.Must[[]medispatcher.Alert](t)(ledger.New(sc.Store.DB()).HoldCause(sc.Ctx, []medispatcher.Alert{backlogS}, "c")); len(unknown) > 0 {
		t.Error("not held")
	}
	for _, n := range streamstest.Must[[]medispatcher.Notice](t)(ledger.New(sc.Store.DB()).ClaimNotices(sc.Ctx, 10, time.Hour)) {
		streamstest.Check(t, ledger.New(sc.Store.DB()).MarkNotice(sc.Ctx, n.ID, "r"))
		streamstest.Check(t, ledger.New(sc.Store.DB()).PostponeNotice(sc.Ctx, n.ID, 0, false))
	}
	for _, n := range streamstest.Must[[]medispatcher.Notice](t)(ledger.New(sc.Store.DB()).ClaimNotices(sc.Ctx, 10, time.Hour)) {
		streamstest.Must[bool](t)(ledger.New(sc.Store.DB()).SettleNotice(sc.Ctx, &n, "sent", false))
	}
	streamstest.Must[bool](t)(ledger.New(sc.Store.DB()).ResolveAlert(sc.Ctx, backlogS, false))
	used, limit, err := report.New(sc.Store).Memory(sc.Ctx)
	streamstest.Check(t, err)
	if used < 1000 || limit != 1 {
		t.Errorf("memory %d of %d", used, limit)
	}
}

// TestFailingMessagesEnd: an alert about failing messages goes on while one of them has a failure record.
func TestFailingMessagesEnd(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 2
		store := env.Open(t, cfg)
		a := medispatcher.Alert{Rule: medispatcher.RuleMessageFailures, Subscription: "s"}
		_, _, err := ledger.New(store.DB()).RaiseAlert(t.Context(), a, time.Hour, []string{ledger.MessageCause(0, "1-1"), ledger.MessageCause(1, "1-1"), ledger.MessageCause(1, "2-2")}, false)
		streamstest.Check(t, err)
		left := func() int64 {
			return streamstest.Must[map[string]int64](t)(ledger.New(store.DB()).AlertCauses(t.Context(), []medispatcher.Alert{a}))[a.Key()]
		}
		if n := left(); n != 3 {
			t.Errorf("%d causes, want all: the failure records may not be there yet", n)
		}
		const causes = "medis:alerts:{alerts}:causes:message_failures:s"
		for _, z := range env.Client.ZRangeWithScores(t.Context(), causes, 0, -1).Val() {
			z.Score -= 6000 // a few seconds pass
			streamstest.Check(t, env.Client.ZAdd(t.Context(), causes, z).Err())
		}
		streamstest.Check(t, env.Client.HSet(t.Context(), "medis:{1}:failures:s", "2-2", "{}", "1-1", "{}").Err())
		if n := left(); n != 2 {
			t.Errorf("%d still fail", n)
		}
		streamstest.Check(t, env.Client.HDel(t.Context(), "medis:{1}:failures:s", "2-2", "1-1").Err())
		if n := left(); n != 0 {
			t.Errorf("%d still fail", n)
		}
	})
}

// TestForgetNotices: the time of a notice is kept as long as it may hold back another notice.
func TestForgetNotices(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		_, _, err := ledger.New(sc.Store.DB()).RaiseAlert(sc.Ctx, backlogS, time.Hour, nil, false)
		streamstest.Check(t, err)
		streamstest.Check(t, ledger.New(sc.Store.DB()).ForgetNotices(sc.Ctx, time.Now().Add(7*24*time.Hour)))
		if n := sc.Client.HLen(sc.Ctx, "medis:alerts:{alerts}:sent").Val(); n != 1 {
			t.Error("forgotten too early")
		}
		streamstest.Check(t, ledger.New(sc.Store.DB()).ForgetNotices(sc.Ctx, time.Now().Add(9*24*time.Hour)))
		if n := sc.Client.HLen(sc.Ctx, "medis:alerts:{alerts}:sent").Val(); n != 0 {
			t.Error("kept for ever")
		}
	})
}
