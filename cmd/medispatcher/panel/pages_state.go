package panel

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

const (
	// stateFresh is how long the state of the whole system is good for another page.
	stateFresh = 2 * time.Second
	// stateShare bounds what looking costs: the state is read again only after ten times as
	// long as the last reading took.
	stateShare = 10
)

// wholeState is the state of the whole system, read once for everybody who looks: of ten
// thousand subscriptions that takes twenty scripts.
type wholeState struct {
	registry Registry
	store    Store
	group    singleflight.Group

	mu    sync.Mutex
	last  medispatcher.Status
	until time.Time
}

// get returns the state, a few seconds old at most. Its lists are shared: do not change them.
func (s *wholeState) get(ctx context.Context) (medispatcher.Status, error) {
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
		st, err := operate.Status(ctx, s.registry, s.store)
		if err != nil {
			return st, err
		}
		took := time.Since(began)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last, s.until = st, time.Now().Add(max(stateFresh, stateShare*took))
		return st, nil
	})
	select {
	case <-ctx.Done():
		return medispatcher.Status{}, ctx.Err()
	case r := <-got:
		st, _ := r.Val.(medispatcher.Status)
		return st, r.Err
	}
}
