package push

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

// shares are what this dispatcher may have in flight of subscriptions whose limits hold in all dispatchers together. Guarded by
// the mutex of lanes.
type shares struct {
	of    func(sub *medispatcher.Subscription, pushes, retries int) (int, int) // nil: nothing
	until time.Time                                                            // no attempt begins then or later; zero: nobody said
	lease time.Duration                                                        // how long that held when it was said
	gap   time.Time                                                            // when the last time ended that nothing held
	ran   time.Time                                                            // when this process ran last, as far as it is noted
	woke  time.Time                                                            // when it last ran again after it was frozen
	subs  map[string]*subscriber                                               // the subscriptions
	over  map[string]struct{}                                                  // those of which more is in flight
}

// Divide says how many pushes and retries this dispatcher may have in flight of a subscription whose limits hold in all dispatchers
// together, if it might have so many before. What is over that goes on, and nothing more begins. Before the first call it is
// nothing. of only computes: it is called with a mutex held.
func (s *Scheduler) Divide(of func(sub *medispatcher.Subscription, pushes, retries int) (int, int)) {
	s.lanes.mu.Lock()
	s.lanes.shares.of = of
	subs := s.lanes.divided()
	s.lanes.mu.Unlock()
	search := false
	for some := range slices.Chunk(subs, applyAtOnce) {
		s.lanes.mu.Lock()
		for _, sub := range some {
			if !sub.removed && sub.shares != nil {
				search = s.lanes.limitLocked(sub) || search
				s.workers.staffLocked(sub, time.Now())
				s.lanes.offerLocked(sub)
			}
		}
		s.lanes.unlock()
	}
	if search {
		s.Sweep()
	}
}

// DivideUntil says how long what Divide said holds. After that, others may believe that this dispatcher is dead. So no attempt
// begins that Divide limits, nor any for an ordered subscription. When DivideUntil is called again, ordered messages that were read
// before are given back: others may have delivered them, and those behind them. If this process was frozen meanwhile, so are those of all
// other subscriptions. If it was not, Redis was away, and nobody could take over.
func (s *Scheduler) DivideUntil(end time.Time) {
	s.lanes.mu.Lock()
	defer s.lanes.mu.Unlock()
	shares := &s.lanes.shares
	if now := time.Now(); !shares.until.IsZero() && !now.Before(shares.until) {
		shares.gap = now
	}
	shares.until, shares.lease = end, time.Until(end)
}

// ranEvery is how often a process notes that it runs.
const ranEvery = 250 * time.Millisecond

