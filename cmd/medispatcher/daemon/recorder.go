package daemon

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
)

const (
	// recordEvery is how often events go to Redis.
	recordEvery = 200 * time.Millisecond
	// recordBatch bounds the events of one step.
	recordBatch = 500
	// maxRecorded bounds the events that wait while Redis is away.
	maxRecorded = 20_000
)

// recorder writes the events of messages, which message ID and the panel show. It takes no part in the steps of
// delivery: an event that a crash loses is missing from the story of its message, and nowhere else.
type recorder struct {
	dispatcher string // its id
	messages   int    // that have a story; 0: none has
	store      *joined.Store
	log        *slog.Logger

	mu      sync.Mutex
	waiting []report.Recorded
	missing int // events that found no room
}

func (r *recorder) add(e report.Recorded) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) >= maxRecorded {
		r.missing++
		return
	}
	r.waiting = append(r.waiting, e)
}

func (r *recorder) take() (events []report.Recorded, missing int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	events, missing = r.waiting, r.missing
	r.waiting, r.missing = nil, 0
	return events, missing
}

// routed notes what became of an incoming entry.
func (r *recorder) routed(p int, m *medispatcher.Message, to *streams.Routed, subs []string) {
	if r.messages == 0 || m.ID == "" {
		return
	}
	e := medispatcher.Event{Time: time.Now().UTC(), What: string(to.Result), Dispatcher: r.dispatcher}
	switch to.Result { //nolint:exhaustive // the others have no copies
	case streams.RoutedCopied:
		e.Subscriptions = subs
		e.Filtered = filteredOf(to)
	case streams.RoutedFiltered:
		e.Filtered = filteredOf(to)
	}
	r.add(report.Recorded{Partition: p, ID: m.ID, Event: e})
}

// maxFiltered bounds the subscriptions that an event names because their filters refused the message.
const maxFiltered = 100

func filteredOf(to *streams.Routed) (subs []string) {
	for i, v := range to.Verdicts {
		if v == medispatcher.Filtered && len(subs) < maxFiltered {
			subs = append(subs, to.Wanted[i])
		}
	}
	return subs
}

// attempted notes how an attempt ended.
func (r *recorder) attempted(m *medispatcher.Delivery, s *medispatcher.Settlement) {
	if r.messages == 0 {
		return
	}
	e := medispatcher.Event{
		Time: time.Now().UTC(), What: s.Outcome.String(), Subscription: m.Subscription, Attempt: m.Attempt, Target: s.Target,
		TookMS: float64(s.Took.Microseconds()) / 1000, Dispatcher: r.dispatcher,
	}
	if s.Failure != nil {
		e.Error = s.Failure.LastError
	}
	r.add(report.Recorded{Partition: m.Partition, ID: m.Message.ID, Event: e})
}

// Run writes events to Redis until ctx ends, and then the rest of them.
func (r *recorder) Run(ctx context.Context) error {
	tick := time.NewTicker(recordEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastStepsTimeout)
			defer cancel()
			r.write(last)
			return nil
		case <-tick.C:
		}
		r.write(ctx)
	}
}

func (r *recorder) write(ctx context.Context) {
	events, missing := r.take()
	for len(events) > 0 {
		n := min(len(events), recordBatch)
		if err := r.store.RecordEvents(ctx, r.messages, events[:n]); err != nil {
			missing += len(events)
			break
		}
		events = events[n:]
	}
	if missing > 0 {
		r.log.Warn("events of messages are lost: Redis did not take them; the stories of these messages have gaps", "events", missing)
	}
}
