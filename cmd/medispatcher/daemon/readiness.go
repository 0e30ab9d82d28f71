package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	pingEvery  = 300 * time.Millisecond
	readAgain  = 20 * time.Millisecond
	pingAtMost = 500 * time.Millisecond // with pingEvery: a Redis that goes away is noticed within a second
)

// readiness knows why this dispatcher cannot work now. It asks Redis again and again.
type readiness struct {
	redis string // where it is
	probe func(ctx context.Context) error
	// unread is why the subscriptions cannot be read; nil: they can. read reports whether they were.
	unread func() error
	read   func() bool
	// refused is why the fan-out waits for a right of the user of Redis; nil: it does not.
	refused func() error
	log     *slog.Logger

	problem  atomic.Pointer[error]
	stopping atomic.Bool
}

var (
	errStarting = errors.New("starting: Redis has not answered yet")
	errReading  = errors.New("starting: the subscriptions are being read")
	errStopping = errors.New("stopping: deliveries in flight are ending")
)

func (r *readiness) stop() { r.stopping.Store(true) }

// check returns the reason, nil for none. It answers at once.
func (r *readiness) check() error {
	if r.stopping.Load() {
		return errStopping
	}
	if p := r.problem.Load(); p != nil {
		return *p
	}
	return errStarting
}

// Run keeps the answer of check true until ctx ends.
func (r *readiness) Run(ctx context.Context) error {
	tick := time.NewTimer(0)
	<-tick.C
	defer tick.Stop()
	before := errStarting
	for {
		ping, cancel := context.WithTimeout(ctx, pingAtMost)
		err := r.probe(ping)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			err = fmt.Errorf("Redis at %s takes no writes: %w", r.redis, err) //nolint:staticcheck // Redis is a name
		} else if unread := r.unread(); unread != nil {
			err = fmt.Errorf("nothing is fanned out, because the subscriptions cannot be read: %w", unread)
		} else if refused := r.refused(); refused != nil {
			err = fmt.Errorf("the fan-out stands still, because the Redis user lacks a right, which medispatcher doctor names: %w", refused)
		} else if !r.read() {
			err = errReading
		}
		r.problem.Store(&err)
		switch {
		case err != nil && before == nil:
			r.log.Warn("not ready", "error", err)
		case err == nil && before != nil:
			r.log.Info("ready")
		}
		before = err
		tick.Reset(pingEvery)
		if errors.Is(err, errReading) { // mostly it takes milliseconds
			tick.Reset(readAgain)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
