package web

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// cachedFresh is how long a result read for one page is used for others.
	cachedFresh = 2 * time.Second
	// cachedCost bounds the load: the next read starts only after ten times as long as the last one took.
	cachedCost = 10
)

// cached is read once for all who look at pages: the state of ten thousand subscriptions takes
// twenty scripts.
type cached[T any] struct {
	read  func(context.Context) (T, error)
	group singleflight.Group

	mu    sync.Mutex
	last  T
	until time.Time
}

// get returns a value that is at most a few seconds old. Callers share its lists and must not change them.
func (s *cached[T]) get(ctx context.Context) (T, error) {
	s.mu.Lock()
	last, until := s.last, s.until
	s.mu.Unlock()
	if time.Now().Before(until) {
		return last, nil
	}
	// Others still want the result when the browser that started the read has gone.
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
