package streams

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Decide is what a worker makes of one entry, for tests that play the worker step by step.
func (w *FanoutWorker) Decide(e Entry, router *medispatcher.Router) Routing {
	return w.decide(e, router)
}

// UseClock has a store that sends no heartbeats count time by mono, as one that sends them does,
// beginning with what Redis says now.
func (s *Store) UseClock(ctx context.Context, mono func() time.Duration) error {
	s.db.Clock = &rdb.Clock{Mono: mono}
	err := s.db.Hear(ctx)
	s.db.Clock.Beat()
	return err
}

// UseMonotonic has a store count time by mono from its first heartbeat on.
func (s *Store) UseMonotonic(mono func() time.Duration) { s.db.Clock = &rdb.Clock{Mono: mono} }

// Now is the shared time as this store keeps it.
func (s *Store) Now() time.Time { return s.db.Now() }

// Renew is what a worker does about the ids of the incoming stream.
func Renew(ctx context.Context, s *Store, p int) (int, error) { return s.renewIncoming(ctx, p) }

// DelayedUntil is when a message that was accepted at a time is due.
func (s *Store) DelayedUntil(accepted time.Time, delay time.Duration) time.Time {
	return s.db.DelayedUntil(accepted, delay)
}
