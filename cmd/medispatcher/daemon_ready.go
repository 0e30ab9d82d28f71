package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher/cmd/internal/config"
)

const (
	pingEvery  = 300 * time.Millisecond
	pingAtMost = 500 * time.Millisecond // with pingEvery: a Redis that went away is seen within a second
)

// readiness is why this dispatcher cannot work now.
type readiness struct {
	problem  atomic.Pointer[error]
	stopping atomic.Bool
}

func (r *readiness) set(problem error) { r.problem.Store(&problem) }

func (r *readiness) stop() { r.stopping.Store(true) }

// check returns the reason, nil for none.
func (r *readiness) check() error {
	if r.stopping.Load() {
		return errors.New("stopping: deliveries in flight are ending")
	}
	return *r.problem.Load()
}

// watchRedis keeps the readiness true.
func (d *daemon) watchRedis(ctx context.Context) error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		ping, cancel := context.WithTimeout(ctx, pingAtMost)
		err := d.store.Probe(ping)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		before := *d.ready.problem.Load()
		if err != nil {
			err = fmt.Errorf("Redis at %s takes no writes: %w", config.RedisAt(d.cfg.RedisURL), err) //nolint:staticcheck // Redis is a name
		} else if unread := d.registry.Problem(); unread != nil {
			err = fmt.Errorf("nothing is fanned out, for the subscriptions cannot be read: %w", unread)
		}
		d.ready.set(err)
		switch {
		case err != nil && before == nil:
			d.log.Warn("not ready", "error", err)
		case err == nil && before != nil:
			d.log.Info("ready")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
