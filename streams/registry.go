package streams

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher"
)

const (
	pollRevision = 500 * time.Millisecond // finds changes whose hint was lost
	// auditEvery is how often all documents are compared with Redis, because somebody may change one by hand.
	auditEvery = 30 * time.Second
	// changeTries is how often a change is tried while others change the same subscription.
	changeTries = 10
)

// Snapshot is every subscription at one revision.
type Snapshot struct {
	Revision int64 // 0: there is none, or its key holds no number
	Subs     *medispatcher.Subscriptions
	Unusable []string // sorted ids of those whose stored document cannot be read

	version version
}

// Router routes to these subscriptions.
func (s *Snapshot) Router() *medispatcher.Router { return s.Subs.Router() }

// Exists reports whether there is such a subscription, even if it cannot be read.
func (s *Snapshot) Exists(id string) bool {
	_, unusable := slices.BinarySearch(s.Unusable, id)
	return unusable || s.Subs.Get(id) != nil
}

// Registry is the subscriptions in Redis and this process's copy of them.
type Registry struct {
	store   *Store
	rules   medispatcher.Rules
	warn    func(id, problem string)
	current atomic.Pointer[Snapshot]
	problem atomic.Pointer[error]
	changed chan struct{}
	poke    chan struct{}

	vanished atomic.Int64 // see TakeVanished

	mu   sync.Mutex // one reader of changes at a time
	read reading
}

// NewRegistry makes a registry that is empty until its first Refresh. It calls warn for each
// problem of a stored document.
func NewRegistry(store *Store, rules medispatcher.Rules, warn func(id, problem string)) *Registry {
	r := &Registry{store: store, rules: rules, warn: warn, changed: make(chan struct{}, 1), poke: make(chan struct{}, 1)}
	r.current.Store(&Snapshot{Subs: medispatcher.NewSubscriptions()})
	return r
}

// Snapshot is the newest copy.
func (r *Registry) Snapshot() *Snapshot { return r.current.Load() }

// Changed receives a value after the copy changed. Several changes may share one value.
func (r *Registry) Changed() <-chan struct{} { return r.changed }

// TakeVanished is how many subscriptions vanished from Redis since the last call, all at once and without a change of ours (FLUSHALL, DEL).
func (r *Registry) TakeVanished() int { return int(r.vanished.Swap(0)) }

// noteVanished looks whether all subscriptions are gone without a change of ours, which would have given the documents another version.
func (r *Registry) noteVanished(old, next *Snapshot) {
	if was, is := old.version.documents, next.version.documents; next.Subs.Len() == 0 && was != "" && (is == "" || is == was) {
		r.vanished.Add(int64(old.Subs.Len()))
	}
}

// Poke makes Follow check for changes now.
func (r *Registry) Poke() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// Problem is why the last try to read the subscriptions failed, nil if it did not. Nothing is
// fanned out until they can be read.
func (r *Registry) Problem() error {
	if p := r.problem.Load(); p != nil {
		return *p
	}
	return nil
}

// Read reports whether there is a copy. The first one may take seconds to read.
func (r *Registry) Read() bool { return r.current.Load().version.read }

// Latest returns a copy no older than this call. A message accepted after a subscription was put
// must be routed to it.
func (r *Registry) Latest(ctx context.Context) (*Snapshot, error) {
	v, err := r.store.version(ctx)
	return r.asOf(ctx, v, err)
}

// asOf returns a copy no older than the version v. err is why there is none.
func (r *Registry) asOf(ctx context.Context, v version, err error) (*Snapshot, error) {
	if err != nil {
		return nil, r.noted(err)
	}
	if s := r.current.Load(); s.version == v {
		return s, r.noted(nil)
	}
	var wrong warnings
	defer r.tell(&wrong)
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.followLocked(ctx, v, &wrong)
	return s, r.noted(err)
}

// Subscriptions returns the subscriptions and their revision. They are no older than this call.
func (r *Registry) Subscriptions(ctx context.Context) (*medispatcher.Subscriptions, int64, error) {
	s, err := r.Latest(ctx)
	if err != nil {
		return nil, 0, err
	}
	return s.Subs, s.Revision, nil
}

// noted keeps err for Problem, and returns it.
func (r *Registry) noted(err error) error {
	switch {
	case err == nil:
		if r.problem.Load() != nil {
			r.problem.Store(nil)
		}
	case !errors.Is(err, context.Canceled):
		r.problem.Store(&err)
	}
	return err
}

// Follow keeps the copy fresh until ctx ends.
func (r *Registry) Follow(ctx context.Context) error {
	poll := time.NewTicker(pollRevision)
	defer poll.Stop()
	audit := time.NewTimer(auditEvery)
	defer audit.Stop()
	audited := "" // up to this subscription
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-r.poke:
			if !r.catchUp(ctx) {
				_, err = r.Latest(ctx)
			}
		case <-poll.C:
			_, err = r.Latest(ctx)
		case <-audit.C:
			audited, err = r.audit(ctx, audited)
			pages := 1 + r.Snapshot().Subs.Len()/auditPage
			audit.Reset(auditEvery / time.Duration(pages))
		}
		_ = err // Redis cannot be reached: the next tick tries again, and Problem has the error
	}
}

// catchUp reads what changed in one round trip. It reports whether the changes lead to what Redis holds.
func (r *Registry) catchUp(ctx context.Context) bool {
	var wrong warnings
	defer r.tell(&wrong)
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.current.Load()
	if !s.version.read {
		return false
	}
	p, err := r.catchUpLocked(ctx, nil)
	if err != nil || p == nil {
		return false
	}
	r.advanceLocked(p, version{revision: s.version.revision, documents: p.documents}, &wrong)
	return true
}

// warnings are pairs of a subscription and a problem of its document. They are collected under the mutex and reported after.
type warnings [][2]string

func (w *warnings) add(id, problem string) { *w = append(*w, [2]string{id, problem}) }

func (r *Registry) tell(wrong *warnings) {
	for _, w := range *wrong {
		r.warn(w[0], w[1])
	}
}
