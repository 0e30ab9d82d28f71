package push

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
)

// ring says that channels have new messages.
func (ls *lanes) ring(channels []medispatcher.Channel) {
	ls.mu.Lock()
	defer ls.unlock()
	for _, c := range channels {
		if l := ls.laneLocked(c); l != nil {
			ls.ringLocked(l)
		}
	}
}

// ringDue says that messages of channels became due before their time.
func (ls *lanes) ringDue(channels []medispatcher.Channel) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, c := range channels {
		if l := ls.laneLocked(c); l != nil {
			ls.due[c.Partition].now(l)
		}
	}
}

// found rings for channels that have something in them.
func (ls *lanes) found(waiting []medispatcher.Waiting, now time.Time) {
	ls.mu.Lock()
	defer ls.unlock()
	for _, w := range waiting {
		l := ls.laneLocked(w.Channel)
		if l == nil || !l.live() {
			continue
		}
		if l.sub.breaker.place != nil && w.DueIn <= 0 { // it is called when its turn comes
			l.active, l.rung = true, true
			l.dueWaits = l.dueWaits || w.DueIn == 0 && l.sub.retry.limit > 0
			ls.stirLocked(l.sub)
			continue
		}
		ls.ringLocked(l)
		if w.DueIn >= 0 && l.sub.retry.limit > 0 {
			ls.due[w.Partition].at(l, now.Add(w.DueIn))
		}
	}
}

func (ls *lanes) ringLocked(l *lane) {
	l.active, l.rung = true, true
	ls.stirLocked(l.sub)
	switch {
	case l.fresh.underWay || !l.live():
	case l.sub.room() == 0 || ls.leaving:
		ls.spillLocked(l, time.Now())
	default:
		ls.fresh[l.channel.Partition].now(l)
	}
}

// stirLocked notes that a subscription has something to do; see takeStirred.
func (ls *lanes) stirLocked(sub *subscriber) {
	if !sub.stirred {
		sub.stirred = true
		ls.stirred = append(ls.stirred, sub)
	}
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
		if l.touched && l.live() && sub.retryRoom() > 0 {
			ls.due[l.channel.Partition].now(l)
		}
	}
}

// freedLocked queues the lanes of a subscription after slots of it became free.
func (ls *lanes) freedLocked(sub *subscriber, now time.Time) {
	for _, l := range sub.lanes {
		ls.gatherLocked(l, now)
		if l.dueWaits && l.live() && sub.retryRoom() > 0 {
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
// a moment, so that a read is worth its cost. While others look for room in the budget, it looks no sooner than they:
// it would have again what it just gave back.
func (ls *lanes) gatherLocked(l *lane, now time.Time) {
	room, pump := l.sub.room(), ls.fresh[l.channel.Partition]
	switch {
	case !l.active || l.fresh.underWay || !l.live() || room == 0:
	case l.back.Failures() > 0 && pump.waits(l): // Redis refused the last read
	case ls.budget.tight(now):
		pump.at(l, ls.budget.again(l.sub, now))
	case room >= l.sub.window()*l.sub.settings.size/gatherShare:
		pump.now(l)
	case l.sub.fresh.ahead.messages() < l.sub.fresh.limit*l.sub.settings.size: // what was read ahead may be used up before there is more room
		pump.at(l, now.Add(gatherFor))
	}
}

// noProbeLocked: the message that should have been the probe of an open breaker was not there.
func (ls *lanes) noProbeLocked(sub *subscriber) {
	if now := time.Now(); sub.breaker.noProbe(now) {
		ls.freedLocked(sub, now)
	}
}

// callNextLocked has a subscription that waits for room for too long look again.
func (ls *lanes) callNextLocked(now time.Time) {
	if next := ls.budget.next(now); next != nil {
		ls.offerLocked(next)
	}
}
