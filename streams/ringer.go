package streams

import (
	"context"
	"slices"
	"sync"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Ringer tells the other dispatchers which channels have new messages. While it sends one
// hint it collects further channels for the next, so it sends only as many as Redis takes.
type Ringer struct {
	Store *Store
	// Alone reports whether there is no other dispatcher.
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

// Ready notes channels of a partition that have new messages. It does not block.
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

// Run sends hints until ctx ends. A hint that cannot be sent is dropped: sweeps find its messages.
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
