package streams

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// DelayWorker moves the due delayed messages of some partitions back to incoming. One worker may have all the partitions of one
// Redis. Those of a cluster have a worker each: a master that hangs must not hold up the others.
type DelayWorker struct {
	Store      *Store
	Partitions []int
	Log        *slog.Logger
	// Wake receives each message that this process delays.
	Wake <-chan Delay

	failing map[int]bool // partitions whose last step failed
}

// Delay is a delayed message.
type Delay struct {
	Partition int
	Due       time.Time // by the shared clock
}

const (
	delayedBatch = 100
	// delayedPoll is the longest wait, because another dispatcher may have delayed a message.
	delayedPoll = 500 * time.Millisecond
)

// Together groups the partitions that lie on one Redis: all of them, or on a cluster, where they may move, each alone.
func (s *Store) Together() (groups [][]int) {
	for p := range s.cfg.Partitions {
		if p == 0 || s.db.IsCluster() {
			groups = append(groups, nil)
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], p)
	}
	return groups
}

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
		case d := <-w.Wake:
			if wait := d.Due.Sub(w.Store.db.Now()); wait < time.Until(next) {
				next = time.Now().Add(wait)
				timer.Reset(wait)
			}
			continue
		case <-timer.C:
		}
		wait, err := w.release(context.WithoutCancel(ctx))
		if err != nil {
			if back.Failures() == 0 && !errors.Is(err, context.Canceled) {
				w.Log.Warn("cannot release delayed messages; will try again", "error", err)
			}
			back.Wait(ctx)
			wait = 0
		} else {
			back.Reset()
		}
		next = time.Now().Add(wait)
		timer.Reset(wait)
	}
}

// release moves what is due, and returns when to look again.
func (w *DelayWorker) release(ctx context.Context) (time.Duration, error) {
	holding, err := w.Store.delaying(ctx, w.Partitions)
	if err != nil {
		return 0, err
	}
	var all sync.WaitGroup
	waits, errs := make([]time.Duration, len(holding)), make([]error, len(holding))
	for i, p := range holding {
		all.Go(func() {
			moved, next, err := w.Store.ReleaseDelayed(ctx, p, delayedBatch)
			switch {
			case moved == delayedBatch:
				next = 0
			case next < 0 || err != nil: // a partition that fails holds up no other
				next = delayedPoll
			}
			waits[i], errs[i] = next, err
		})
	}
	all.Wait()
	wait, failing := delayedPoll, map[int]bool{}
	for i, p := range holding {
		wait = min(wait, waits[i])
		if failing[p] = errs[i] != nil; failing[p] && !w.failing[p] {
			w.Log.Warn("cannot release delayed messages; will try again", "partition", p, "error", errs[i])
		}
	}
	w.failing = failing
	return wait, nil
}

// delaying lists those of some partitions that have delayed messages. On one Redis that is one command as long as none has.
func (s *Store) delaying(ctx context.Context, partitions []int) (holding []int, err error) {
	if !s.db.IsCluster() {
		keys := make([]string, len(partitions))
		for i, p := range partitions {
			keys[i] = s.keys.Delayed(p)
		}
		n, err := rdb.Int(s.db.With(ctx), rdb.Cmd("EXISTS", keys[0], keys[1:]...)...).Result()
		if err != nil || n == 0 {
			return nil, rdb.Failed("look for delayed messages", err)
		}
	}
	pipe := s.db.Pipe(ctx)
	there := make([]*rdb.Reply[bool], len(partitions))
	for i, p := range partitions {
		there[i] = rdb.Bool(pipe, "EXISTS", s.keys.Delayed(p))
	}
	if err := pipe.Run(); err != nil {
		return nil, rdb.Failed("look for delayed messages", err)
	}
	for i, p := range partitions {
		if there[i].Val() {
			holding = append(holding, p)
		}
	}
	return holding, nil
}
