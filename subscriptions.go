package medispatcher

import (
	"cmp"
	"iter"
	"slices"
)

// Subscriptions are all subscriptions at one time, in the order of their ids. They never change and are safe for concurrent
// use: With makes others, which share what is the same. nil has none.
type Subscriptions struct {
	byID    sorted[*Subscription]
	ordered sorted[*Subscription] // those of byID that are
	router  *Router
	atOnce  int
}

// SubscriptionChange is one subscription before and after; nil: there is none. Nobody may change what the two point to.
type SubscriptionChange struct{ Was, Now *Subscription }

// ID is the id of the subscription.
func (c SubscriptionChange) ID() string { return cmp.Or(c.Now, c.Was).ID }

var noRouter = NewRouter(nil)

// NewSubscriptions makes a set of valid subscriptions. Each id comes once.
func NewSubscriptions(subs ...Subscription) *Subscriptions {
	list := make([]*Subscription, len(subs))
	for i := range subs {
		list[i] = &subs[i]
	}
	return (*Subscriptions)(nil).With(list, nil)
}

// With are the subscriptions after some were put, each id once, and others removed. It takes time for these, not for all.
func (s *Subscriptions) With(put []*Subscription, removed []string) *Subscriptions {
	if s == nil {
		s = &Subscriptions{router: noRouter}
	}
	changes := make([]SubscriptionChange, 0, len(put)+len(removed))
	pairs := make([]pair[*Subscription], 0, len(put)+len(removed))
	for _, sub := range put {
		pairs = append(pairs, pair[*Subscription]{sub.ID, sub})
	}
	for _, id := range removed {
		pairs = append(pairs, pair[*Subscription]{key: id})
	}
	slices.SortFunc(pairs, func(x, y pair[*Subscription]) int { return cmp.Compare(x.key, y.key) })
	atOnce := s.atOnce
	var ordered []pair[*Subscription]
	for _, p := range pairs {
		c := SubscriptionChange{Was: s.byID.get(p.key), Now: p.value}
		if is := c.Now != nil && c.Now.Ordered; is {
			ordered = append(ordered, p)
		} else if c.Was != nil && c.Was.Ordered {
			ordered = append(ordered, pair[*Subscription]{key: p.key})
		}
		if c.Was != nil {
			atOnce -= c.Was.AtOnce()
		}
		if c.Now != nil {
			atOnce += c.Now.AtOnce()
		}
		changes = append(changes, c)
	}
	next := &Subscriptions{byID: s.byID.with(pairs), ordered: s.ordered, router: s.router.With(changes), atOnce: atOnce}
	if len(ordered) > 0 {
		next.ordered = s.ordered.with(ordered)
	}
	return next
}

// Since are the subscriptions that are not the same as before, sorted by id. It takes time for these, not for all.
func (s *Subscriptions) Since(before *Subscriptions) (changes []SubscriptionChange) {
	var was, now sorted[*Subscription]
	if before != nil {
		was = before.byID
	}
	if s != nil {
		now = s.byID
	}
	for _, c := range now.since(&was) {
		changes = append(changes, SubscriptionChange{c[0], c[1]})
	}
	return changes
}

// Get returns a subscription, nil if there is none. Nobody may change it.
func (s *Subscriptions) Get(id string) *Subscription {
	if s == nil {
		return nil
	}
	return s.byID.get(id)
}

// Ordered are those of some ids whose subscriptions are ordered, in the same order.
func (s *Subscriptions) Ordered(ids []string) (ordered []string) {
	if s == nil || s.ordered.n == 0 {
		return nil
	}
	for _, id := range ids {
		if s.ordered.get(id) != nil {
			ordered = append(ordered, id)
		}
	}
	return ordered
}

// Len is the number of subscriptions.
func (s *Subscriptions) Len() int {
	if s == nil {
		return 0
	}
	return s.byID.n
}

// After are the subscriptions whose id is larger than the given one. Nobody may change them.
func (s *Subscriptions) After(id string) iter.Seq[*Subscription] {
	return func(yield func(*Subscription) bool) {
		if s == nil {
			return
		}
		for _, sub := range s.byID.after(id) {
			if !yield(sub) {
				return
			}
		}
	}
}

// All are all subscriptions. Nobody may change them.
func (s *Subscriptions) All() iter.Seq[*Subscription] { return s.After("") }

// IDs are the ids of all subscriptions.
func (s *Subscriptions) IDs() []string {
	ids := make([]string, 0, s.Len())
	for sub := range s.All() {
		ids = append(ids, sub.ID)
	}
	return ids
}

// Router routes to these subscriptions.
func (s *Subscriptions) Router() *Router {
	if s == nil {
		return noRouter
	}
	return s.router
}

// AtOnce is how many requests a dispatcher has in flight at most for all of them.
func (s *Subscriptions) AtOnce() int {
	if s == nil {
		return 0
	}
	return s.atOnce
}