// run notes that this process runs, until ctx ends.
func (ls *lanes) run(ctx context.Context) {
	tick := time.NewTicker(ranEvery)
	defer tick.Stop()
	for {
		ls.mu.Lock()
		now := time.Now()
		if ls.shares.frozen(now) {
			ls.shares.woke = now
		}
		ls.shares.ran = now
		ls.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// frozen reports whether this process did not run for so long that it may count as dead.
func (s *shares) frozen(now time.Time) bool {
	return !s.ran.IsZero() && now.Sub(s.ran) >= max(s.lease/2, 4*ranEvery)
}

// Divides reports whether there are subscriptions whose limits hold in all dispatchers together.
func (s *Scheduler) Divides() bool {
	s.lanes.mu.Lock()
	defer s.lanes.mu.Unlock()
	return len(s.lanes.shares.subs) > 0
}

// Over lists the subscriptions of which more is in flight than this dispatcher's share; see Events.Within.
func (s *Scheduler) Over() []string {
	s.lanes.mu.Lock()
	defer s.lanes.mu.Unlock()
	return slices.Sorted(maps.Keys(s.lanes.shares.over))
}

// Shares are what this dispatcher may have in flight of each subscription whose limits hold in all dispatchers together.
func (s *Scheduler) Shares() map[string]medispatcher.Share {
	s.lanes.mu.Lock()
	defer s.lanes.mu.Unlock()
	all := make(map[string]medispatcher.Share, len(s.lanes.shares.subs))
	for id, sub := range s.lanes.shares.subs {
		all[id] = medispatcher.Share{Pushes: sub.fresh.limit, Retries: sub.retry.limit}
	}
	return all
}

// divided are the subscribers that have shares.
func (ls *lanes) divided() []*subscriber {
	list := make([]*subscriber, 0, len(ls.shares.subs))
	for _, sub := range ls.shares.subs {
		list = append(list, sub)
	}
	return list
}

// limitLocked puts the limits of a subscriber in force. It reports whether it may take what it took none of before.
func (ls *lanes) limitLocked(s *subscriber) (more bool) {
	st, pushes, retries := s.settings.sub, s.fresh.limit, s.retry.limit
	if st.Divided() {
		if s.shares == nil { // the others need not know yet
			pushes, retries = 0, 0
		}
		s.shares = &ls.shares
		ls.shares.subs[st.ID] = s
		s.fresh.limit, s.retry.limit = 0, 0
		if of := ls.shares.of; of != nil {
			s.fresh.limit, s.retry.limit = of(st, pushes, retries)
		}
	} else {
		ls.undivideLocked(s, st.ID)
		s.fresh.limit, s.retry.limit = st.Concurrency, st.RetryConcurrency
	}
	if s.over = s.shares != nil && s.exceeds(); s.over { // in flight there is never more than it was allowed
		ls.shares.over[st.ID] = struct{}{}
	} else {
		delete(ls.shares.over, st.ID)
	}
	if s.retry.limit == 0 {
		for _, l := range s.lanes {
			if l.dueWaits {
				l.dueWaits = false
				ls.due[l.channel.Partition].now(l)
			}
		}
	}
	more = pushes == 0 && s.fresh.limit > 0 || retries == 0 && s.retry.limit > 0
	if more && s.shares != nil && s.pace != nil {
		s.pace.AllowN(time.Now(), 1) // another dispatcher may have pushed a moment ago
	}
	return more
}

// undivideLocked notes that a subscriber has no shares.
func (ls *lanes) undivideLocked(s *subscriber, id string) {
	s.shares, s.over = nil, false
	delete(ls.shares.subs, id)
	delete(ls.shares.over, id)
}

// exceeds reports whether more is in flight than may be.
func (s *subscriber) exceeds() bool {
	return s.fresh.used > s.fresh.limit || s.retry.used > s.retry.limit
}

// withinLocked tells that a subscriber that Over listed has no more in flight than it may have.
func (ws *workers) withinLocked(s *subscriber) {
	if s.over && !s.exceeds() {
		s.over = false
		delete(s.shares.over, s.settings.sub.ID)
		if within := ws.cfg.Events.Within; within != nil {
			ws.settle.news.note(within)
		}
	}
}

// ended reports whether the share of a subscriber does not hold any longer.
func (s *shares) ended(now time.Time) bool { return s != nil && !now.Before(s.until) }

// takenOver reports whether others may have taken over the messages of a batch, and perhaps delivered those behind them.
func (s *shares) takenOver(b *batch, ordered bool, now time.Time) bool {
	if s.until.IsZero() {
		return false
	}
	late, frozen := !now.Before(s.until), s.frozen(now)
	if late && (ordered || frozen) {
		return true
	}
	return slices.ContainsFunc(b.jobs, func(j *job) bool {
		return (late || j.since.Before(s.gap)) && (ordered || frozen || j.since.Before(s.woke))
	})
}

// dueApart spaces what others are told of the due messages of one lane.
const dueApart = 100 * time.Millisecond

// leaveDueLocked leaves due messages of a lane to others, if this dispatcher has no share of them.
func (ls *lanes) leaveDueLocked(l *lane, now time.Time) bool {
	if l.sub.retry.limit > 0 {
		return false
	}
	if again := l.dueLeft.Add(dueApart); again.After(now) {
		ls.due[l.channel.Partition].at(l, again)
		return true
	}
	if l.dueLeft = now; ls.others {
		ls.dueLeft = append(ls.dueLeft, l.channel)
	}
	return true
}
