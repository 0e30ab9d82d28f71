package push

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// panicking is a Tracer that panics at some attempts, before they are made or when they end.
type panicking func() (before, after bool)

func (p panicking) Attempt(*medispatcher.Delivery, string, http.Header) func(int, string) {
	before, after := p()
	if before {
		panic("before")
	}
	return func(int, string) {
		if after {
			panic("after")
		}
	}
}

// TestNothingIsHeldAfterAnything: while steps fail and replies are lost, workers refuse in bursts, attempts panic, and
// subscriptions are paused, removed and changed, all in any order. Afterwards every message is delivered and nothing is
// held. A dispatcher that stops in the middle leaves nothing behind.
func TestNothingIsHeldAfterAnything(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { storm(t, seed) })
		})
	}
}

func storm(t *testing.T, seed uint64) {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 47))
	over := false
	// of reports true once in n times until the storm is over.
	of := func(n int) bool { mu.Lock(); defer mu.Unlock(); return random.IntN(n) == 0 && !over }
	dice := func(n int) int { mu.Lock(); defer mu.Unlock(); return random.IntN(n) }

	var subs []medispatcher.Subscription
	for _, id := range []string{"a", "b"} {
		sub := subscription(id)
		sub.RetryCoefficient, sub.MaxRetries = medispatcher.Duration(time.Millisecond), 100_000
		subs = append(subs, sub)
	}
	f := newFixture(t, subs...)
	f.s.workers.poster.tracer = panicking(func() (before, after bool) { return of(50), of(50) })
	down := false
	f.w.answer = func(*http.Request) (int, time.Duration) {
		if of(100) {
			mu.Lock()
			down = !down
			mu.Unlock()
		}
		mu.Lock()
		refuses := down && !over
		mu.Unlock()
		if refuses || of(20) {
			return 500, time.Duration(dice(2)) * time.Millisecond
		}
		return 200, time.Duration(dice(5)) * time.Millisecond
	}
	f.q.Fail = func(string) error {
		if of(15) {
			return errors.New("connection lost")
		}
		return nil
	}
	slow := func(string) { time.Sleep(time.Duration(dice(2000)) * time.Microsecond) }
	f.hook(slow, slow)
	stop := f.run()
	for range 500 {
		sub := string(rune('a' + dice(2)))
		switch dice(8) {
		case 0:
			f.change(sub, func(s *medispatcher.Subscription) { s.Paused = !s.Paused })
		case 1:
			f.change(sub, func(s *medispatcher.Subscription) { s.Concurrency, s.RetryConcurrency = 1+dice(8), 1+dice(4) })
		case 2:
			f.change(sub, func(s *medispatcher.Subscription) {
				s.Interval = medispatcher.Duration(dice(2)) * medispatcher.Duration(time.Millisecond)
			})
		case 3:
			others := map[string]medispatcher.Subscription{}
			for id, s := range f.subs {
				if id != sub {
					others[id] = s
				}
			}
			f.apply(others)
			time.Sleep(time.Duration(dice(4)) * time.Millisecond)
			f.apply(f.subs)
		case 4:
			c := medispatcher.Channel{Subscription: sub}
			wants, took := f.s.Hand([]medispatcher.Want{{Channel: c, Max: 1 + dice(4)}}, 1)
			f.q.Put(c, medispatcher.Message{Topic: "t"})
			if took != nil {
				go func() { took(f.s.queue.Read(t.Context(), wants)) }()
			}
		default:
			f.put(sub, dice(40))
		}
		time.Sleep(time.Duration(dice(4)) * time.Millisecond)
	}
	mu.Lock()
	over = true
	mu.Unlock()
	if seed%2 == 1 {
		f.ok(stop())
		for _, sub := range subs {
			if left := f.q.Left(medispatcher.Channel{Subscription: sub.ID}); left["mine"] != 0 {
				t.Errorf("left in %s after the end: %v", sub.ID, left)
			}
		}
		return
	}
	for _, sub := range subs {
		f.change(sub.ID, func(s *medispatcher.Subscription) { s.Paused = false })
	}
	time.Sleep(10 * time.Minute)
	for _, sub := range subs {
		f.wantLeft(sub.ID, "map[]")
	}
	f.wantNothingHeld()
	f.ok(stop())
}

// TestEntryReadAgain: somebody removed the consumer group by hand, so an entry whose attempt is under way is read once more.
// The attempt goes on, and its slot is free again at the end.
func TestEntryReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, time.Second }
		stop := f.run()
		copies := []medispatcher.Want{{Channel: medispatcher.Channel{Subscription: "a"}, Max: 1}}
		f.q.Put(copies[0].Channel, medispatcher.Message{Topic: "t"})
		got, err := f.q.Read(t.Context(), copies)
		f.ok(err)
		for range 2 {
			_, took := f.s.Hand(copies, 1)
			took(got, nil)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		f.wantOnce("a")
		f.wantLeft("a", "map[]")
		f.wantNothingHeld()
		f.ok(stop())
	})
}

// TestSlotsThatAReadDidNotUse: a channel that found all slots reserved for another of its subscription is read as soon as
// that other one turns out to be empty.
func TestSlotsThatAReadDidNotUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.Concurrency = 1
		f := newFixture(t)
		f.s = New(Config{Partitions: 2, Client: clientOf(t, f.w), Log: slog.New(slog.DiscardHandler), ShutdownTimeout: time.Second, SweepEvery: time.Hour}, f.q, f.q)
		f.subs[sub.ID] = sub
		f.apply(f.subs)
		stop := f.run()
		_, took := f.s.Hand([]medispatcher.Want{{Channel: medispatcher.Channel{Subscription: "a"}, Max: 1}}, 1)
		other := medispatcher.Channel{Partition: 1, Subscription: "a"}
		f.q.Put(other, medispatcher.Message{Topic: "t"})
		f.s.Ring([]medispatcher.Channel{other})
		synctest.Wait()
		took(nil, nil)
		synctest.Wait()
		if n := len(f.w.of("a")); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		time.Sleep(time.Second)
		f.ok(stop())
	})
}

// TestLoweredConcurrencyEndsWorkers: workers beyond a lowered limit do not wait for messages, with their connections, as long
// as there are some.
func TestLoweredConcurrencyEndsWorkers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, time.Millisecond }
		stop := f.run()
		f.put("a", 10_000)
		time.Sleep(100 * time.Millisecond)
		f.change("a", func(s *medispatcher.Subscription) { s.Concurrency = 1 })
		time.Sleep(time.Second)
		f.s.lanes.mu.Lock()
		if a := f.s.lanes.subs["a"]; len(a.parked)+a.fresh.sending() > 1 || a.fresh.ahead.len() == 0 {
			t.Errorf("%d workers wait and %d send in one slot, %d messages are read ahead", len(a.parked), a.fresh.sending(), a.fresh.ahead.len())
		}
		f.s.lanes.mu.Unlock()
		f.ok(stop())
	})
}
