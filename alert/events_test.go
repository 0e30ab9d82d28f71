package alert

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

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
		sc.events.Breaker("s", true, "")
		sc.after(time.Second, "alert breaker:s 1")
		// The breaker of another dispatcher opens, and that dispatcher dies.
		_, _, err := sc.ledger.As("b").RaiseAlert(t.Context(), medispatcher.Alert{Rule: medispatcher.RuleBreaker, Subscription: "s", Value: 1}, 3*time.Minute, []string{"b"}, false)
		if err != nil {
			t.Fatal(err)
		}
		sc.after(2*time.Minute, "alert breaker:s 1") // this one's is held all the time
		sc.events.Breaker("s", false, "")
		sc.after(tenRounds, "alert breaker:s 1", "recovered breaker:s 1")

		sc.events.Breaker("s", true, "")
		sc.after(3*time.Minute, "alert breaker:s 1", "recovered breaker:s 1", "alert breaker:s 1")
		sc.ledger.Flush() // Redis lost everything
		sc.after(10*time.Second, "alert breaker:s 1")
	})
}

// TestBreakerOfAProxy: the alert names the proxy that is to blame, and not the worker.
func TestBreakerOfAProxy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		sc.events.Breaker("s", true, "10.0.0.1:3128")
		sc.after(time.Second, "alert breaker:s 1")
		all, _ := sc.ledger.Alerts(t.Context())
		if line := all.Last[0].Line; !strings.HasSuffix(line, "the push proxy 10.0.0[.]1:3128 lets no message through, so messages wait") {
			t.Error(line)
		}
		sc.events.Breaker("s", false, "10.0.0.1:3128")
		sc.after(tenRounds, "alert breaker:s 1", "recovered breaker:s 1")
		all, _ = sc.ledger.Alerts(t.Context())
		if line := all.Last[0].Line; !strings.HasSuffix(line, "the push proxy lets messages through again") {
			t.Error(line)
		}
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
