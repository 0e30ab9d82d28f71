package push

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// hooked is a queue that a test holds up on the way there and on the way back.
type hooked struct {
	Reader
	Settler

	before func(step string)
	after  func(step string)
}

func (f *fixture) hook(before, after func(step string)) {
	none := func(string) {}
	h := &hooked{f.s.queue.Reader, f.s.queue.Settler, before, after}
	if before == nil {
		h.before = none
	}
	if after == nil {
		h.after = none
	}
	f.queue(h)
}

func (h *hooked) around(step string) func() { h.before(step); return func() { h.after(step) } }

func (h *hooked) Read(ctx context.Context, w []medispatcher.Want) ([]medispatcher.Delivery, error) {
	defer h.around("read")()
	return h.Reader.Read(ctx, w)
}

func (h *hooked) Due(ctx context.Context, p int, w []medispatcher.Want) ([]medispatcher.Delivery, []time.Duration, error) {
	defer h.around("due")()
	return h.Reader.Due(ctx, p, w)
}

func (h *hooked) Mine(ctx context.Context, c []medispatcher.Channel, limit int) []medispatcher.Mine {
	defer h.around("mine")()
	return h.Reader.Mine(ctx, c, limit)
}

func (h *hooked) Delete(ctx context.Context, p int, s []medispatcher.Settlement) (int64, error) {
	defer h.around("delete")()
	return h.Settler.Delete(ctx, p, s)
}

func (h *hooked) Retry(ctx context.Context, p int, s []medispatcher.Settlement) error {
	defer h.around("retry")()
	return h.Settler.Retry(ctx, p, s)
}

func (h *hooked) Kill(ctx context.Context, p int, s []medispatcher.Settlement) error {
	defer h.around("kill")()
	return h.Settler.Kill(ctx, p, s)
}

func (h *hooked) Release(ctx context.Context, c medispatcher.Channel, ids []string, leave bool) error {
	defer h.around("release")()
	return h.Settler.Release(ctx, c, ids, leave)
}

func (h *hooked) LeaveChannels(ctx context.Context, c []medispatcher.Channel) error {
	defer h.around("leave")()
	return h.Settler.LeaveChannels(ctx, c)
}

// once runs do at the first of some steps.
func once(step string, do func()) func(string) {
	var o sync.Once
	return func(s string) {
		if s == step {
			o.Do(do)
		}
	}
}

// wantOnce checks that no attempt at a message was made twice.
func (f *fixture) wantOnce(sub string) {
	f.t.Helper()
	made := map[string]int{}
	for _, a := range f.w.of(sub) {
		if made[a.id+" attempt "+a.attempt]++; made[a.id+" attempt "+a.attempt] == 2 {
			f.t.Errorf("%s: attempt %s at %s was made twice", sub, a.attempt, a.id)
		}
	}
}

// TestTakenAgainWhileTheAnswerIsOld: Redis says what this process owns; before that arrives the entry is settled. It is
// due again, and the read that takes it is under way, when the comparison comes to its end.
func TestTakenAgainWhileTheAnswerIsOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.RetryCoefficient = medispatcher.Duration(20 * time.Millisecond)
		f := newFixture(t, sub)
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			if r.Header.Get("medis-attempt") == "1" {
				return 500, 10 * time.Millisecond
			}
			return 200, time.Second
		}
		put := false
		oldAnswer := once("mine", func() { time.Sleep(15 * time.Millisecond) }) // the entry is settled meanwhile
		dues := 0
		f.hook(nil, func(step string) {
			oldAnswer(step)
			if step == "due" && put {
				if dues++; f.left("a") == "map[mine:1]" && dues < 5 {
					time.Sleep(200 * time.Millisecond) // the reply of the read that took it is on its way
				}
			}
		})
		put = true
		stop := f.run()
		time.Sleep(time.Second)
		f.put("a", 1)
		time.Sleep(time.Millisecond)
		f.s.Sweep()
		time.Sleep(10 * time.Second)
		f.wantOnce("a")
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}

// TestTakenFromThisProcessAndFoundDue: another dispatcher, which thinks this one dead, gives back an entry that a lost
// reply took. A due read that found it is under way while this process releases it.
func TestTakenFromThisProcessAndFoundDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, time.Second }
		f.q.Fail = failOnce("read reply")
		c := medispatcher.Channel{Subscription: "a"}
		kick := once("release", func() {
			_ = f.q.Release(t.Context(), c, []string{"1-0"}, false) // the other dispatcher
			f.s.RingDue([]medispatcher.Channel{c})
			time.Sleep(10 * time.Millisecond) // the due read takes it, and its reply is on its way
		})
		f.hook(kick, func(step string) {
			if step == "due" {
				time.Sleep(100 * time.Millisecond)
			}
		})
		stop := f.run()
		f.put("a", 1)
		time.Sleep(30 * time.Second)
		f.wantOnce("a")
		f.wantLeft("a", "map[]")
		if n := len(f.w.of("a")); n != 1 {
			t.Errorf("%d deliveries, want 1", n)
		}
		f.ok(stop())
	})
}

