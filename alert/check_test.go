package alert

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

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
