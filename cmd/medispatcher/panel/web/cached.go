package web

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// cachedFresh is how long what was read for one page is good for another.
	cachedFresh = 2 * time.Second
	// cachedCost bounds what looking costs: it is read again only after ten times as long as
	// the last reading took.
	cachedCost = 10
)

// cached is what is read once for everybody who looks: of ten thousand subscriptions the
// state takes twenty scripts.
type cached[T any] struct {
	read  func(context.Context) (T, error)
	group singleflight.Group

	mu    sync.Mutex
	last  T
	until time.Time
}

// get returns it, a few seconds old at most. Its lists are shared: do not change them.
func (s *cached[T]) get(ctx context.Context) (T, error) {
	s.mu.Lock()
	last, until := s.last, s.until
	s.mu.Unlock()
	if time.Now().Before(until) {
		return last, nil
	}
	// Who began it may go away; the others still want it.
	got := s.group.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pageTimeout)
		defer cancel()
		began := time.Now()
		v, err := s.read(ctx)
		if err != nil {
			return v, err
		}
		took := time.Since(began)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last, s.until = v, time.Now().Add(max(cachedFresh, cachedCost*took))
		return v, nil
	})
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case r := <-got:
		v, _ := r.Val.(T)
		return v, r.Err
	}
}
