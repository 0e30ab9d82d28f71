package streams

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	pollRevision = 500 * time.Millisecond // finds changes whose hint was lost
	// reloadAll is how often all documents are read, because somebody may change one by hand.
	reloadAll = 30 * time.Second
	// changeTries is how often a change is tried while others change the same subscription.
	changeTries = 10
)

// Snapshot is every subscription at one revision.
type Snapshot struct {
	Revision int64 // 0: there is none, or its key holds no number
	Subs     map[string]medispatcher.Subscription
	Stored   map[string]string // the documents as stored in Redis
	Router   *medispatcher.Router

	version version
}

// IDs lists the subscriptions, sorted.
func (s *Snapshot) IDs() []string {
	ids := make([]string, 0, len(s.Subs))
	for id := range s.Subs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Registry is the subscriptions in Redis and this process's copy of them.
type Registry struct {
	store   *Store
	rules   medispatcher.Rules
	warn    func(id, problem string)
	current atomic.Pointer[Snapshot]
	problem atomic.Pointer[error]
	mu      sync.Mutex // one refresh at a time
	changed chan struct{}
	poke    chan struct{}
}

// NewRegistry makes a registry that is empty until its first Refresh. It calls warn for each
// problem of a stored document.
func NewRegistry(store *Store, rules medispatcher.Rules, warn func(id, problem string)) *Registry {
	r := &Registry{store: store, rules: rules, warn: warn, changed: make(chan struct{}, 1), poke: make(chan struct{}, 1)}
	r.current.Store(&Snapshot{Router: medispatcher.NewRouter(nil)})
	return r
}

// Snapshot is the newest copy.
func (r *Registry) Snapshot() *Snapshot { return r.current.Load() }

// Changed receives a value after the copy changed. Several changes may share one value.
func (r *Registry) Changed() <-chan struct{} { return r.changed }

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
	if s := r.current.Load(); s.version == v { // another goroutine read it meanwhile
		return s, r.noted(nil)
	}
	s, err := r.loadLocked(ctx, &wrong)
	return s, r.noted(err)
}

// Subscriptions returns the subscriptions, sorted by id, and their revision. They are no older than this call.
func (r *Registry) Subscriptions(ctx context.Context) ([]medispatcher.Subscription, int64, error) {
	s, err := r.Latest(ctx)
	if err != nil {
		return nil, 0, err
	}
	subs := make([]medispatcher.Subscription, 0, len(s.Subs))
	for _, id := range s.IDs() {
		subs = append(subs, s.Subs[id])
	}
	return subs, s.Revision, nil
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
	reload := time.NewTicker(reloadAll)
	defer reload.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-r.poke:
			_, err = r.Latest(ctx)
		case <-poll.C:
			_, err = r.Latest(ctx)
		case <-reload.C:
			_, err = r.Refresh(ctx)
		}
		_ = err // Redis cannot be reached: the next tick tries again, and Problem has the error
	}
}

// Refresh reads every document, and decodes those that changed.
func (r *Registry) Refresh(ctx context.Context) (*Snapshot, error) {
	var wrong warnings
	defer r.tell(&wrong)
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.loadLocked(ctx, &wrong)
	return s, r.noted(err)
}

// warnings are pairs of a subscription and a problem of its document. They are collected under the mutex and reported after.
type warnings [][2]string

func (w *warnings) add(id, problem string) { *w = append(*w, [2]string{id, problem}) }

func (r *Registry) tell(wrong *warnings) {
	for _, w := range *wrong {
		r.warn(w[0], w[1])
	}
}

func (r *Registry) loadLocked(ctx context.Context, wrong *warnings) (*Snapshot, error) {
	old := r.current.Load()
	// Read the version first: a change in between is then seen twice, never missed.
	v, err := r.store.version(ctx)
	if err != nil {
		return nil, err
	}
	stored, err := rdb.Map(r.store.db.With(ctx), "HGETALL", r.store.keys.Subscriptions()).Result()
	if err != nil {
		return nil, rdb.Failed("read subscriptions", err)
	}
	next := &Snapshot{Revision: v.number(), version: v, Subs: make(map[string]medispatcher.Subscription, len(stored)), Stored: stored}
	same := len(stored) == len(old.Stored)
	list := make([]medispatcher.Subscription, 0, len(stored))
	for id, doc := range stored {
		sub, known := old.Subs[id]
		if !known || old.Stored[id] != doc {
			same = false
			sub, known = r.load(id, doc, sub, known, wrong)
		}
		if known {
			next.Subs[id] = sub
			list = append(list, sub)
		}
	}
	next.Router = old.Router
	if !same || !old.version.read {
		next.Router = medispatcher.NewRouter(list)
	}
	r.current.Store(next)
	if !same || !old.version.read {
		select {
		case r.changed <- struct{}{}:
		default:
		}
	}
	return next, nil
}

// load decodes one document. If that fails, the last good one stays in force.
func (r *Registry) load(id, doc string, last medispatcher.Subscription, had bool, wrong *warnings) (medispatcher.Subscription, bool) {
	sub, list, err := r.rules.Load(id, []byte(doc))
	if err != nil {
		wrong.add(id, "its stored document is unusable, put the subscription again: "+medispatcher.OneLine(err))
		return last, had
	}
	for _, w := range list {
		wrong.add(id, w)
	}
	return sub, true
}

// SubscriptionIDs lists the ids of all subscriptions, sorted.
func (s *Store) SubscriptionIDs(ctx context.Context) ([]string, error) {
	ids, err := rdb.Texts(s.db.With(ctx), "HKEYS", s.keys.Subscriptions()).Result()
	slices.Sort(ids)
	return ids, rdb.Failed("list subscriptions", err)
}
