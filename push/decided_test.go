package push

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// TestDroppedOnlyOnceItIsWrittenDown: a message whose line cannot be written becomes a dead letter, and the event says so.
func TestDroppedOnlyOnceItIsWrittenDown(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	for _, c := range []struct {
		name, action string
		urls         []string
		fails        error
		left, record string
	}{
		{"written", medispatcher.DropLog, nil, nil, "map[]", ""},
		{"not written", medispatcher.DropLog, nil, full, "map[dead:1]", "2 status 500: answer; kept as a dead letter: it was to be dropped, but its log line cannot be written: no space left on device"},
		{"no URL, written", medispatcher.DropKeep, []string{"[T_ENV:X]http://a/"}, nil, "map[]", ""},
		{"no URL, not written", medispatcher.DropKeep, []string{"[T_ENV:X]http://a/"}, full, "map[dead:1]", "0 no worker URL of the subscription is for this environment; kept as a dead letter"},
	} {
		synctest.Test(t, func(t *testing.T) {
			sub := subscription("a")
			sub.Drop = medispatcher.DropPolicy{Threshold: 2, Action: c.action}
			if c.urls != nil {
				sub.URLs = c.urls
			}
			f := newFixture(t, sub)
			var told []string
			f.s.cfg.Events.Dropping = func(_ *medispatcher.Delivery, s *medispatcher.Settlement) error {
				told = append(told, "dropping "+s.Outcome.String())
				return c.fails
			}
			f.s.cfg.Events.Settled = func(_ *medispatcher.Delivery, s *medispatcher.Settlement) {
				if s.Outcome == medispatcher.Failed {
					return
				}
				told = append(told, s.Outcome.String())
				if c.record != "" && !strings.HasPrefix(fmt.Sprint(s.Failure.Attempts, " ", s.Failure.LastError), c.record) {
					t.Errorf("%s: record %+v, want %s", c.name, s.Failure, c.record)
				}
			}
			f.w.answer = func(*http.Request) (int, time.Duration) { return 500, 0 }
			stop := f.run()
			f.put("a", 1)
			time.Sleep(time.Hour)
			synctest.Wait()
			f.wantLeft("a", c.left)
			want := "[dropping dropped dropped]"
			if c.fails != nil {
				want = "[dropping dropped dead]"
			}
			if fmt.Sprint(told) != want {
				t.Errorf("%s: told %v, want %s", c.name, told, want)
			}
			f.ok(stop())
		})
	}
}

// TestSettlementCarriesWhatItWasDecidedBy: the settings change while the attempt is under way.
func TestSettlementCarriesWhatItWasDecidedBy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.Drop = medispatcher.DropPolicy{Threshold: 1, Action: medispatcher.DropLog}
		f := newFixture(t, sub)
		var by []string
		f.s.cfg.Events.Settled = func(_ *medispatcher.Delivery, s *medispatcher.Settlement) {
			by = append(by, s.Outcome.String()+" by "+s.By.Drop.Action)
		}
		f.w.answer = func(*http.Request) (int, time.Duration) { return 500, time.Second }
		stop := f.run()
		f.put("a", 1)
		time.Sleep(100 * time.Millisecond)
		f.change("a", func(s *medispatcher.Subscription) { s.Drop.Action = medispatcher.DropKeep })
		time.Sleep(time.Minute)
		synctest.Wait()
		if fmt.Sprint(by) != "[dropped by log]" {
			t.Error(by)
		}
		f.ok(stop())
	})
}

// TestGoneBySettingsOfBefore: a 410 from a URL that is not in force any more says nothing.
func TestGoneBySettingsOfBefore(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(f *fixture){
		"other URL": func(f *fixture) {
			f.change("a", func(s *medispatcher.Subscription) { s.URLs = []string{"http://b/"} })
		},
		"paused and resumed": func(f *fixture) {
			f.change("a", func(s *medispatcher.Subscription) { s.Paused = true })
			f.change("a", func(s *medispatcher.Subscription) { s.Paused = false })
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, subscription("a"))
			var gone atomic.Int32
			f.s.cfg.Events.Gone = func(*medispatcher.Subscription) { gone.Add(1) }
			f.w.answer = func(*http.Request) (int, time.Duration) { return 410, time.Second }
			stop := f.run()
			f.put("a", 1)
			time.Sleep(100 * time.Millisecond)
			change(f)
			time.Sleep(time.Second)
			synctest.Wait()
			if gone.Load() != 0 {
				t.Errorf("%s: Gone was told of settings that are not in force any more", name)
			}
			time.Sleep(time.Minute) // the next attempt asks by the present settings
			synctest.Wait()
			if gone.Load() == 0 {
				t.Errorf("%s: Gone was not told of the settings in force", name)
			}
			f.ok(stop())
		})
	}
}

