package streamstest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

// AlertLedger is what ConformAlerts tests: alerts that fire and notices to send.
type AlertLedger interface {
	LeadAlerts(ctx context.Context, lease time.Duration) (leads bool, now time.Time, revision int64, err error)
	UnleadAlerts(ctx context.Context) error
	RaiseAlert(ctx context.Context, a medispatcher.Alert, every time.Duration, causes []string, once bool) (queued, dropped bool, err error)
	ResolveAlert(ctx context.Context, a medispatcher.Alert, quiet bool) (queued bool, err error)
	FiringAlerts(ctx context.Context) ([]medispatcher.Firing, error)
	Alerts(ctx context.Context) (medispatcher.Alerts, error)
	AlertCauses(ctx context.Context, alerts []medispatcher.Alert) (map[string]int64, error)
	HoldCause(ctx context.Context, alerts []medispatcher.Alert, cause string) (unknown []medispatcher.Alert, err error)
	EndCause(ctx context.Context, a medispatcher.Alert, cause string) error
	ClaimNotices(ctx context.Context, limit int, lease time.Duration) ([]medispatcher.Notice, error)
	MarkNotice(ctx context.Context, id int64, receiver string) error
	SettleNotice(ctx context.Context, n *medispatcher.Notice, outcome string, unsent bool) (mine bool, err error)
	PostponeNotice(ctx context.Context, id int64, delay time.Duration, uncounted bool) error
}

