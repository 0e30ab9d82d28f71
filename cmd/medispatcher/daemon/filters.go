package daemon

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

const (
	// filtersEvery is how often what filters did goes to Redis.
	filtersEvery = time.Second
	// maxFiltersTold bounds the subscriptions of which it is remembered that their filter failed.
	maxFiltersTold = 10_000
)

// filters counts what the filters of subscriptions did, and tells when one fails. These are statistics, which a crash may
// lose: to count them in the step that copies would cost more than the copies that filters save.
type filters struct {
	store interface {
		AddFilterCounts(ctx context.Context, p int, counts map[string]streams.FilterCounts) error
	}
	metrics interface {
		Filtered(sub string, c streams.FilterCounts)
	}
	log *slog.Logger

	mu    sync.Mutex
	parts map[int]map[string]streams.FilterCounts // by partition
	told  map[string]bool                         // subscriptions whose filter failed
}

// judged takes what the filters said of a message that is routed.
func (f *filters) judged(p int, subs []string, verdicts []medispatcher.Verdict) {
	if verdicts == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.parts[p] == nil {
		if f.parts == nil {
			f.parts = map[int]map[string]streams.FilterCounts{}
		}
		f.parts[p] = map[string]streams.FilterCounts{}
	}
	counts := f.parts[p]
	for i, v := range verdicts {
		if v == medispatcher.Matched {
			continue
		}
		c := counts[subs[i]]
		if v == medispatcher.Filtered {
			c.Filtered++
		} else {
			c.Failed++
		}
		counts[subs[i]] = c
	}
}

// failed tells once that the filter of a subscription failed.
func (f *filters) failed(m *medispatcher.Message, sub string, err error) {
	f.mu.Lock()
	known := f.told[sub] || len(f.told) >= maxFiltersTold
	if !known {
		if f.told == nil {
			f.told = map[string]bool{}
		}
		f.told[sub] = true
	}
	f.mu.Unlock()
	if !known {
		problem, _, _ := strings.Cut(err.Error(), "\n") // further lines mark the place
		f.log.Warn("the filter of a subscription fails: such messages are delivered, and counted as filter_failed; this is said once",
			"subscription", sub, "topic", m.Topic, "id", m.ID, "error", problem)
	}
}

// apply has the next failure of a changed filter told again, and gets the new ones ready.
func (f *filters) apply(changes []medispatcher.SubscriptionChange) {
	var made []medispatcher.Filter
	f.mu.Lock()
	for _, c := range changes {
		if c.Was == nil || c.Now == nil || c.Was.Filter != c.Now.Filter {
			delete(f.told, c.ID())
			if c.Now != nil && c.Now.Matcher != nil {
				made = append(made, c.Now.Matcher)
			}
		}
	}
	f.mu.Unlock()
	if len(made) > 0 {
		go warm(made)
	}
}

// warm uses filters once. They are compiled at their first use, and ten thousand of them would hold up the first message for seconds.
func warm(made []medispatcher.Filter) {
	for _, m := range made {
		_, _ = m.Match(&medispatcher.Subject{Message: &medispatcher.Message{}})
	}
}

func (f *filters) take() map[int]map[string]streams.FilterCounts {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.parts
	f.parts = nil
	return taken
}

// Run writes the counts to Redis until ctx ends, and what is left then.
func (f *filters) Run(ctx context.Context) error {
	tick := time.NewTicker(filtersEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		f.write(context.WithoutCancel(ctx))
	}
	return nil
}

func (f *filters) write(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastStepsTimeout)
	defer cancel()
	all := map[string]streams.FilterCounts{}
	for p, counts := range f.take() {
		_ = f.store.AddFilterCounts(ctx, p, counts) // Redis is away: readiness says so
		for sub, c := range counts {
			sum := all[sub]
			all[sub] = streams.FilterCounts{Filtered: sum.Filtered + c.Filtered, Failed: sum.Failed + c.Failed}
		}
	}
	for sub, c := range all {
		f.metrics.Filtered(sub, c)
	}
}
