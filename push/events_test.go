package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// hanging is a log handler that takes no warning before mended is closed.
type hanging struct {
	slog.Handler
	mended chan struct{}
}

func (hanging) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (h hanging) Handle(context.Context, slog.Record) error {
	<-h.mended
	return nil
}

// unreadable is a queue in which one subscription's channel is not there: it can be neither read nor settled.
type unreadable struct {
	queue
	sub string
	now *atomic.Bool // it is so
}

var errUnreadable = fmt.Errorf("not a stream: %w", medispatcher.ErrGone)

func (u unreadable) Read(ctx context.Context, wants []medispatcher.Want) ([]medispatcher.Delivery, error) {
	var good []medispatcher.Want
	var bad error
	for _, w := range wants {
		if w.Subscription == u.sub && u.now.Load() {
			bad = errors.Join(bad, &medispatcher.ChannelError{Channel: w.Channel, Err: errUnreadable})
		} else {
			good = append(good, w)
		}
	}
	deliveries, err := u.queue.Read(ctx, good)
	return deliveries, errors.Join(bad, err)
}

func (u unreadable) Delete(ctx context.Context, p int, done []medispatcher.Settlement) (int64, error) {
	for i := range done {
		if done[i].Subscription == u.sub && u.now.Load() {
			return 0, errUnreadable
		}
	}
	return u.queue.Delete(ctx, p, done)
}

// TestHangingLogStopsNoOtherLane: whatever is wrong with one channel, and however long its log line takes, the messages
// of another channel in the same partition are delivered and settled.
func TestHangingLogStopsNoOtherLane(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(f *fixture, unreadable *atomic.Bool){
		"cannot be read": func(f *fixture, unreadable *atomic.Bool) {
			unreadable.Store(true)
			f.put("bad", 1)
			time.Sleep(time.Second)
		},
		"cannot be settled": func(f *fixture, unreadable *atomic.Bool) {
			f.put("bad", 1)
			time.Sleep(500 * time.Millisecond) // it was read, and its worker has not answered
			unreadable.Store(true)
			time.Sleep(time.Second)
		},
		"settling fails": func(f *fixture, _ *atomic.Bool) {
			f.q.Fail = failOnce("delete")
			f.put("bad", 1)
			time.Sleep(2 * time.Second)
		},
		"due messages cannot be taken": func(f *fixture, _ *atomic.Bool) {
			f.q.Fail = failOnce("due", "read")
			f.put("bad", 1)
			f.s.RingDue([]medispatcher.Channel{{Subscription: "bad"}, {Subscription: "good"}})
		},
		"worker is down": func(f *fixture, _ *atomic.Bool) { f.put("bad", 50) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, subscription("bad"), subscription("good"))
				h := hanging{slog.DiscardHandler, make(chan struct{})}
				f.s.cfg.Log = slog.New(h)
				f.w.answer = func(r *http.Request) (int, time.Duration) {
					if r.URL.Host == "good" && r.Header.Get("medis-attempt") == "1" {
						return 500, 0 // so that due messages are asked for
					}
					if r.URL.Host == "good" || name != "worker is down" {
						return 200, time.Second
					}
					return 500, 0
				}
				var bad atomic.Bool
				f.queue(unreadable{*f.s.queue, "bad", &bad})
				stop := f.run()
				put(f, &bad)
				f.put("good", 8)
				time.Sleep(20 * time.Second)
				f.wantLeft("good", "map[]")
				close(h.mended)
				f.ok(stop())
			})
		})
	}
}

// TestEventHandlersMayCallTheScheduler: no mutex is held while somebody is told something.
func TestEventHandlersMayCallTheScheduler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dropped, dead, removed := subscription("dropped"), subscription("dead"), subscription("removed")
		dropped.URLs = []string{"[T_ENV:X]http://dropped/"}
		dead.MaxRetries = 0
		f, s, _ := newScarce(t, 1000, noDescriptor(), dropped, dead, removed, subscription("gone"))
		var unreadableNow atomic.Bool
		var mu sync.Mutex
		told := map[string]bool{}
		call := func(event string) {
			f.s.Inflight()
			f.s.Held()
			f.s.Bodies()
			f.s.Shortage()
			f.s.Stirred()
			f.s.Sweep()
			f.s.Ring([]medispatcher.Channel{{Subscription: "gone"}})
			f.s.RingDue([]medispatcher.Channel{{Subscription: "gone"}})
			f.apply(f.subs)
			mu.Lock()
			defer mu.Unlock()
			told[event] = true
		}
		f.s.cfg.Events = Events{
			Dropping:  func(*medispatcher.Delivery, *medispatcher.Settlement) error { call("dropping"); return nil },
			Settled:   func(*medispatcher.Delivery, *medispatcher.Settlement) { call("settled") },
			Unsettled: func(*medispatcher.Settlement, error) { call("unsettled"); unreadableNow.Store(false) },
			Gone:      func(*medispatcher.Subscription) { call("gone") },
			Breaker:   func(string, bool, string) { call("breaker") },
			Short:     func(string) { call("short") },
		}
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			switch r.URL.Host {
			case "gone":
				return 410, 0
			case "dead":
				return 500, 0
			}
			return 200, 0
		}
		f.queue(unreadable{*f.s.queue, "removed", &unreadableNow})
		stop := f.run()
		s.become(0)
		f.put("removed", 1)
		time.Sleep(time.Second)
		unreadableNow.Store(true) // its message was read and waits for this machine
		s.become(1000)
		f.put("dropped", 1)
		f.put("dead", 50)
		f.put("gone", 1)
		time.Sleep(20 * time.Second)
		f.ok(stop())
		for _, event := range []string{"dropping", "settled", "unsettled", "gone", "breaker", "short"} {
			if !told[event] {
				t.Errorf("%s was not told", event)
			}
		}
	})
}
