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

// office is a notifier with a store in memory. It records sends instead of making them.
type office struct {
	t      *testing.T
	ledger *streamstest.Ledger
	n      *Notifier
	logs   strings.Builder
	cancel func()
	done   sync.WaitGroup

	mu   sync.Mutex
	subs map[string]medispatcher.Subscription
	sent []string // "<second> <receiver> <title>"
	fail func(ctx context.Context, url string) error
	from time.Time
}

func openOffice(t *testing.T, id string, ledger *streamstest.Ledger, urls ...string) *office {
	t.Helper()
	o := &office{t: t, ledger: ledger, from: time.Now(), subs: map[string]medispatcher.Subscription{
		"own": {ID: "own", Alert: medispatcher.AlertPolicy{Enabled: true, URLs: []string{"slack://own"}}},
		"s":   {ID: "s", Alert: medispatcher.AlertPolicy{Enabled: true}},
	}}
	o.n = NewNotifier(NotifierConfig{
		URLs: urls, Texts: texts(t), Network: network, Log: slog.New(slog.NewTextHandler(&o.logs, nil)),
		Subscriptions: func() *medispatcher.Subscriptions {
			o.mu.Lock()
			defer o.mu.Unlock()
			return medispatcher.NewSubscriptions(slices.Collect(maps.Values(o.subs))...)
		},
	}, ledger.As(id))
	o.n.deliver = func(ctx context.Context, r receiver, _, title, _ string, ended func()) error {
		defer ended()
		o.mu.Lock()
		o.sent = append(o.sent, fmt.Sprintf("%d %s %s", int(time.Since(o.from).Seconds()), r.url, title))
		fail := o.fail
		o.mu.Unlock()
		if fail == nil {
			return nil
		}
		return fail(ctx, r.url)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.cancel = cancel
	o.done.Go(func() { _ = o.n.Run(ctx) })
	t.Cleanup(o.close)
	return o
}

func (o *office) close() { o.cancel(); o.done.Wait() }

// add makes subscriptions without receivers of their own.
func (o *office) add(ids ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		o.subs[id] = medispatcher.Subscription{ID: id}
	}
}

// all waits until every goroutine is idle, and returns what was sent.
func (o *office) all() []string {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.sent)
}

func (o *office) raise(sub string) medispatcher.Alert {
	o.t.Helper()
	a := medispatcher.Alert{Rule: ruleGone, Subscription: sub}
	a.Line = o.n.cfg.Texts.Line(&medispatcher.Notice{Kind: medispatcher.NoticeAlert, Alert: a})
	if _, _, err := o.ledger.RaiseAlert(o.t.Context(), a, time.Hour, nil, false); err != nil {
		o.t.Fatal(err)
	}
	return a
}

// after lets time pass and then checks all sends so far.
func (o *office) after(d time.Duration, want ...string) {
	o.t.Helper()
	time.Sleep(d)
	if got := o.all(); !slices.Equal(got, want) {
		o.t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (o *office) outcomes(want ...string) {
	o.t.Helper()
	all, _ := o.ledger.Alerts(o.t.Context())
	var got []string
	for _, n := range all.Last {
		got = append(got, n.Outcome)
	}
	if !slices.Equal(got, want) {
		o.t.Errorf("outcomes %q, want %q", got, want)
	}
}

const line = "[ALERT] gone s: paused: its worker answered 410 Gone"

func TestReceiversInForce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := openOffice(t, "a", streamstest.NewLedger(), "slack://default")
		o.raise("own")
		o.after(2*time.Second, "1 slack://own [ALERT] gone own: paused: its worker answered 410 Gone")
		o.raise("s")
		o.after(2*time.Second, "1 slack://own [ALERT] gone own: paused: its worker answered 410 Gone", "3 slack://default "+line)
		o.outcomes("sent", "sent")
	})
}

// TestWithoutReceivers: an alert without receivers is a line of the log, and in the list.
func TestWithoutReceivers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := openOffice(t, "a", streamstest.NewLedger())
		o.raise("s")
		o.after(2 * time.Second)
		o.outcomes("no receivers")
		if !strings.Contains(o.logs.String(), "level=WARN") || !strings.Contains(o.logs.String(), line) {
			t.Error(o.logs.String())
		}
	})
}

// TestOneReceiverFails: only the receiver that fails is tried again. When it is given up, the log has the text.
func TestOneReceiverFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := openOffice(t, "a", streamstest.NewLedger(), "slack://works", "slack://hushhush")
		o.fail = func(_ context.Context, url string) error {
			if url == "slack://works" {
				return nil
			}
			return errors.New("no")
		}
		o.raise("s")
		time.Sleep(time.Hour)
		times := map[string]int{}
		for _, s := range o.all() {
			times[strings.Fields(s)[1]]++
		}
		if times["slack://works"] != 1 || times["slack://hushhush"] != maxTries {
			t.Errorf("tries %v", times)
		}
		o.outcomes("not sent: " + medispatcher.MaskAlertURL("slack://hushhush") + ": no")
		logs := o.logs.String()
		if strings.Count(logs, "level=ERROR") != 1 || !strings.Contains(logs, "answered 410 Gone") || strings.Contains(logs, "hush") {
			t.Error(logs)
		}
		if c := o.n.Counters(); c.Sent.Load() != 1 || c.Failed.Load() != maxTries || c.Unsent.Load() != 1 {
			t.Errorf("%d sent, %d failed, %d unsent", c.Sent.Load(), c.Failed.Load(), c.Unsent.Load())
		}
	})
}

