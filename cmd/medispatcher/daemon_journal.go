package main

import (
	"context"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
)

const (
	// journalEvery is how often what happened to messages goes to Redis.
	journalEvery = 200 * time.Millisecond
	// journalBatch bounds one step of it.
	journalBatch = 500
	// maxJournal bounds what waits while Redis is away.
	maxJournal = 20_000
)

// journal gathers what happens to messages. It is there to be looked at, so it takes no
// part in the steps: what a crash takes away is missing in a message's story, and nowhere else.
type journal struct {
	mu      sync.Mutex
	waiting []report.Recorded
	missing int // that found no room
}

func (j *journal) add(e report.Recorded) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) >= maxJournal {
		j.missing++
		return
	}
	j.waiting = append(j.waiting, e)
}

func (j *journal) take() (entries []report.Recorded, missing int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	entries, missing = j.waiting, j.missing
	j.waiting, j.missing = nil, 0
	return entries, missing
}

// noteRouted keeps what became of an incoming entry.
func (d *daemon) noteRouted(p int, m *medispatcher.Message, r streams.Routed, subs []string) {
	if d.cfg.History == 0 || m.ID == "" {
		return
	}
	e := medispatcher.Event{Time: time.Now().UTC(), What: string(r.Result), Dispatcher: d.info.ID}
	if r.Result == streams.RoutedCopied {
		e.Subscriptions = subs
	}
	d.journal.add(report.Recorded{Partition: p, ID: m.ID, Event: e})
}

// noteAttempt keeps how an attempt ended.
func (d *daemon) noteAttempt(m *medispatcher.Delivery, s *medispatcher.Settlement) {
	if d.cfg.History == 0 {
		return
	}
	e := medispatcher.Event{
		Time: time.Now().UTC(), What: s.Outcome.String(), Subscription: m.Subscription, Attempt: m.Attempt, Target: s.Target,
		TookMS: float64(s.Took.Microseconds()) / 1000, Dispatcher: d.info.ID,
	}
	if s.Failure != nil {
		e.Error = s.Failure.LastError
	}
	d.journal.add(report.Recorded{Partition: m.Partition, ID: m.Message.ID, Event: e})
}

// writeJournal hands it to Redis until ctx ends.
func (d *daemon) writeJournal(ctx context.Context) error {
	tick := time.NewTicker(journalEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		entries, missing := d.journal.take()
		for len(entries) > 0 {
			n := min(len(entries), journalBatch)
			if err := d.store.RecordEvents(ctx, d.cfg.History, entries[:n]); err != nil {
				missing += len(entries)
				break
			}
			entries = entries[n:]
		}
		if missing > 0 && ctx.Err() == nil {
			d.log.Warn("the history of messages has gaps: Redis took no more", "events", missing)
		}
	}
}
