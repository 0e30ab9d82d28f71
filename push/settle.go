package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// settleLinger lets outcomes gather, so that many share one step in Redis, unless others wait for the slots that they take.
	settleLinger = 2 * time.Millisecond
	// settlesAtOnce bounds the steps under way in a partition. More than one are under way only where Redis is so far away
	// that a step takes longer than settleApart.
	settlesAtOnce = 4
	settleApart   = 4 * time.Millisecond
	// settleBatch bounds one step.
	settleBatch = 512
	// maxUnsettled outcomes that Redis does not take stop the reading, if the budget of bodies does not stop it earlier.
	maxUnsettled = 4096
)

// settleQueue batches the outcomes of deliveries across channels.
type settleQueue struct {
	queue   *queue
	news    *news
	done    func([]medispatcher.Settlement)       // is told what Redis has
	stuck   func()                                // is told that Redis takes nothing
	never   func(*medispatcher.Settlement, error) // is told what Redis will never have
	parts   []*settlePart
	waiting atomic.Int64
}

type settlePart struct {
	mu      sync.Mutex
	pending []medispatcher.Settlement
	left    []medispatcher.Settlement // Redis did not take them
	wake    chan struct{}             // there are outcomes
	soon    chan struct{}             // they are not to linger
}

func newSettleQueue(to *queue, partitions int, news *news) *settleQueue {
	q := &settleQueue{queue: to, news: news}
	for range partitions {
		q.parts = append(q.parts, &settlePart{wake: make(chan struct{}, 1), soon: make(chan struct{}, 1)})
	}
	return q
}

// len is the number of outcomes that Redis does not have yet.
func (q *settleQueue) len() int { return int(q.waiting.Load()) }

// full reports whether too many outcomes are unsettled to read anything new.
func (q *settleQueue) full() bool {
	return q.waiting.Load() > maxUnsettled
}

// add takes an outcome. With soon it does not linger.
func (q *settleQueue) add(s *medispatcher.Settlement, soon bool) {
	q.waiting.Add(1)
	part := q.parts[s.Partition]
	part.mu.Lock()
	part.pending = append(part.pending, *s)
	n := len(part.pending)
	part.mu.Unlock()
	if n == 1 {
		signal(part.wake)
	}
	if soon || n == settleBatch {
		signal(part.soon)
	}
}

// run settles the outcomes of one partition until ctx ends. What Redis did not take is tried again later, apart from what is
// new: an outcome that Redis refuses, such as a dead letter while it is out of memory, must not delay those that it takes.
func (q *settleQueue) run(ctx context.Context, p int) {
	part := q.parts[p]
	var back medispatcher.Backoff
	linger, again := time.NewTimer(0), time.NewTimer(0)
	<-linger.C
	<-again.C
	defer linger.Stop()
	defer again.Stop()
	waits, trying := false, false // again is running; what was left is being tried
	type step struct {
		again bool // it was of what was left
		err   error
	}
	under, ended := 0, make(chan step, settlesAtOnce)
	settle := func(batch *[]medispatcher.Settlement) {
		under++
		again := batch == &part.left
		trying = trying || again
		go func() {
			deepen()
			ended <- step{again, q.flush(context.WithoutCancel(ctx), p, batch)}
		}()
	}
	over := func(s step) {
		under--
		if s.again {
			trying = false
		}
		if err := s.err; err != nil {
			q.stuck()
			if back.Failures() == 0 {
				q.news.log(slog.LevelWarn, "settling waits", "partition", p, "outcomes", q.len(), "error", err)
			}
		}
		switch left := part.len(&part.left); {
		case trying: // its end decides
		case left > 0 && !waits:
			waits = true
			again.Reset(back.Next())
		case left == 0 && back.Failures() > 0:
			q.news.log(slog.LevelInfo, "settling goes on", "partition", p)
			back.Reset()
		}
	}
	for {
		wake := part.wake
		if under == settlesAtOnce {
			wake = nil
		}
		select {
		case <-ctx.Done():
			for under > 0 {
				over(<-ended)
			}
			return
		case s := <-ended:
			over(s)
		case <-again.C:
			waits = false
			settle(&part.left)
		case <-wake:
			linger.Reset(settleLinger)
			select {
			case <-ctx.Done():
			case <-part.soon:
			case <-linger.C:
			}
			if under > 0 { // what gathers meanwhile shares the next step
				linger.Reset(settleApart)
				select {
				case <-ctx.Done():
				case s := <-ended:
					over(s)
				case <-linger.C:
				}
			}
			settle(&part.pending)
		}
	}
}

// len is the length of pending or left.
func (part *settlePart) len(list *[]medispatcher.Settlement) int {
	part.mu.Lock()
	defer part.mu.Unlock()
	return len(*list)
}

// flushAll settles what is left, until ctx ends.
func (q *settleQueue) flushAll(ctx context.Context) error {
	var failed error
	for p, part := range q.parts {
		var back medispatcher.Backoff
		err := q.flush(ctx, p, &part.pending)
		for part.len(&part.left) > 0 && ctx.Err() == nil {
			if err = q.flush(ctx, p, &part.left); err != nil {
				back.Wait(ctx)
			}
		}
		if n := len(part.left); n > 0 {
			failed = errors.Join(failed, fmt.Errorf("partition %d: %d outcomes could not be settled before the shutdown deadline; their messages will be delivered again: %w",
				p, n, cmp.Or(err, ctx.Err())))
			q.giveUp(part.left, failed)
			part.left = nil
		}
	}
	return failed
}

// flush settles a list of outcomes, pending or left. What could not be settled is left.
func (q *settleQueue) flush(ctx context.Context, p int, list *[]medispatcher.Settlement) error {
	part := q.parts[p]
	part.mu.Lock()
	batch := *list
	*list = make([]medispatcher.Settlement, 0, min(len(batch), settleBatch)) // the next one will be about as long
	part.mu.Unlock()

	var left []medispatcher.Settlement
	var err error
	for len(batch) > 0 && err == nil {
		chunk := batch[:min(settleBatch, len(batch))]
		batch = batch[len(chunk):]
		left, err = q.settleChunk(ctx, p, chunk)
	}
	if len(batch)+len(left) > 0 {
		part.mu.Lock()
		part.left = append(append(part.left, batch...), left...)
		part.mu.Unlock()
	}
	return err
}