// TestReceiverComesBack: the receiver gets the alert, then the recovery.
func TestReceiverComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := openOffice(t, "a", streamstest.NewLedger(), "slack://x")
		o.fail = func(context.Context, string) error { return errors.New("no") }
		a := o.raise("s")
		time.Sleep(3 * time.Second)
		if queued, err := o.ledger.ResolveAlert(t.Context(), a, false); err != nil || !queued {
			t.Error(queued, err)
		}
		o.mu.Lock()
		o.fail = nil
		o.mu.Unlock()
		o.after(10*time.Second, "1 slack://x "+line, "6 slack://x "+line, "6 slack://x [RECOVERED] gone s: resumed")
	})
}

// TestHangingReceiverHoldsUpNobody: other receivers do not wait for one that hangs, and the dispatcher stops in time.
func TestHangingReceiverHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := openOffice(t, "a", streamstest.NewLedger(), "slack://hangs")
		o.fail = func(ctx context.Context, url string) error {
			if url == "slack://hangs" {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(sendWithin):
				}
				return errSlow
			}
			return nil
		}
		for i := range 50 {
			id := fmt.Sprintf("s%02d", i)
			o.add(id)
			o.raise(id)
		}
		time.Sleep(3 * time.Second)
		o.raise("own")
		time.Sleep(time.Second)
		own := 0
		var hang []string
		for _, s := range o.all() {
			if strings.Contains(s, "slack://own") {
				own++
			} else {
				hang = append(hang, s)
			}
		}
		if len(hang) != maxAtOnce || own != 1 {
			t.Errorf("%q hang, %d sent to the other", hang, own)
		}
		began := time.Now()
		o.close()
		if took := time.Since(began); took > stopWithin {
			t.Errorf("stopping took %s", took)
		}
		left, _ := o.ledger.As("b").ClaimNotices(t.Context(), 100, time.Hour) // those that hung, and others that wait for their turn
		for _, h := range hang {
			if !slices.ContainsFunc(left, func(n medispatcher.Notice) bool { return strings.Contains(h, " "+n.Subscription+":") }) {
				t.Errorf("%q is not left to the others at once", h)
			}
		}
	})
}

// TestTwoNotifiers: one of them sends each notice. If one dies with a notice, another sends it.
func TestTwoNotifiers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ledger := streamstest.NewLedger()
		a, b := openOffice(t, "a", ledger, "slack://x"), openOffice(t, "b", ledger, "slack://x")
		for i := range 40 {
			a.add(fmt.Sprint(i))
			b.add(fmt.Sprint(i))
			a.raise(fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		if n := len(a.all()) + len(b.all()); n != 40 {
			t.Errorf("%d sent", n)
		}
		// A third one claims a notice and dies.
		a.raise("s")
		if n, _ := ledger.As("c").ClaimNotices(t.Context(), 10, claimFor); len(n) != 1 {
			t.Fatal("not claimed")
		}
		time.Sleep(claimFor + 2*time.Second)
		if n := len(a.all()) + len(b.all()); n != 41 {
			t.Errorf("%d sent", n)
		}
	})
}

// TestManyNoticesToOneReceiver: a receiver that takes its time gets all notices, however many there are at once, and holds up no other.
func TestManyNoticesToOneReceiver(t *testing.T) {
	t.Parallel()
	for _, takes := range []time.Duration{time.Second, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			o := openOffice(t, "a", streamstest.NewLedger(), "slack://x")
			o.fail = func(context.Context, string) error { time.Sleep(takes); return nil }
			const notices = 60
			for i := range notices {
				o.add(fmt.Sprint(i))
				o.raise(fmt.Sprint(i))
			}
			time.Sleep(time.Second)
			o.raise("own")
			time.Sleep(5 * time.Second)
			if list := o.all(); !slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, "slack://own") }) {
				t.Errorf("each takes %s: the one to another receiver is not among those sent: %q", takes, list)
			}
			time.Sleep(5 * time.Minute)
			if c := o.n.Counters(); len(o.all()) != notices+1 || c.Sent.Load() != notices+1 || c.Unsent.Load() != 0 {
				t.Errorf("each takes %s: of %d notices %d were sent, %d arrived and %d were given up", takes, notices+1, len(o.all()), c.Sent.Load(), c.Unsent.Load())
			}
		})
	}
}

func TestTestNotice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := openOffice(t, "a", streamstest.NewLedger(), "slack://x", "slack://hushhush")
		o.fail = func(_ context.Context, url string) error {
			if url == "slack://x" {
				return nil
			}
			return errors.New("no")
		}
		got := o.n.Test(t.Context(), "s", "PUB", "host-1")
		want := []medispatcher.Receipt{{Receiver: medispatcher.MaskAlertURL("slack://x"), Sent: true}, {Receiver: medispatcher.MaskAlertURL("slack://hushhush"), Error: "no"}}
		if !slices.Equal(got, want) {
			t.Errorf("%+v", got)
		}
		if got := o.n.Test(t.Context(), "own", "", ""); len(got) != 1 || !strings.HasSuffix(o.all()[2], "slack://own [ALERT] test own: this is a test; nothing is wrong") {
			t.Errorf("%+v %v", got, o.all())
		}
	})
}

// TestReceiversThatFailedAreForgotten: a receiver that nobody uses any more is not kept in mind.
func TestReceiversThatFailedAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := openOffice(t, "me", streamstest.NewLedger())
		o.fail = func(context.Context, string) error { return errors.New("refused") }
		for i := range 20 {
			_ = o.n.send(t.Context(), receiver{name: fmt.Sprint(i)}, "1", "title", "text")
			time.Sleep(restFor / 2)
		}
		if len(o.n.rests) > 3 {
			t.Errorf("%d receivers rest", len(o.n.rests))
		}
	})
}