// TestReleasedTwice: the reply of the step that released an entry is lost, and this process has taken the entry
// again when the step is repeated.
func TestReleasedTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		c := medispatcher.Channel{Subscription: "a"}
		lost := failOnce("release reply")
		f.q.Fail = func(step string) error {
			err := lost(step)
			if err != nil {
				f.s.RingDue([]medispatcher.Channel{c})
			}
			return err
		}
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, time.Second }
		stop := f.run()
		f.put("a", 0)
		time.Sleep(time.Second)
		f.q.Put(c, medispatcher.Message{Topic: "t"})
		deliveries, err := f.q.Read(t.Context(), []medispatcher.Want{{Channel: c, Max: 1}})
		f.ok(err)
		f.s.lanes.mu.Lock() // a message whose breaker opened before its attempt began
		l := f.s.lanes.laneLocked(c)
		f.s.lanes.touched[c] = l
		l.fresh.begin()
		l.fresh.end()
		j := &job{Delivery: deliveries[0], lane: l}
		l.took(j.EntryID, j)
		f.s.workers.giveBackLocked(j)
		f.s.lanes.mu.Unlock()
		time.Sleep(30 * time.Second)
		f.wantOnce("a")
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}

// TestPutAgainWhileInFlight: a subscription vanishes from the list and is there again, its channel as it was. What
// is in flight belongs to the same process still.
func TestPutAgainWhileInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.Timeout = medispatcher.Duration(time.Minute)
		f := newFixture(t, sub)
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, 30 * time.Second }
		stop := f.run()
		f.put("a", 3)
		time.Sleep(time.Second)
		f.apply(map[string]medispatcher.Subscription{})
		f.apply(f.subs)
		f.put("a", 1) // it is read again, and so compared
		time.Sleep(time.Minute)
		f.wantOnce("a")
		f.wantLeft("a", "map[]")
		if n := f.s.Inflight(); n != 0 {
			t.Errorf("%d in flight at the end", n)
		}
		f.ok(stop())
	})
}

// TestNothingTwiceAtRandom: steps that take their time on the way there and back, failures that are due at once, and
// comparisons all the time: without a fault no attempt is made twice.
func TestNothingTwiceAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				random := rand.New(rand.NewPCG(seed, 13))
				upTo := func(d time.Duration) time.Duration {
					mu.Lock()
					defer mu.Unlock()
					if random.IntN(4) == 0 {
						d *= 20
					}
					return time.Duration(random.Int64N(int64(d)))
				}
				sub := subscription("a")
				sub.RetryCoefficient, sub.RetryConcurrency, sub.MaxRetries = medispatcher.Duration(time.Millisecond), 6, 4
				other := sub
				other.ID, other.URLs = "b", []string{"http://b/"}
				f := newFixture(t, sub, other)
				f.w.answer = func(*http.Request) (int, time.Duration) {
					if upTo(100) < 40 {
						return 500, upTo(5 * time.Millisecond)
					}
					return 200, upTo(5 * time.Millisecond)
				}
				f.hook(func(string) { time.Sleep(upTo(2 * time.Millisecond)) }, func(string) { time.Sleep(upTo(4 * time.Millisecond)) })
				stop := f.run()
				for range 300 {
					f.put("a", 2)
					f.put("b", 1)
					f.s.Sweep()
					time.Sleep(upTo(3 * time.Millisecond))
				}
				for range 600 {
					f.s.Sweep()
					time.Sleep(10 * time.Millisecond)
				}
				f.wantOnce("a")
				f.wantOnce("b")
				f.ok(stop())
			})
		})
	}
}

// TestNothingTwiceThoughRepliesAreLost is the same with lost replies of reads: what they took is found and delivered.
func TestNothingTwiceThoughRepliesAreLost(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(seed, 31))
			dice := func(n int) int { mu.Lock(); defer mu.Unlock(); return random.IntN(n) }
			sub := subscription("a")
			sub.RetryCoefficient, sub.RetryConcurrency = medispatcher.Duration(time.Millisecond), 6
			sub.MaxRetries = 1000 // a third of the attempts fail, and no message may be dead at the end
			f := newFixture(t, sub)
			f.w.answer = func(*http.Request) (int, time.Duration) {
				return []int{200, 200, 500}[dice(3)], time.Duration(dice(5)) * time.Millisecond
			}
			f.q.Fail = func(step string) error {
				if step == "read reply" && dice(10) == 0 {
					return errors.New("connection lost")
				}
				return nil
			}
			f.hook(func(string) { time.Sleep(time.Duration(dice(2000)) * time.Microsecond) }, func(string) { time.Sleep(time.Duration(dice(4000)) * time.Microsecond) })
			stop := f.run()
			for range 200 {
				f.put("a", 2)
				time.Sleep(time.Duration(dice(3)) * time.Millisecond)
			}
			time.Sleep(time.Minute)
			f.wantOnce("a")
			f.ok(stop())
			f.wantLeft("a", "map[]")
		})
	}
}

// queue puts another queue in the place of the one there is.
func (f *fixture) queue(q interface {
	Reader
	Settler
}) {
	*f.s.queue = queue{q, q}
}
