package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// fakeSubscriptions is one subscription in a Redis that answers after a while. It counts the changes, and the
// alerts of 410s.
type fakeSubscriptions struct {
	takes          time.Duration
	hangs          time.Time // until then
	now            medispatcher.Subscription
	err            error
	paused, alerts int
}

func (f *fakeSubscriptions) Get(ctx context.Context, _ string) (medispatcher.Subscription, string, error) {
	if !medispatcher.Sleep(ctx, max(f.takes, time.Until(f.hangs))) {
		return medispatcher.Subscription{}, "", ctx.Err()
	}
	return f.now, "1", f.err
}

func (f *fakeSubscriptions) Patch(ctx context.Context, _ string, patch []byte, rev string) (medispatcher.Subscription, string, error) {
	if string(patch) != `{"paused":true}` || rev != "1" || !strings.Contains(medispatcher.Actor(ctx), "dispatcher me: its worker answered 410") {
		return f.now, "", errors.New("not the change that pauses")
	}
	if f.now.Paused {
		return f.now, "", medispatcher.ErrPrecondition
	}
	f.paused++
	f.now.Paused = true
	return f.now, "2", nil
}

func (f *fakeSubscriptions) Gone(context.Context, *medispatcher.Subscription) { f.alerts++ }

// TestPauser: a burst of 410s makes one pause. Reporting a 410 does not block, and one that is reported just before the
// end counts.
func TestPauser(t *testing.T) {
	asked := medispatcher.Subscription{ID: "a", Topic: "t"}
	changed := asked
	changed.Topic = "u"
	for name, c := range map[string]struct {
		redis  fakeSubscriptions
		paused int           // times
		took   time.Duration // to stop
		log    string
	}{
		"paused":          {fakeSubscriptions{now: asked, takes: time.Second}, 1, time.Second, "subscription paused: its worker"},
		"changed since":   {fakeSubscriptions{now: changed}, 0, 0, ""},
		"removed since":   {fakeSubscriptions{now: asked, err: medispatcher.ErrNotFound}, 0, 0, ""},
		"Redis fails":     {fakeSubscriptions{now: asked, err: errors.New("no")}, 0, 0, "could not be paused"},
		"Redis hangs":     {fakeSubscriptions{now: asked, takes: time.Hour}, 0, lastStepsTimeout, "could not be paused"},
		"slower than all": {fakeSubscriptions{now: asked, takes: 2 * time.Second}, 1, 2 * time.Second, "subscription paused"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				redis := c.redis
				p := newPauser("me", &redis, &redis, slog.New(slog.NewTextHandler(&log, nil)))
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				began := time.Now()
				for range 64 {
					p.gone(&asked)
				}
				if time.Since(began) != 0 {
					t.Error("reporting one waits")
				}
				stop()
				go func() { ended <- p.Run(ctx) }()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
				if redis.paused != c.paused || redis.alerts != c.paused {
					t.Errorf("paused %d times with %d alerts, want %d", redis.paused, redis.alerts, c.paused)
				}
				if lines := strings.Count(log.String(), "level="); lines > 1 || (c.log != "") != (lines == 1) || !strings.Contains(log.String(), c.log) {
					t.Errorf("want one line with %q:\n%s", c.log, log.String())
				}
			})
		})
	}
}

// TestPauserTriesAgain: the scheduler need not report a 410 twice. The pause comes when Redis is back, with one alert.
func TestPauserTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		redis := &fakeSubscriptions{now: medispatcher.Subscription{ID: "a"}, hangs: time.Now().Add(time.Minute)}
		p := newPauser("me", redis, redis, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		asked := redis.now
		p.gone(&asked)
		time.Sleep(time.Minute + stepWithin) // it fails a few times
		synctest.Wait()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if redis.paused != 1 || redis.alerts != 1 || strings.Count(log.String(), "level=") != 2 || len(p.noted) != 0 {
			t.Errorf("paused %d times, %d alerts, %d left:\n%s", redis.paused, redis.alerts, len(p.noted), log.String())
		}
	})
}