// ConformAlerts runs the cases that hold for package ledger and for the ledger in memory. open makes
// an empty ledger, used by two dispatchers, a and b. No case waits: times are an hour or zero.
func ConformAlerts(t *testing.T, open func(t *testing.T) (a, b AlertLedger)) {
	t.Helper()
	alert := medispatcher.Alert{Rule: medispatcher.RuleBacklog, Subscription: "s", Value: 7, Line: "[ALERT] backlog s: 7"}
	for name, test := range map[string]func(c *alertCase){
		"one dispatcher leads": func(c *alertCase) {
			c.leads(c.a, true)
			c.leads(c.b, false)
			c.leads(c.a, true)
			c.check(c.b.UnleadAlerts(c.ctx)) // b does not lead
			c.leads(c.b, false)
			c.check(c.a.UnleadAlerts(c.ctx))
			c.leads(c.b, true)
		},
		"one notice in each interval, whichever dispatcher raises": func(c *alertCase) {
			c.raise(c.a, alert, time.Hour, true)
			c.raise(c.b, alert, time.Hour, false)
			c.raise(c.a, alert, 0, true) // every was lowered
			c.told("alert", "reminder")
			c.firing("backlog:s 2")
		},
		"the revision changes": func(c *alertCase) {
			_, _, before, _ := c.a.LeadAlerts(c.ctx, time.Hour)
			for range 2 {
				c.raise(c.b, alert, time.Hour, before == 0)
				_, _, now, _ := c.a.LeadAlerts(c.ctx, time.Hour)
				if now == before {
					c.t.Error("raising did not change the revision")
				}
				before = now
			}
			_, _ = c.b.ResolveAlert(c.ctx, alert, true)
			if _, _, now, _ := c.a.LeadAlerts(c.ctx, time.Hour); now == before {
				c.t.Error("resolving did not change the revision")
			}
		},
		"recovery": func(c *alertCase) {
			c.resolve(alert, false, false) // nothing fires
			c.raise(c.a, alert, time.Hour, true)
			c.resolve(alert, false, true)
			c.resolve(alert, false, false)
			c.told("alert", "recovered")
			c.firing()
			c.raise(c.b, alert, time.Hour, false) // again within the interval: no notice
			c.firing("backlog:s 0")
			c.resolve(alert, false, false) // and none when it ends
			c.told("alert", "recovered")
		},
		"ended quietly": func(c *alertCase) {
			c.raise(c.a, alert, time.Hour, true)
			c.resolve(alert, true, false)
			c.told("alert")
			c.firing()
		},
		"an event raises once": func(c *alertCase) {
			lost := medispatcher.Alert{Rule: medispatcher.RuleDispatcherLost}
			for i, l := range []AlertLedger{c.a, c.b, c.a} {
				queued, _, err := l.RaiseAlert(c.ctx, lost, 0, []string{"host-1"}, true)
				c.check(err)
				if queued != (i == 0) {
					c.t.Errorf("time %d: queued %v", i, queued)
				}
			}
			queued, _, err := c.b.RaiseAlert(c.ctx, lost, 0, []string{"host-2"}, true)
			c.check(err)
			if !queued {
				c.t.Error("another event raised nothing")
			}
		},
		"causes": func(c *alertCase) {
			open := medispatcher.Alert{Rule: medispatcher.RuleBreaker, Subscription: "s"}
			for l, id := range map[AlertLedger]string{c.a: "a", c.b: "b"} {
				_, _, err := l.RaiseAlert(c.ctx, open, time.Hour, []string{id}, false)
				c.check(err)
			}
			c.causes(open, 2)
			c.check(c.a.EndCause(c.ctx, open, "a"))
			c.causes(open, 1)
			for id, want := range map[string]int{"a": 1, "b": 0} {
				unknown, err := c.a.HoldCause(c.ctx, []medispatcher.Alert{open}, id)
				c.check(err)
				if len(unknown) != want {
					c.t.Errorf("%s: unknown %v", id, unknown)
				}
			}
			c.causes(open, 1) // holding does not add a cause
			_, err := c.a.ResolveAlert(c.ctx, open, true)
			c.check(err)
			c.causes(open, 0)
		},
		"a notice is sent once": func(c *alertCase) {
			c.raise(c.a, alert, time.Hour, true)
			n := c.claim(c.a, time.Hour, 1)
			c.claim(c.b, time.Hour, 0)
			if n.Kind != medispatcher.NoticeAlert || n.Alert != alert || n.Tries != 1 || n.Since.IsZero() || n.At.IsZero() {
				c.t.Errorf("claimed %+v", n)
			}
			c.settle(c.b, n, false)
			c.settle(c.a, n, true)
			c.settle(c.a, n, false)
			c.claim(c.b, time.Hour, 0)
			if all, err := c.a.Alerts(c.ctx); err != nil || all.Waiting != 0 || all.Last[0].Outcome != "sent" || all.FiringCount != 1 {
				c.t.Errorf("%+v, %v", all, err)
			}
		},
		"a notice of a dead dispatcher goes to another one": func(c *alertCase) {
			c.raise(c.a, alert, time.Hour, true)
			n := c.claim(c.a, 0, 1) // the lease ends
			c.check(c.a.MarkNotice(c.ctx, n.ID, "first"))
			c.check(c.a.MarkNotice(c.ctx, n.ID, "first"))
			n = c.claim(c.b, time.Hour, 1)
			if n.Tries != 2 || !slices.Equal(n.Done, []string{"first"}) {
				c.t.Errorf("claimed %+v", n)
			}
			c.check(c.a.MarkNotice(c.ctx, n.ID, "second")) // too late: b has it now
			c.settle(c.a, n, false)
			c.check(c.b.MarkNotice(c.ctx, n.ID, "third"))
			c.check(c.b.PostponeNotice(c.ctx, n.ID, 0, true))
			c.settle(c.b, n, false)
			n = c.claim(c.a, time.Hour, 1)
			if n.Tries != 2 || !slices.Equal(n.Done, []string{"first", "third"}) {
				c.t.Errorf("claimed %+v", n)
			}
			c.check(c.b.PostponeNotice(c.ctx, n.ID, 0, false)) // b does not hold it
			c.claim(c.b, time.Hour, 0)
			c.check(c.a.PostponeNotice(c.ctx, n.ID, time.Hour, false))
			c.claim(c.b, time.Hour, 0)
		},
		"a recovery comes after its alert": func(c *alertCase) {
			c.raise(c.a, alert, time.Hour, true)
			c.resolve(alert, false, true)
			n := c.claim(c.a, time.Hour, 1)
			c.claim(c.b, time.Hour, 0)
			c.settle(c.a, n, true)
		},
		"an alert without a sent notice has no recovery": func(c *alertCase) {
			c.raise(c.a, alert, time.Hour, true)
			n := c.claim(c.a, time.Hour, 1)
			if mine, err := c.a.SettleNotice(c.ctx, &n, "not sent", true); err != nil || !mine {
				c.t.Error(mine, err)
			}
			c.firing("backlog:s 0")
			c.resolve(alert, false, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t)
			test(&alertCase{t, t.Context(), a, b})
		})
	}
}

