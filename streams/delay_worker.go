package streams

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
)

// DelayWorker moves the due delayed messages of one partition back to incoming.
type DelayWorker struct {
	Store     *Store
	Partition int
	Log       *slog.Logger
	// Wake receives the due time of each message that this process delays, by the shared clock.
	Wake <-chan time.Time
}

const (
	delayedBatch = 100
	// delayedPoll is the longest wait, because another dispatcher may have delayed a message.
	delayedPoll = 500 * time.Millisecond
)

// Run works until ctx ends.
func (w *DelayWorker) Run(ctx context.Context) error {
	var back medispatcher.Backoff
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case due := <-w.Wake:
			if wait := due.Sub(w.Store.db.Now()); wait < time.Until(next) {
				next = time.Now().Add(wait)
				timer.Reset(wait)
			}
			continue
		case <-timer.C:
		}
		moved, wait, err := w.Store.ReleaseDelayed(context.WithoutCancel(ctx), w.Partition, delayedBatch)
		if err != nil {
			if back.Failures() == 0 && !errors.Is(err, context.Canceled) {
				w.Log.Warn("cannot release delayed messages; will try again", "partition", w.Partition, "error", err)
			}
			back.Wait(ctx)
			wait = 0
		} else {
			back.Reset()
		}
		switch {
		case moved == delayedBatch:
			wait = 0
		case wait < 0 || wait > delayedPoll:
			wait = delayedPoll
		}
		next = time.Now().Add(wait)
		timer.Reset(wait)
	}
}
