package streams

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// linesEvery is the time between looks at all lines. They find what a command typed by hand took out of a channel.
const linesEvery = time.Minute

// LineWorker brings lines in order: soon after their subscription changed, and all of them now and then.
type LineWorker struct {
	Store      *Store
	Registry   *Registry
	Partitions int
	Ready      func(p int, subs []string) // channels have new messages
	Log        *slog.Logger

	kept  bool // all dispatchers kept lines when it heard of them last
	mu    sync.Mutex
	asked map[medispatcher.Channel]bool
	wake  chan struct{}
}

// NewLineWorker makes a LineWorker.
func NewLineWorker(store *Store, registry *Registry, partitions int, ready func(p int, subs []string), log *slog.Logger) *LineWorker {
	return &LineWorker{
		Store: store, Registry: registry, Partitions: partitions, Ready: ready, Log: log,
		asked: map[medispatcher.Channel]bool{}, wake: make(chan struct{}, 1),
	}
}

// Ask has the lines of some channels looked at soon. It does not block.
func (w *LineWorker) Ask(p int, subs []string) {
	w.mu.Lock()
	for _, sub := range subs {
		w.asked[medispatcher.Channel{Partition: p, Subscription: sub}] = true
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Apply has those looked at whose subscriptions became ordered, or no longer are. A look asks for every key that has copies.
func (w *LineWorker) Apply(changes []medispatcher.SubscriptionChange) {
	for _, c := range changes {
		if was, is := c.Was != nil && c.Was.Ordered, c.Now != nil && c.Now.Ordered; was != is {
			for p := range w.Partitions {
				w.Ask(p, []string{c.ID()})
			}
		}
	}
}

// Heard is told of the list of dispatchers after each heartbeat. Lines are made, or removed, when the last dispatcher that does
// not know of them leaves, or the first one joins.
func (w *LineWorker) Heard([]medispatcher.Dispatcher) {
	kept := w.Store.linesKept()
	if kept == w.kept {
		return
	}
	w.kept = kept
	for sub := range w.Registry.Snapshot().Subs.All() {
		w.Apply([]medispatcher.SubscriptionChange{{Now: sub}})
	}
	if !kept {
		w.Log.Warn("a dispatcher of an earlier version runs, which knows no order: until it is gone, ordered subscriptions get messages without order")
	}
}

// inHandPause is when lines are looked at again out of which something may be in flight.
const inHandPause = time.Second

// Run works until ctx ends.
func (w *LineWorker) Run(ctx context.Context) error {
	every := time.NewTimer(rand.N(linesEvery)) // not all dispatchers at once
	defer every.Stop()
	var back medispatcher.Backoff
	if subs, err := w.Registry.Latest(ctx); err == nil { // what ended while no dispatcher ran is no change that Apply is told of
		w.askAll(ctx, func(id string) bool { sub := subs.Subs.Get(id); return sub == nil || !sub.Ordered })
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
			every.Reset(linesEvery)
			w.askAll(ctx, func(string) bool { return true })
		case <-w.wake:
		}
		err := w.straighten(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && back.Failures() > 0:
			w.Log.Info("the lines of ordered subscriptions are in order again")
			back.Reset()
		case err != nil:
			if back.Failures() == 0 {
				w.Log.Warn("the lines of an ordered subscription cannot be brought in order; its messages wait", "error", err)
			}
			back.Wait(ctx)
		}
	}
}

// askAll asks for all channels that have lines, of the subscriptions that are meant.
func (w *LineWorker) askAll(ctx context.Context, meant func(sub string) bool) {
	for p := range w.Partitions {
		subs, complete, err := w.Store.Active(ctx, p)
		if err == nil && !complete {
			subs = w.Registry.Snapshot().Subs.IDs()
		}
		if err == nil {
			subs, err = w.Store.Lined(ctx, p, subs)
		}
		if err == nil {
			w.Ask(p, slices.DeleteFunc(subs, func(sub string) bool { return !meant(sub) }))
		}
	}
}

// straighten looks at all channels that were asked for. Those that fail are asked for again.
func (w *LineWorker) straighten(ctx context.Context) (failed error) {
	w.mu.Lock()
	asked := w.asked
	w.asked = map[medispatcher.Channel]bool{}
	w.mu.Unlock()
	if len(asked) == 0 {
		return nil
	}
	kept, err := w.Store.Lines(ctx)
	var subs *Snapshot
	if err == nil {
		subs, err = w.Registry.Latest(ctx)
	}
	for c := range asked {
		err := err
		if err == nil {
			err = w.straightenOne(ctx, c, subs, kept)
		}
		if err != nil {
			failed = err
			w.Ask(c.Partition, []string{c.Subscription})
		}
	}
	return failed
}

func (w *LineWorker) straightenOne(ctx context.Context, c medispatcher.Channel, subs *Snapshot, kept bool) error {
	sub := subs.Subs.Get(c.Subscription)
	if sub == nil && subs.Exists(c.Subscription) {
		return nil // nobody can read whether it is ordered
	}
	ready, err := w.Store.Straighten(ctx, c, kept && sub != nil && sub.Ordered)
	if ready {
		w.Ready(c.Partition, []string{c.Subscription})
	}
	if errors.Is(err, errInHand) {
		time.AfterFunc(inHandPause, func() { w.Ask(c.Partition, []string{c.Subscription}) })
		return nil
	}
	return err
}
