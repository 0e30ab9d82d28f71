package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/streams/report"
)

const (
	// timesEvery is how often the times of attempts go to Redis.
	timesEvery = 5 * time.Second
	// maxTimed bounds the subscriptions whose times are kept while Redis is away.
	maxTimed = 20_000
)

// timesWriter writes how long attempts and deliveries took. These are statistics: losing some in a crash
// is better than a command for each push.
type timesWriter struct {
	store *joined.Store

	mu   sync.Mutex
	subs map[string]*report.Times
}

// note takes an attempt that ended.
func (w *timesWriter) note(d *medispatcher.Delivery, s *medispatcher.Settlement, now time.Time) {
	if s.Took == 0 {
		return // none was made
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.subs[d.Subscription]
	if t == nil {
		if len(w.subs) >= maxTimed {
			return
		}
		if w.subs == nil {
			w.subs = map[string]*report.Times{}
		}
		t = &report.Times{}
		w.subs[d.Subscription] = t
	}
	t.Took[medispatcher.TimeBucket(s.Took)]++
	switch s.Outcome {
	case medispatcher.Sent:
		t.Latency[medispatcher.TimeBucket(now.Sub(d.Message.Time))]++
	case medispatcher.Released:
	default:
		if t.Failed == nil {
			t.Failed = map[string]int64{}
		}
		t.Failed[medispatcher.StatusClass(s.Status)]++
	}
}

func (w *timesWriter) take() map[string]*report.Times {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.subs
	w.subs = nil
	return taken
}

// Run writes times to Redis until ctx ends, and has the backlog sampled.
func (w *timesWriter) Run(ctx context.Context) error {
	tick, sample := time.NewTicker(timesEvery), time.NewTicker(report.SampleEvery)
	defer tick.Stop()
	defer sample.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastStepsTimeout)
			defer cancel()
			w.write(last)
			return nil
		case <-sample.C:
			_ = w.store.SampleBacklog(ctx) // as below
			continue
		case <-tick.C:
		}
		w.write(ctx)
	}
}

func (w *timesWriter) write(ctx context.Context) {
	if taken := w.take(); len(taken) > 0 {
		_ = w.store.AddTimes(ctx, taken) // Redis is away: readiness says so
	}
}
