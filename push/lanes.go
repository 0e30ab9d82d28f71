package push

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// lanes are the subscriptions of this dispatcher, their subscribers and lanes, and which of these have work to do. A decision to read looks
// at the slots, the breaker and the budget at once, so one mutex guards all of them. A method named …Locked needs
// the mutex; the others take it. Nothing is called back, logged or waited for under it.
type lanes struct {
	mu     sync.Mutex
	budget *budget
	env    string                                // as in Config
	known  map[string]*medispatcher.Subscription // all that are in force
	subs   map[string]*subscriber                // of those that had work, or have shares; see subscriberLocked
	open   map[medispatcher.Channel]*lane        // of subs, those that have work or had some lately; see laneLocked
	// touched are the lanes that were read. They outlive subs: what a removed subscription has in flight goes on.
	touched map[medispatcher.Channel]*lane
	removed map[string]*subscriber // that have such lanes
	// joined are the channels without a lane where this process's consumer may exist: it has to leave at the end. Those of removed
	// subscriptions are gone.
	joined map[medispatcher.Channel]struct{}
	// stirred are the subscribers that a doorbell rang for since they were asked for.
	stirred []*subscriber
	fresh   []*pump // of each partition
	due     []*pump
	shares  shares
	outages map[string]*outage // of those that breakers are open for
	turned  func(b *breaker, open bool)
	spills
	doubtful chan struct{} // gets a value when a read may have taken what is not known here, or is another's: see inflight
}

func newLanes(partitions int, b *budget) *lanes {
	ls := &lanes{
		budget:  b,
		known:   map[string]*medispatcher.Subscription{},
		subs:    map[string]*subscriber{},
		open:    map[medispatcher.Channel]*lane{},
		touched: map[medispatcher.Channel]*lane{},
		removed: map[string]*subscriber{},
		joined:  map[medispatcher.Channel]struct{}{},
		outages: map[string]*outage{},
		shares:  shares{subs: map[string]*subscriber{}, over: map[string]struct{}{}},

		doubtful: make(chan struct{}, 1),
	}
	for range partitions {
		ls.fresh = append(ls.fresh, newPump())
		ls.due = append(ls.due, newPump())
	}
	return ls
}

// subscriberLocked is the subscriber of a subscription. It is made when there is something to do, because an idle subscription
// should cost little; nil: there is no such subscription here.
func (ls *lanes) subscriberLocked(id string) *subscriber {
	if sub := ls.subs[id]; sub != nil {
		return sub
	}
	known := ls.known[id]
	if known == nil {
		return nil
	}
	sub := ls.addLocked(known.ID) // the other string may be a part of a large one
	sub.apply(newSettings(known, ls.env))
	ls.limitLocked(sub)
	return sub
}

// addLocked makes the subscriber of a subscription that has none, or takes up the one that was removed: nobody else knows
// what that one has in flight.
func (ls *lanes) addLocked(id string) *subscriber {
	sub := ls.removed[id]
	if sub == nil {
		sub = &subscriber{}
	}
	delete(ls.removed, id)
	sub.removed, sub.stirred, sub.breaker = false, false, newBreaker(sub, ls.turned)
	ls.subs[id] = sub
	for _, l := range sub.lanes {
		ls.open[l.channel] = l
	}
	return sub
}

// removeLocked ends a subscriber here. What it has in flight goes on.
func (ls *lanes) removeLocked(id string, sub *subscriber) {
	sub.removed = true
	delete(ls.subs, id)
	ls.undivideLocked(sub, id)
	sub.lanes = slices.DeleteFunc(sub.lanes, func(l *lane) bool {
		delete(ls.open, l.channel)
		return ls.touched[l.channel] == nil
	})
	if len(sub.lanes) > 0 {
		ls.removed[id] = sub
	}
	if sub.stirred {
		ls.stirred = slices.DeleteFunc(ls.stirred, func(s *subscriber) bool { return s == sub })
	}
}

// laneLocked is the lane of a channel. It is made when there is something to do; nil: there is no such subscription here.
func (ls *lanes) laneLocked(c medispatcher.Channel) *lane {
	if l := ls.open[c]; l != nil {
		return l
	}
	if c.Partition >= len(ls.fresh) {
		return nil
	}
	sub := ls.subscriberLocked(c.Subscription)
	if sub == nil {
		return nil
	}
	c.Subscription = sub.settings.sub.ID // as in subscriberLocked
	l := &lane{channel: c, sub: sub, inflight: newInflight()}
	if _, l.touched = ls.joined[c]; l.touched {
		delete(ls.joined, c)
		ls.touched[c] = l
	}
	ls.open[c] = l
	sub.lanes = append(sub.lanes, l)
	return l
}

// idleSweeps is how many sweeps a lane has nothing to do before it is dropped.
const idleSweeps = 3

// dropIdle drops the lanes that had nothing to do for some time.
func (ls *lanes) dropIdle() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.open {
		ls.dropLocked(l)
	}
	for _, sub := range ls.removed {
		for _, l := range slices.Clone(sub.lanes) {
			ls.dropLocked(l)
		}
	}
}

func (ls *lanes) dropLocked(l *lane) {
	c := l.channel
	if l.active && l.live() || l.dueWaits || !l.inflight.idle() || ls.fresh[c.Partition].has(l) || ls.due[c.Partition].has(l) {
		l.idle = 0
		return
	}
	if l.idle++; l.idle < idleSweeps {
		return
	}
	delete(ls.open, c)
	delete(ls.touched, c)
	sub := l.sub
	if l.touched && !sub.removed {
		ls.joined[c] = struct{}{}
	}
	if sub.lanes = slices.DeleteFunc(sub.lanes, func(other *lane) bool { return other == l }); sub.removed && len(sub.lanes) == 0 {
		delete(ls.removed, c.Subscription)
	}
}

// takeStirred lists the subscriptions that had something to do since the last call.
func (ls *lanes) takeStirred() []string {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ids := make([]string, 0, len(ls.stirred))
	for _, sub := range ls.stirred {
		sub.stirred = false
		ids = append(ids, sub.settings.sub.ID)
	}
	clear(ls.stirred)
	ls.stirred = ls.stirred[:0]
	return ids
}

// ids lists the subscriptions.
func (ls *lanes) ids() []string {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return slices.Collect(maps.Keys(ls.known))
}

// channels lists those ever read, and those of them that have no lane any more: nothing there is this process's.
func (ls *lanes) channels() (touched, joined []medispatcher.Channel) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return slices.Collect(maps.Keys(ls.touched)), slices.Collect(maps.Keys(ls.joined))
}

// held lists the breakers that are open, the oldest first.
func (ls *lanes) held() []medispatcher.Breaker {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var held []medispatcher.Breaker
	for id, sub := range ls.subs {
		if sub.breaker.open() {
			held = append(held, medispatcher.Breaker{Subscription: id, Since: sub.breaker.since.UTC().Truncate(time.Millisecond)})
		}
	}
	slices.SortFunc(held, func(a, b medispatcher.Breaker) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Subscription, b.Subscription))
	})
	return held
}

// inflight is the number of requests and unsettled outcomes at this moment.
func (ls *lanes) inflight() int {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	n := 0
	for _, l := range ls.touched {
		n += len(l.entries)
	}
	return n
}

// bodies is how many bytes of bodies are held or about to be read, and how many may be.
func (ls *lanes) bodies() (bytes, limit int64) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	b := ls.budget
	return b.used[pool] + b.used[reserve], b.limit[pool] + b.limit[reserve]
}
