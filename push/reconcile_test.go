package push

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// TestLostReplyUnderLoad: what a lost reply took is found although the channel is read
// all the time, so that Redis is never asked between two reads.
func TestLostReplyUnderLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, 4 * time.Millisecond }
		reads, lose := 0, errors.New("connection lost")
		f.q.Fail = func(step string) error {
			switch step {
			case "read":
				time.Sleep(1700 * time.Microsecond) // on its way
			case "read reply":
				if reads++; reads == 100 {
					return lose
				}
			}
			return nil
		}
		stop := f.run()
		const n = 20_000 // more than can be delivered while this waits
		f.put("a", n)
		time.Sleep(6 * time.Second)
		left := f.q.Left(medispatcher.Channel{Subscription: "a"})
		if known := f.s.Inflight(); left["ready"] == 0 || left["mine"] > known {
			t.Errorf("%v in the channel, and only %d in flight are known", left, known)
		}
		f.ok(stop())
	})
}

// TestReadThatOutlastsTheComparison: a read that was under way before Redis was asked,
// and took its entries after, is not taken for one that is over.
func TestReadThatOutlastsTheComparison(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		held := make(chan struct{})
		var reads atomic.Int32
		f.q.Fail = func(step string) error {
			if step == "read" && reads.Add(1) == 1 {
				<-held // until Redis was asked
			}
			if step == "read reply" && reads.Load() == 1 {
				return errors.New("connection lost")
			}
			return nil
		}
		f.s.queue.Reader = slowMine{f.s.queue.Reader, held}
		stop := f.run()
		f.put("a", 3)
		time.Sleep(30 * time.Second)
		f.wantLeft("a", "map[]")
		if got := len(f.w.of("a")); got != 3 {
			t.Errorf("%d deliveries, want 3", got)
		}
		f.ok(stop())
	})
}

// slowMine lets the held read go on between Redis's answer to Mine and its arrival.
type slowMine struct {
	Reader
	held chan struct{}
}

func (r slowMine) Mine(ctx context.Context, c []medispatcher.Channel, limit int) []medispatcher.Mine {
	mine := r.Reader.Mine(ctx, c, limit)
	select {
	case <-r.held:
	default:
		close(r.held)
		time.Sleep(time.Millisecond)
	}
	return mine
}

// TestDueBeforeItsOutcomeIsKnown: the step that settled an attempt ran, its reply was
// lost, and the message is due before the step is repeated. The next attempt is made once.
func TestDueBeforeItsOutcomeIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.RetryCoefficient = medispatcher.Duration(time.Millisecond)
		f := newFixture(t, sub)
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			if r.Header.Get("medis-attempt") == "1" {
				return 500, 0
			}
			return 200, time.Second
		}
		f.q.Fail = failOnce("retry reply")
		stop := f.run()
		f.put("a", 1)
		time.Sleep(10 * time.Millisecond)
		f.s.Sweep()                 // finds it due
		time.Sleep(2 * time.Second) // no comparison with Redis is needed
		f.wantLeft("a", "map[]")
		if got := f.w.of("a"); len(got) != 2 || got[1].attempt != "2" {
			t.Errorf("requests %+v, want the attempts 1 and 2", got)
		}
		f.ok(stop())
	})
}

// TestLostReplyIsFoundSoon: what a lost reply took is found as soon as reads work again, and need not wait for a sweep.
func TestLostReplyIsFoundSoon(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"read", "due"} {
		synctest.Test(t, func(t *testing.T) {
			sub := subscription("a")
			sub.RetryCoefficient = medispatcher.Duration(time.Millisecond)
			f := newFixture(t, sub)
			f.s.cfg.SweepEvery = time.Hour
			f.w.answer = func(r *http.Request) (int, time.Duration) {
				if r.Header.Get("medis-attempt") == "1" {
					return 500, 0
				}
				return 200, 0
			}
			if step == "read" {
				f.q.Fail = failOnce("read reply")
			} else {
				f.s.queue.Reader = &lostDue{Reader: f.s.queue.Reader}
			}
			stop := f.run()
			f.put("a", 1)
			time.Sleep(time.Second)
			if left := f.q.Left(medispatcher.Channel{Subscription: "a"}); len(left) > 0 {
				t.Errorf("after a lost reply of %s: %v", step, left)
			}
			f.ok(stop())
		})
	}
}

// lostDue loses the first reply that brings due messages.
type lostDue struct {
	Reader
	lost bool
}

func (r *lostDue) Due(ctx context.Context, p int, wants []medispatcher.Want) ([]medispatcher.Delivery, []time.Duration, error) {
	list, next, err := r.Reader.Due(ctx, p, wants)
	if len(list) > 0 && !r.lost {
		r.lost = true
		return nil, nil, errors.New("connection lost")
	}
	return list, next, err
}
