package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// settleLinger lets outcomes gather, so that many share one step in Redis.
	settleLinger = time.Millisecond
	// settleBatch bounds one step; a full batch does not linger.
	settleBatch = 512
	// maxUnsettled outcomes that Redis does not take stop the reading, if the budget of bodies does not stop it earlier.
	maxUnsettled = 4096
)

// settleQueue batches the outcomes of deliveries across channels.
type settleQueue struct {
	queue   *queue
	news    *news
	done    func([]medispatcher.Settlement)       // is told what Redis has
	never   func(*medispatcher.Settlement, error) // is told what Redis will never have
	parts   []*settlePart
	waiting atomic.Int64
}

type settlePart struct {
	mu      sync.Mutex
	pending []medispatcher.Settlement
	wake    chan struct{}
}

func newSettleQueue(to *queue, partitions int, news *news) *settleQueue {
	q := &settleQueue{queue: to, news: news}
	for range partitions {
		q.parts = append(q.parts, &settlePart{wake: make(chan struct{}, 1)})
	}
	return q
}

// len is the number of outcomes that Redis does not have yet.
func (q *settleQueue) len() int { return int(q.waiting.Load()) }

// full reports whether too many outcomes are unsettled to read anything new.
func (q *settleQueue) full() bool {
	return q.waiting.Load() > maxUnsettled
}

func (q *settleQueue) add(s medispatcher.Settlement) {
	q.waiting.Add(1)
	part := q.parts[s.Partition]
	part.mu.Lock()
	part.pending = append(part.pending, s)
	n := len(part.pending)
	part.mu.Unlock()
	if n == 1 || n == settleBatch {
		signal(part.wake)
	}
}

// run settles the outcomes of one partition until ctx ends.
func (q *settleQueue) run(ctx context.Context, p int) {
	part := q.parts[p]
	var back medispatcher.Backoff
	for {
		select {
		case <-ctx.Done():
			return
		case <-part.wake:
		}
		if part.len() < settleBatch {
			medispatcher.Sleep(ctx, settleLinger)
		}
		for part.len() > 0 && ctx.Err() == nil {
			err := q.flush(context.WithoutCancel(ctx), p)
			if err == nil {
				if back.Failures() > 0 {
					q.news.log(slog.LevelInfo, "settling goes on", "partition", p)
					back.Reset()
				}
				break // what was added meanwhile woke this loop again, and may gather
			}
			if back.Failures() == 0 {
				q.news.log(slog.LevelWarn, "settling waits", "partition", p, "outcomes", q.len(), "error", err)
			}
			back.Wait(ctx)
		}
		if part.len() > 0 {
			signal(part.wake)
		}
	}
}

func (part *settlePart) len() int {
	part.mu.Lock()
	defer part.mu.Unlock()
	return len(part.pending)
}

// flushAll settles what is left, until ctx ends.
func (q *settleQueue) flushAll(ctx context.Context) error {
	var failed error
	for p, part := range q.parts {
		var back medispatcher.Backoff
		var err error
		for part.len() > 0 && ctx.Err() == nil {
			if err = q.flush(ctx, p); err != nil {
				back.Wait(ctx)
			}
		}
		if part.len() > 0 {
			failed = errors.Join(failed, fmt.Errorf("partition %d: %d outcomes could not be settled before the shutdown deadline; their messages will be delivered again: %w",
				p, part.len(), cmp.Or(err, ctx.Err())))
			q.giveUp(part.pending, failed)
			part.pending = nil
		}
	}
	return failed
}

// flush settles one batch. What could not be settled comes last in the next batch: an
// outcome that Redis refuses, such as a dead letter while it is out of memory, must not
// delay those that it would take.
func (q *settleQueue) flush(ctx context.Context, p int) error {
	part := q.parts[p]
	part.mu.Lock()
	batch := part.pending
	part.pending = nil
	part.mu.Unlock()

	var left []medispatcher.Settlement
	var err error
	for len(batch) > 0 && err == nil {
		chunk := batch[:min(settleBatch, len(batch))]
		batch = batch[len(chunk):]
		left, err = q.settleChunk(ctx, p, chunk)
	}
	left = append(slices.Clip(batch), left...)
	if len(left) > 0 {
		part.mu.Lock()
		part.pending = append(part.pending, left...)
		part.mu.Unlock()
	}
	return err
}
