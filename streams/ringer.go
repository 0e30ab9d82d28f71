package streams

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Ringer rings the doorbells of other dispatchers. A dispatcher that has more new messages of a channel than it can take
// rings the channel's home. If the home cannot take them either, it calls another one; and it remembers who is full, so that
// a channel whose subscriber is saturated everywhere costs no rings.
//
// Hints that cannot be sent are dropped: sweeps find their messages. While one round of hints is sent, others are collected for the
// next, so there are only as many as Redis takes.
type Ringer struct {
	store *Store
	homes homes

	retries func(sub string) func(id string) bool // who takes due messages of a subscription; nil: all do

	mu      sync.Mutex
	waiting map[letter]map[string]struct{} // the subscriptions of each hint that waits
	full    map[medispatcher.Channel]*full
	wake    chan struct{}
}

// letter is what a hint says, to whom, but for the subscriptions.
type letter struct {
	to        peer
	what      string
	partition int
}

// full is what the home of a channel knows while others cannot take more of it.
type full struct {
	since map[string]time.Time // by dispatcher
	owed  bool                 // all were full when there was more: the next that is not gets a ring
}

// fullFor is how long a dispatcher counts as full that has not said that it is not. That hint may be lost.
const fullFor = 30 * time.Second

// NewRinger makes the Ringer of a dispatcher.
func NewRinger(store *Store) *Ringer {
	return &Ringer{
		store: store, homes: homes{me: store.cfg.ID},
		waiting: map[letter]map[string]struct{}{}, full: map[medispatcher.Channel]*full{}, wake: make(chan struct{}, 1),
	}
}

// Divide says who takes messages of subscriptions whose limits hold in all dispatchers together: shares returns who shares a
// subscription, or nil if it is not such a one. It must be called before anything else.
func (r *Ringer) Divide(shares func(sub string) []medispatcher.Share) {
	among := func(sub string, some func(s *medispatcher.Share) bool) func(id string) bool {
		list := shares(sub)
		if list == nil {
			return nil
		}
		return func(id string) bool {
			return slices.ContainsFunc(list, func(s medispatcher.Share) bool { return s.Dispatcher == id && some(&s) })
		}
	}
	r.homes.takes = func(sub string) func(string) bool {
		return among(sub, func(s *medispatcher.Share) bool { return s.Pushes > 0 })
	}
	r.retries = func(sub string) func(string) bool {
		return among(sub, func(s *medispatcher.Share) bool { return s.Retries > 0 })
	}
}

