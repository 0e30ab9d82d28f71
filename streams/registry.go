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
	pollRevision = 500 * time.Millisecond // a lost hint is noticed after this
	// reloadAll repairs what somebody changed by hand in a document.
	reloadAll = 30 * time.Second
	// changeTries bounds the repetitions of a merge that others keep overtaking.
	changeTries = 10
)

// Snapshot is every subscription at one revision.
type Snapshot struct {
	Revision int64 // 0: there is none, or what is there is no number
	Subs     map[string]medispatcher.Subscription
	Stored   map[string]string // the documents, as they are in Redis
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

// NewRegistry makes a registry that is empty until its first Refresh. warn hears of
// stored documents that are not as they should be.
func NewRegistry(store *Store, rules medispatcher.Rules, warn func(id, problem string)) *Registry {
	r := &Registry{store: store, rules: rules, warn: warn, changed: make(chan struct{}, 1), poke: make(chan struct{}, 1)}
	r.current.Store(&Snapshot{Router: medispatcher.NewRouter(nil)})
	return r
}

// Snapshot is the newest copy.
func (r *Registry) Snapshot() *Snapshot { return r.current.Load() }

// Changed gets a value after each change of the copy, several changes making one value.
func (r *Registry) Changed() <-chan struct{} { return r.changed }

// Poke has Follow look for changes now.
func (r *Registry) Poke() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// Problem is why the subscriptions could not be read when that was last tried: nothing is
// fanned out until they are. nil: they were.
func (r *Registry) Problem() error {
	if p := r.problem.Load(); p != nil {
		return *p
	}
	return nil
}

// Latest is a copy no older than this call: a message accepted after a subscription
// was must be routed to it.
func (r *Registry) Latest(ctx context.Context) (*Snapshot, error) {
	v, err := r.store.version(ctx)
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
	if s := r.current.Load(); s.version == v { // somebody else read it meanwhile
		return s, r.noted(nil)
	}
	s, err := r.loadLocked(ctx, &wrong)
	return s, r.noted(err)
}

// Subscriptions lists the subscriptions, no older than this call and sorted by id, and their revision.
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

// noted keeps the outcome of a look for Problem.
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
		_ = err // Redis is away: the next tick tries again, readiness says so
	}
}

// Refresh reads every subscription. Documents that did not change are not read again.
func (r *Registry) Refresh(ctx context.Context) (*Snapshot, error) {
	var wrong warnings
	defer r.tell(&wrong)
	r.mu.Lock()
	defer r.mu.Unlock()
	s, err := r.loadLocked(ctx, &wrong)
	return s, r.noted(err)
}

// warnings are what is wrong with documents, each with its subscription. They are told without the mutex.
type warnings [][2]string

func (w *warnings) add(id, problem string) { *w = append(*w, [2]string{id, problem}) }

func (r *Registry) tell(wrong *warnings) {
	for _, w := range *wrong {
		r.warn(w[0], w[1])
	}
}

func (r *Registry) loadLocked(ctx context.Context, wrong *warnings) (*Snapshot, error) {
	old := r.current.Load()
	// The version first: a change in between is then seen once more, never missed.
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

// load reads one document. One that cannot be read leaves the last good one in force.
func (r *Registry) load(id, doc string, last medispatcher.Subscription, had bool, wrong *warnings) (medispatcher.Subscription, bool) {
	sub, list, err := r.rules.Load(id, []byte(doc))
	if err != nil {
		wrong.add(id, "its stored document is unusable, put it anew: "+medispatcher.OneLine(err))
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
