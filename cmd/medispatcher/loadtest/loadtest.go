package loadtest

import (
	"context"
	"errors"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/streams"
)

// Test is one run on a Redis that others may use, too: it announces itself there before it writes
// anything, and Remove takes all of it out again.
type Test struct {
	Plan      Plan
	Run       medispatcher.BenchRun
	Receiver  *Receiver
	Publisher *Publisher

	store    *joined.Store
	registry *streams.Registry
	began    time.Time
}

// New is a test that did nothing yet.
func New(p Plan, store *joined.Store, registry *streams.Registry) *Test {
	t := &Test{Plan: p, Run: p.NewRun(), store: store, registry: registry, began: time.Now()}
	t.Receiver = NewReceiver(t.Run, p, t.began)
	t.Publisher = &Publisher{
		Plan: p, Run: t.Run, Store: store, Began: t.began,
		Arrived: func() int64 { return t.Receiver.Count().Arrived },
	}
	return t
}

// Elapsed is the time since the start of the run.
func (t *Test) Elapsed() time.Duration { return time.Since(t.began) }

// Patience is how long the test waits when nothing happens.
func (t *Test) Patience() time.Duration { return t.Plan.Wait + t.Plan.Delay }

// Hold announces the run in Redis, and repeats that until release or staying ends: whoever does not
// hear from it takes it for dead, and may remove it.
func (t *Test) Hold(ctx, staying context.Context) (release func(), err error) {
	step, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	if t.Run.Started, err = t.store.HoldBench(step, t.Run); err != nil {
		return nil, err
	}
	holding, stop := context.WithCancel(staying)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			step, cancel := context.WithTimeout(holding, stepWithin)
			_, _ = t.store.HoldBench(step, t.Run) // the next one is soon
			cancel()
			if !medispatcher.Sleep(holding, streams.BenchDeadAfter/10) {
				return
			}
		}
	}()
	return func() { stop(); <-ended }, nil
}

// Subscribe makes the subscriptions of a run. base is the URL of its receiver.
func Subscribe(ctx context.Context, registry *streams.Registry, rules medispatcher.Rules, run medispatcher.BenchRun, p Plan, base string) error {
	for _, id := range run.IDs() {
		step, cancel := context.WithTimeout(ctx, stepWithin)
		_, _, _, err := registry.Put(step, id, p.document(run, &rules, base+"/"+id), "")
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// ErrStalled says that nothing arrives any more.
var ErrStalled = errors.New("nothing arrives any more")

// look is how often arrivals are counted.
const look = 20 * time.Millisecond

// Deliver publishes everything and waits until it arrived. It calls arrived with the number of
// deliveries so far. It ends early when ownEnded tells that the dispatcher of this process ended.
func (t *Test) Deliver(ctx context.Context, ownEnded <-chan error, arrived func(int64)) error {
	publishing, stop := context.WithCancel(ctx)
	published, stopped, all := make(chan error, 1), make(chan struct{}), false
	go func() {
		defer close(stopped)
		published <- t.Publisher.Publish(publishing)
	}()
	defer func() { stop(); <-stopped }() // the report and cleaning up need the last message written
	tick := time.NewTicker(look)
	defer tick.Stop()
	progress, since := int64(-1), time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ownEnded:
			return errors.Join(errors.New("the dispatcher in this process ended"), err)
		case err := <-published:
			if err != nil {
				return err
			}
			all = true
		case <-tick.C:
		}
		got, written := t.Receiver.Count().Arrived, t.Publisher.Written()
		arrived(got)
		switch {
		case all && got == written*int64(t.Plan.Subscribers):
			return nil
		case got+written != progress:
			progress, since = got+written, time.Now()
		case time.Since(since) > t.Patience():
			return ErrStalled
		}
	}
}
