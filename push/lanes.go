package push

import (
	"cmp"
	"context"
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

// ring says that channels have new messages.
func (ls *lanes) ring(channels []medispatcher.Channel) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, c := range channels {
		if l := ls.open[c]; l != nil {
			ls.ringLocked(l)
		}
	}
}

// ringDue says that messages of channels became due before their time.
func (ls *lanes) ringDue(channels []medispatcher.Channel) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, c := range channels {
		if l := ls.open[c]; l != nil {
			ls.due[c.Partition].now(l)
		}
	}
}

// found rings for channels that have something in them.
func (ls *lanes) found(waiting []medispatcher.Waiting, now time.Time) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, w := range waiting {
		l := ls.open[w.Channel]
		if l == nil {
			continue
		}
		ls.ringLocked(l)
		if w.DueIn >= 0 {
			ls.due[w.Partition].at(l, now.Add(w.DueIn))
		}
	}
}

func (ls *lanes) ringLocked(l *lane) {
	l.active, l.rung = true, true
	if !l.sub.stirred {
		l.sub.stirred = true
		ls.stirred = append(ls.stirred, l.sub)
	}
	if !l.fresh.underWay && l.live() && l.sub.room() > 0 {
		ls.fresh[l.channel.Partition].now(l)
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

// awaken waits until lanes of a pump can be worked on; it reports false when ctx ended.
func (ls *lanes) awaken(ctx context.Context, p *pump) bool {
	ls.mu.Lock()
	next := p.next(time.Now())
	ls.mu.Unlock()
	return p.await(ctx, next)
}

// offerLocked queues the lanes of a subscription that may have got slots.
func (ls *lanes) offerLocked(sub *subscriber) {
	for _, l := range sub.lanes {
		if l.active {
			ls.ringLocked(l)
		}
		// A lane without due messages costs one look at an empty set.
		if l.touched && l.live() && sub.retry.free() > 0 {
			ls.due[l.channel.Partition].now(l)
		}
	}
}

// freedLocked queues the lanes of a subscription after one of its slots became free.
func (ls *lanes) freedLocked(sub *subscriber) {
	for _, l := range sub.lanes {
		ls.gatherLocked(l)
		if l.dueWaits && l.live() && sub.retry.free() > 0 {
			l.dueWaits = false
			ls.due[l.channel.Partition].now(l)
		}
	}
}

const (
	gatherShare = 2 // of the window has to be free for a read at once
	gatherFor   = time.Millisecond
)

// gatherLocked queues a lane that has room. While a subscription is busy, room gathers for
// a moment, so that a read is worth its cost.
func (ls *lanes) gatherLocked(l *lane) {
	room, pump := l.sub.room(), ls.fresh[l.channel.Partition]
	switch {
	case !l.active || l.fresh.underWay || !l.live() || room == 0:
	case room >= l.sub.window()/gatherShare:
		pump.now(l)
	default:
		pump.at(l, time.Now().Add(gatherFor))
	}
}

// noProbe: the message that should have been the probe of an open breaker was not there.
func (ls *lanes) noProbe(sub *subscriber) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.noProbeLocked(sub)
}

func (ls *lanes) noProbeLocked(sub *subscriber) {
	if sub.breaker.probing {
		sub.breaker.probing = false
		ls.freedLocked(sub)
	}
}

// callNextLocked has a subscription that waits for room for too long look again.
func (ls *lanes) callNextLocked(now time.Time) {
	if next := ls.budget.next(now); next != nil {
		ls.offerLocked(next)
	}
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

// running lists the subscriptions that are not paused.
func (ls *lanes) running() []string {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ids := make([]string, 0, len(ls.subs))
	for id, sub := range ls.subs {
		if !sub.settings.sub.Paused {
			ids = append(ids, id)
		}
	}
	return ids
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