// TestBreakerOfFormerURLs: attempts under way at a URL that was replaced fail. The breaker of the new
// URL is closed. An event that it opened would be wrong, and no event that it closed would follow.
func TestBreakerOfFormerURLs(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(f *fixture){
		"other URL": func(f *fixture) {
			f.change("a", func(s *medispatcher.Subscription) { s.URLs = []string{"http://b/"} })
		},
		"removed": func(f *fixture) {
			delete(f.subs, "a")
			f.apply(f.subs)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			sub := subscription("a")
			sub.Concurrency = 20
			f := newFixture(t, sub)
			f.w.answer = func(r *http.Request) (int, time.Duration) {
				if r.URL.Host == "b" {
					return 200, 0
				}
				return 503, time.Second
			}
			stop := f.run()
			f.put("a", 20)
			time.Sleep(100 * time.Millisecond)
			change(f)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if _, breakers := f.told(); len(breakers) != 0 || len(f.s.Held()) != 0 {
				t.Errorf("%s: told %v, held %v", name, breakers, f.s.Held())
			}
			f.ok(stop())
		})
	}
}

// TestNothingIsToldUnderTheMutex: an event handler may ask the scheduler.
func TestNothingIsToldUnderTheMutex(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		var held []string
		f.s.cfg.Events.Breaker = func(sub string, open bool, _ string) {
			held = append(held, fmt.Sprint(sub, open, len(f.s.Held())))
		}
		f.w.answer = func(*http.Request) (int, time.Duration) { return 503, time.Millisecond }
		stop := f.run()
		f.put("a", 20)
		time.Sleep(time.Second)
		synctest.Wait()
		delete(f.subs, "a")
		f.apply(f.subs)
		f.s.news.wait(t.Context())
		if got := fmt.Sprint(held); got != "[atrue 1 afalse 0]" {
			t.Error(got)
		}
		f.ok(stop())
	})
}

// TestPanicOfWhoIsToldOfABreaker: after a handler panicked, the next news is told.
func TestPanicOfWhoIsToldOfABreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		var told []string
		f.s.cfg.Events.Breaker = func(sub string, open bool, _ string) {
			told = append(told, fmt.Sprint(sub, open))
			if open {
				panic("a defect")
			}
		}
		f.w.answer = func(*http.Request) (int, time.Duration) { return 503, time.Millisecond }
		stop := f.run()
		f.put("a", 20)
		time.Sleep(time.Second)
		synctest.Wait()
		delete(f.subs, "a")
		f.apply(f.subs)
		f.s.news.wait(t.Context())
		if got := fmt.Sprint(told); got != "[atrue afalse]" {
			t.Error(got)
		}
		f.ok(stop())
	})
}

// TestGoneIsToldOnce: 64 attempts at once are answered 410, and so are their retries. The next change of the subscription
// makes it news again.
func TestGoneIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.Concurrency, sub.RetryCoefficient = 64, medispatcher.Duration(time.Second)
		f := newFixture(t, sub)
		f.w.answer = func(*http.Request) (int, time.Duration) { return 410, time.Second }
		stop := f.run()
		f.put("a", 64)
		time.Sleep(time.Minute)
		if gone, _ := f.told(); len(gone) != 1 {
			t.Errorf("told %d times", len(gone))
		}
		f.change("a", func(s *medispatcher.Subscription) { s.Concurrency = 32 })
		time.Sleep(time.Minute)
		if gone, _ := f.told(); len(gone) != 2 {
			t.Errorf("told %d times after a change, want once more", len(gone))
		}
		f.ok(stop())
	})
}
