package push

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// lanes are the subscribers of this dispatcher and their lanes, and which of these have work to do. A decision to read looks
// at the slots, the breaker and the budget at once, so one mutex guards all of them. A method named …Locked needs
// the mutex; the others take it. Nothing is called back, logged or waited for under it.
type lanes struct {
	mu     sync.Mutex
	budget *budget
	subs   map[string]*subscriber
	open   map[medispatcher.Channel]*lane // of subs
	// touched are the lanes ever read. It outlives subs: the consumer of a removed subscription has to leave, too.
	touched map[medispatcher.Channel]*lane
	// stirred are the subscribers that a doorbell rang for since they were asked for.
	stirred []*subscriber
	fresh   []*pump // of each partition
	due     []*pump
}

func newLanes(partitions int, b *budget) *lanes {
	ls := &lanes{
		budget:  b,
		subs:    map[string]*subscriber{},
		open:    map[medispatcher.Channel]*lane{},
		touched: map[medispatcher.Channel]*lane{},
	}
	for range partitions {
		ls.fresh = append(ls.fresh, newPump())
		ls.due = append(ls.due, newPump())
	}
	return ls
}

// addLocked makes the subscriber of a subscription that is new here, or takes up the one that was removed: nobody else knows
// what that one has in flight.
func (ls *lanes) addLocked(id string) *subscriber {
	var sub *subscriber
	for p := range ls.fresh {
		if l := ls.touched[medispatcher.Channel{Partition: p, Subscription: id}]; l != nil {
			sub = l.sub
		}
	}
	if sub == nil {
		sub = &subscriber{}
		for p := range ls.fresh {
			c := medispatcher.Channel{Partition: p, Subscription: id}
			sub.lanes = append(sub.lanes, &lane{channel: c, sub: sub, inflight: newInflight()})
		}
	}
	sub.removed, sub.stirred, sub.breaker = false, false, nil
	ls.subs[id] = sub
	for _, l := range sub.lanes {
		ls.open[l.channel] = l
	}
	return sub
}

// removeLocked ends a subscription here. What it has in flight goes on.
func (ls *lanes) removeLocked(id string, sub *subscriber) {
	sub.removed = true
	delete(ls.subs, id)
	for _, l := range sub.lanes {
		delete(ls.open, l.channel)
	}
	ls.stirred = slices.DeleteFunc(ls.stirred, func(s *subscriber) bool { return s == sub })
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
	return slices.Collect(maps.Keys(ls.subs))
}

// channels lists those ever read.
func (ls *lanes) channels() []medispatcher.Channel {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	channels := make([]medispatcher.Channel, 0, len(ls.touched))
	for c := range ls.touched {
		channels = append(channels, c)
	}
	return channels
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