// Note takes the list of dispatchers, as of now.
func (r *Ringer) Note(list []medispatcher.Dispatcher) {
	r.homes.note(list, r.store.db.Shown(r.store.db.Now()))
	alive := map[string]bool{}
	for i := range list {
		alive[list[i].ID] = list[i].Alive
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for c, f := range r.full {
		maps.DeleteFunc(f.since, func(id string, since time.Time) bool { return !alive[id] || time.Since(since) > fullFor })
		if _, elsewhere := r.homes.home(c); elsewhere {
			delete(r.full, c)
			continue
		}
		if f.owed { // somebody may have joined
			r.callLocked(c, f)
		}
		r.forgetLocked(c, f)
	}
}

// Copied says that this dispatcher made copies in channels of a partition. Dispatchers of earlier versions have no doorbell, and are
// told of everything. It does not block.
func (r *Ringer) Copied(p int, subs []string) {
	if !r.homes.anyEarly() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sub := range subs {
		r.postLocked(peer{id: earlier, bell: r.store.keys.Control()}, hintReady, medispatcher.Channel{Partition: p, Subscription: sub})
	}
}

// Spilled says that these channels may have more new messages than this dispatcher can take now. It does not block.
func (r *Ringer) Spilled(channels []medispatcher.Channel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range channels {
		r.passLocked(c)
	}
}

// Eased says that this dispatcher has taken all new messages of channels that had spilled. It does not block.
func (r *Ringer) Eased(channels []medispatcher.Channel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range channels {
		if home, elsewhere := r.homes.home(c); elsewhere {
			r.postLocked(home, hintFree, c)
		} else if f := r.full[c]; f != nil {
			f.owed = false // there is nothing left to call for
			r.forgetLocked(c, f)
		}
	}
}

// Due says that messages of these channels are due, and that this dispatcher takes none of them. One that does is rung, whichever:
// where it does not hear, or cannot take them all, the sweeps of the others find them. It does not block.
func (r *Ringer) Due(channels []medispatcher.Channel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range channels {
		if r.retries == nil {
			continue
		}
		if takes := r.retries(c.Subscription); takes != nil {
			if p, some := r.homes.any(takes); some {
				r.postLocked(p, hintDue, c)
			}
		}
	}
}

// Full says that a dispatcher rang because it cannot take all of these channels.
func (r *Ringer) Full(from string, channels []medispatcher.Channel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range channels {
		if _, elsewhere := r.homes.home(c); elsewhere {
			continue // it was called by the home, or by somebody who takes this one for the home
		}
		r.fullLocked(c).since[from] = time.Now()
	}
}

// Free says that a dispatcher that was full can take more of these channels.
func (r *Ringer) Free(from string, channels []medispatcher.Channel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range channels {
		if f := r.full[c]; f != nil {
			delete(f.since, from)
			if f.owed {
				r.callLocked(c, f)
			}
			r.forgetLocked(c, f)
		}
	}
}

// passLocked rings the home of a channel or, if that is this dispatcher, another one.
func (r *Ringer) passLocked(c medispatcher.Channel) {
	if home, elsewhere := r.homes.home(c); elsewhere {
		r.postLocked(home, hintReady, c)
		return
	}
	f := r.fullLocked(c)
	r.callLocked(c, f)
	r.forgetLocked(c, f)
}

func (r *Ringer) fullLocked(c medispatcher.Channel) *full {
	f := r.full[c]
	if f == nil {
		f = &full{since: map[string]time.Time{}}
		r.full[c] = f
	}
	return f
}

// callLocked rings a dispatcher that is not known to be full. If all are, the next that is not gets the ring.
func (r *Ringer) callLocked(c medispatcher.Channel, f *full) {
	helper, some := r.homes.choose(c, func(id string) bool {
		since, known := f.since[id]
		return !known || time.Since(since) > fullFor
	})
	f.owed = !some
	if some {
		r.postLocked(helper, hintReady, c)
	}
}

func (r *Ringer) forgetLocked(c medispatcher.Channel, f *full) {
	if len(f.since) == 0 && !f.owed {
		delete(r.full, c)
	}
}

func (r *Ringer) postLocked(to peer, what string, c medispatcher.Channel) {
	l := letter{to, what, c.Partition}
	if r.waiting[l] == nil {
		r.waiting[l] = map[string]struct{}{}
	}
	r.waiting[l][c.Subscription] = struct{}{}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run sends hints until ctx ends.
func (r *Ringer) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
			r.send(ctx)
		}
	}
}

// send sends what waits. A ring that nobody heard goes to another dispatcher.
func (r *Ringer) send(ctx context.Context) {
	r.mu.Lock()
	waiting := r.waiting
	r.waiting = map[letter]map[string]struct{}{}
	r.mu.Unlock()
	pipe := r.store.db.Pipe(ctx)
	heard := map[*rdb.Reply[int64]]letter{}
	for l, set := range waiting {
		bell := l.to.bell
		if r.store.deaf.Load() { // this user may not use other pub/sub channels
			bell = r.store.keys.Control()
		}
		for subs := range slices.Chunk(slices.Collect(maps.Keys(set)), rdb.SweepChunk) {
			sent := rdb.Int(pipe, "PUBLISH", bell, hintText(l.what, r.store.cfg.ID, l.partition, subs, l.to.id))
			if bell != r.store.keys.Control() { // where others listen as well
				heard[sent] = l
			}
		}
	}
	_ = pipe.Run() // hints
	for sent, l := range heard {
		if n, err := sent.Result(); err == nil && n == 0 {
			r.homes.unheard(l.to.id)
		}
	}
	for sent, l := range heard {
		if n, err := sent.Result(); err != nil || n > 0 || l.what != hintReady {
			continue
		}
		r.mu.Lock()
		for sub := range waiting[l] {
			r.passLocked(medispatcher.Channel{Partition: l.partition, Subscription: sub})
		}
		r.mu.Unlock()
	}
}
