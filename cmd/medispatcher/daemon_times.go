package main

import (
	"context"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
)

const (
	// timesEvery is how often the times of attempts go to Redis.
	timesEvery = 2 * time.Second
	// maxTimed bounds the subscriptions whose times are kept while Redis is away.
	maxTimed = 20_000
)

// times gathers how long attempts and deliveries took. They are figures to look at: what
// a crash or a lost reply takes away is not worth a command for each push.
type times struct {
	mu   sync.Mutex
	subs map[string]*report.Times
}

// note takes an attempt that ended.
func (t *times) note(d *medispatcher.Delivery, s *medispatcher.Settlement, now time.Time) {
	if s.Took == 0 {
		return // none was made
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.subs[d.Subscription]
	if h == nil {
		if len(t.subs) >= maxTimed {
			return
		}
		if t.subs == nil {
			t.subs = map[string]*report.Times{}
		}
		h = &report.Times{}
		t.subs[d.Subscription] = h
	}
	h.Took[medispatcher.TimeBucket(s.Took)]++
	if s.Outcome == medispatcher.Sent {
		h.Latency[medispatcher.TimeBucket(now.Sub(d.Message.Time))]++
	}
}

func (t *times) take() map[string]*report.Times {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.subs
	t.subs = nil
	return taken
}

// writeTimes hands them to Redis until ctx ends.
func (d *daemon) writeTimes(ctx context.Context) error {
	tick := time.NewTicker(timesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if taken := d.times.take(); len(taken) > 0 {
			_ = d.store.AddTimes(ctx, taken) // Redis is away: readiness says so
		}
	}
}