type alertCase struct {
	t    *testing.T
	ctx  context.Context //nolint:containedctx // of one test
	a, b AlertLedger
}

func (c *alertCase) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *alertCase) leads(l AlertLedger, want bool) {
	c.t.Helper()
	leads, now, _, err := l.LeadAlerts(c.ctx, time.Hour)
	c.check(err)
	if leads != want || time.Since(now).Abs() > time.Minute {
		c.t.Errorf("leads %v at %s", leads, now)
	}
}

func (c *alertCase) raise(l AlertLedger, a medispatcher.Alert, every time.Duration, want bool) {
	c.t.Helper()
	queued, dropped, err := l.RaiseAlert(c.ctx, a, every, nil, false)
	c.check(err)
	if queued != want || dropped {
		c.t.Errorf("queued %v, dropped %v", queued, dropped)
	}
}

func (c *alertCase) resolve(a medispatcher.Alert, quiet, want bool) {
	c.t.Helper()
	queued, err := c.a.ResolveAlert(c.ctx, a, quiet)
	c.check(err)
	if queued != want {
		c.t.Errorf("queued %v", queued)
	}
}

// told checks the kinds of all notices, the oldest first.
func (c *alertCase) told(want ...string) {
	c.t.Helper()
	all, err := c.b.Alerts(c.ctx)
	c.check(err)
	var got []string
	for _, n := range slices.Backward(all.Last) {
		got = append(got, n.Kind)
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("told %v, want %v", got, want)
	}
}

func (c *alertCase) firing(want ...string) {
	c.t.Helper()
	list, err := c.b.FiringAlerts(c.ctx)
	c.check(err)
	var got []string
	for _, f := range list {
		if f.Since.IsZero() || f.Last.IsZero() {
			c.t.Errorf("%+v", f)
		}
		got = append(got, fmt.Sprint(f.Key(), " ", f.Notices))
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("firing %v, want %v", got, want)
	}
}

func (c *alertCase) causes(a medispatcher.Alert, want int64) {
	c.t.Helper()
	left, err := c.b.AlertCauses(c.ctx, []medispatcher.Alert{a})
	c.check(err)
	if left[a.Key()] != want {
		c.t.Errorf("%d causes, want %d", left[a.Key()], want)
	}
}

func (c *alertCase) claim(l AlertLedger, lease time.Duration, want int) (n medispatcher.Notice) {
	c.t.Helper()
	list, err := l.ClaimNotices(c.ctx, 10, lease)
	for tries := 0; err == nil && len(list) < want && tries < 1000; tries++ { // they may be due by another clock, which is a little ahead
		time.Sleep(time.Millisecond)
		var more []medispatcher.Notice
		more, err = l.ClaimNotices(c.ctx, 10, lease)
		list = append(list, more...)
	}
	c.check(err)
	if len(list) != want {
		c.t.Fatalf("claimed %+v, want %d", list, want)
	}
	if want > 0 {
		n = list[0]
	}
	return n
}

func (c *alertCase) settle(l AlertLedger, n medispatcher.Notice, want bool) {
	c.t.Helper()
	mine, err := l.SettleNotice(c.ctx, &n, "sent", false)
	c.check(err)
	if mine != want {
		c.t.Errorf("mine %v", mine)
	}
}
