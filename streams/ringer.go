package streams

import (
	"context"
	"slices"
	"sync"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Ringer tells the other dispatchers which channels have new messages, in as few
// messages as Redis takes: what comes while one is sent goes with the next.
type Ringer struct {
	Store *Store
	// Alone reports whether no other dispatcher would listen.
	Alone func() bool

	mu      sync.Mutex
	pending map[int]map[string]bool
	wake    chan struct{}
	once    sync.Once
}

func (r *Ringer) init() {
	r.once.Do(func() {
		r.pending, r.wake = map[int]map[string]bool{}, make(chan struct{}, 1)
	})
}

// Ready notes channels of a partition. It does not block.
func (r *Ringer) Ready(p int, subs []string) {
	if r.Alone() {
		return
	}
	r.init()
	r.mu.Lock()
	if r.pending[p] == nil {
		r.pending[p] = map[string]bool{}
	}
	for _, sub := range subs {
		r.pending[p][sub] = true
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends. What cannot be sent is dropped: sweeps find it.
func (r *Ringer) Run(ctx context.Context) error {
	r.init()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
		r.mu.Lock()
		pending := r.pending
		r.pending = map[int]map[string]bool{}
		r.mu.Unlock()
		for p, set := range pending {
			subs := make([]string, 0, len(set))
			for sub := range set {
				subs = append(subs, sub)
			}
			for chunk := range slices.Chunk(subs, rdb.SweepChunk) {
				_ = r.Store.Ring(ctx, p, chunk) // a hint
			}
		}
	}
}
