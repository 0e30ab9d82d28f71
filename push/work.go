package push

import (
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// start begins a delivery in a slot that is reserved for it.
func (s *Scheduler) start(l *lane, d medispatcher.Delivery, kind *slots, at time.Time) {
	s.workers.Go(func() { s.work(l, &d, kind, at) })
}

// work makes an attempt at its turn, and goes on with what was read ahead.
func (s *Scheduler) work(l *lane, d *medispatcher.Delivery, kind *slots, at time.Time) {
	for {
		s.deliverOne(l, d, at)
		s.mu.Lock()
		next, more := waiting{}, false
		if kind == &l.sub.fresh {
			next, more = l.sub.next()
		}
		if !more {
			kind.used--
		}
		s.freed(l.sub)
		s.mu.Unlock()
		if !more {
			return
		}
		l, d, at = next.lane, &next.delivery, time.Time{}
	}
}

// startAhead starts what was read ahead in slots that there are now: no end of a request will
// where the worker hangs.
func (s *Scheduler) startAhead(sub *subscriber) {
	for !s.draining && sub.fresh.free() > 0 {
		w, more := sub.next()
		if !more {
			return
		}
		sub.fresh.used++
		s.start(w.lane, w.delivery, &sub.fresh, time.Time{})
	}
}

// startEarly starts a message that was taken before the outcome of its last attempt was known, which it is now.
func (s *Scheduler) startEarly(l *lane, last *medispatcher.Settlement, now time.Time) {
	d, early := l.early[last.EntryID]
	if !early {
		return
	}
	delete(l.early, last.EntryID)
	if s.draining || !l.live() || last.Outcome == medispatcher.Released {
		// The step that gives back may have run a second time since this process took the entry again, so it is not certain
		// whose it is. Leaving gives it back, or else the next comparison.
		l.sub.retry.used--
		s.budget.hold(l.sub, d.held.from, -d.held.bytes)
		l.failed()
		return
	}
	l.took(last.EntryID, d.held)
	s.start(l, d.Delivery, &l.sub.retry, l.sub.turn(now))
}

// deliverOne makes one attempt and has its outcome settled.
func (s *Scheduler) deliverOne(l *lane, d *medispatcher.Delivery, at time.Time) {
	out := medispatcher.Settlement{Channel: d.Channel, EntryID: d.EntryID, Attempt: d.Attempt, Outcome: medispatcher.Released}
	if s.await(at) {
		if st, r, made := s.attempt(l, d); made {
			out = s.decide(st, d, &r)
			s.dropping(d, &out)
			if p := medispatcher.Guard(func() { s.notice(d, &r, &out) }); p != nil {
				s.survived(d, p, "telling what became of a message") // it becomes that all the same
			}
		}
	}
	out.Message = &d.Message
	s.settle.add(out)
}

// attempt makes one attempt as soon as this machine has what it takes. It reports false where
// none was made that counts: the breaker is open, the dispatcher stops, or the machine was short of
// something for too long.
func (s *Scheduler) attempt(l *lane, d *medispatcher.Delivery) (st *settings, r result, made bool) {
	var until time.Time
	var back medispatcher.Backoff
	for {
		round, ok := s.short.enter(&until, s.stopping)
		s.mu.Lock()
		if !ok {
			s.noProbe(l.sub)
			s.mu.Unlock()
			return nil, r, false
		}
		st, br := l.sub.settings, l.sub.breaker
		leave, ok := br.begin()
		if !ok {
			s.mu.Unlock()
			s.short.away(time.Now())
			return nil, r, false
		}
		l.sub.began(time.Now())
		s.mu.Unlock()
		ctx := s.deliver
		if leave.probe {
			ctx = http1.Fresh(ctx) // a pool gone mute would hide that the worker is back
		}
		r = s.post(ctx, st, d)
		if s.attempted(l, d, st, &r, br, leave); !r.short {
			return st, r, true
		}
		s.short.met(round, r.err)
		if ofPorts(r.err) && (back.Failures() == shortagePauses || !s.await(time.Now().Add(back.Next()))) {
			return nil, r, false
		}
	}
}

// attempted notes what an attempt came to.
func (s *Scheduler) attempted(l *lane, d *medispatcher.Delivery, st *settings, r *result, br *breaker, leave permit) {
	now := time.Now()
	s.short.left(r, now)
	s.mu.Lock()
	br.end(leave, d.EntryID, r)
	if r.short {
		l.sub.ended(now, 0)
	} else {
		l.sub.ended(now, r.took)
		r.outdated = l.sub.settings != st
	}
	s.mu.Unlock()
}

// await waits for a turn; it reports false when the dispatcher stops before it.
func (s *Scheduler) await(at time.Time) bool {
	select {
	case <-s.stopping:
		return false
	default:
	}
	d := time.Until(at)
	if at.IsZero() || d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stopping:
		return false
	}
}

// dropping has what is to be dropped written down first, or else keeps it.
func (s *Scheduler) dropping(d *medispatcher.Delivery, out *medispatcher.Settlement) {
	if out.Outcome != medispatcher.Dropped || s.cfg.Events.Dropping == nil {
		return
	}
	var err error
	if p := medispatcher.Guard(func() { err = s.cfg.Events.Dropping(d, out) }); p != nil {
		s.survived(d, p, "writing down a message that is to be dropped")
		err = p
	}
	if err != nil {
		spare(out, d, err, time.Now())
	}
}

func (s *Scheduler) notice(d *medispatcher.Delivery, r *result, out *medispatcher.Settlement) {
	if s.cfg.Events.Settled != nil {
		s.cfg.Events.Settled(d, out)
	}
	if r.gone() && !r.outdated && s.cfg.Events.Gone != nil {
		s.cfg.Events.Gone(out.By)
	}
	attrs := []any{"topic", d.Message.Topic, "subscription", d.Subscription, "id", d.Message.ID, "attempt", d.Attempt}
	switch out.Outcome {
	case medispatcher.Dropped:
		if out.Failure != nil {
			s.cfg.Log.Warn("message dropped by policy: no attempts are left", append(attrs, "error", out.Failure.LastError, "target", r.target)...)
			break
		}
		s.cfg.Log.Warn("message dropped: no worker URL of the subscription is for this environment", append(attrs, "env", s.cfg.Env)...)
	case medispatcher.Failed:
		s.cfg.Log.Info("push failed", append(attrs, "error", out.Failure.LastError, "target", r.target, "again_in", out.Delay.Round(time.Millisecond).String())...)
	case medispatcher.Exhausted:
		s.cfg.Log.Warn("message is dead: no attempts are left", append(attrs, "error", out.Failure.LastError, "target", r.target)...)
	case medispatcher.Sent, medispatcher.Released:
	}
}
