package push

import (
	"math/rand/v2"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// worker delivers messages in one slot of a subscription, one after another while there are some.
type worker struct {
	*workers
	kind *slots // fresh or retry
}

// run makes an attempt at its turn, and goes on with what was read ahead.
func (w worker) run(l *lane, d *medispatcher.Delivery, at time.Time) {
	for {
		w.attempt(l, d, at)
		w.lanes.mu.Lock()
		next, more := waiting{}, false
		if w.kind == &l.sub.fresh {
			next, more = l.sub.next()
		}
		if !more {
			w.kind.used--
		}
		w.lanes.freedLocked(l.sub)
		w.lanes.mu.Unlock()
		if !more {
			return
		}
		l, d, at = next.lane, &next.delivery, time.Time{}
	}
}

// attempt makes one attempt and has its outcome settled.
func (w worker) attempt(l *lane, d *medispatcher.Delivery, at time.Time) {
	out := medispatcher.Settlement{Channel: d.Channel, EntryID: d.EntryID, Attempt: d.Attempt, Outcome: medispatcher.Released}
	if w.await(at) {
		if st, r, made := w.send(l, d); made {
			out = w.decide(st, d, &r)
			w.dropping(d, &out)
			w.tell(st, d, &r, &out)
		}
	}
	out.Message = &d.Message
	w.settle.add(out)
}

// await waits for a turn; it reports false when the dispatcher stops before it.
func (w worker) await(at time.Time) bool {
	select {
	case <-w.stopping:
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
	case <-w.stopping:
		return false
	}
}

// send sends one request as soon as this machine has what it takes. It reports false where no attempt was made
// that counts: the breaker is open, the dispatcher stops, or the machine was short of something for too long.
func (w worker) send(l *lane, d *medispatcher.Delivery) (st *settings, r result, made bool) {
	var until time.Time
	var back medispatcher.Backoff
	for {
		round, ok := w.short.enter(&until, w.stopping)
		if !ok {
			w.lanes.noProbe(l.sub)
			return nil, r, false
		}
		st, br, leave, ok := w.begin(l.sub)
		if !ok {
			w.short.away(time.Now())
			return nil, r, false
		}
		ctx := w.deliver
		if leave.probe {
			ctx = http1.Fresh(ctx) // an idle connection may be dead, which would hide that the worker is back
		}
		r = w.post(ctx, st, d)
		now := time.Now()
		w.short.left(&r, now)
		if w.end(l.sub, st, d, &r, br, leave, now); !r.short {
			return st, r, true
		}
		w.short.met(round, r.err)
		if ofPorts(r.err) && (back.Failures() == shortagePauses || !w.await(time.Now().Add(back.Next()))) {
			return nil, r, false
		}
	}
}

// begin begins an attempt by the settings in force, unless the breaker does not let it.
func (w worker) begin(sub *subscriber) (st *settings, br *breaker, leave permit, ok bool) {
	w.lanes.mu.Lock()
	defer w.lanes.mu.Unlock()
	if leave, ok = sub.breaker.begin(); ok {
		sub.began(time.Now())
	}
	return sub.settings, sub.breaker, leave, ok
}

// end notes what an attempt came to.
func (w worker) end(sub *subscriber, st *settings, d *medispatcher.Delivery, r *result, br *breaker, leave permit, now time.Time) {
	w.lanes.mu.Lock()
	defer w.lanes.mu.Unlock()
	br.end(leave, d.EntryID, r)
	if r.short {
		sub.ended(now, 0)
		return
	}
	sub.ended(now, r.took)
	r.outdated = sub.settings != st
}

// decide decides what becomes of a message after an attempt; see outcomeOf.
func (ws *workers) decide(st *settings, d *medispatcher.Delivery, r *result) (out medispatcher.Settlement) {
	p := medispatcher.Guard(func() { out = outcomeOf(&st.sub, d, r, time.Now(), rand.Float64()) })
	if p != nil {
		ws.survived(d, p, "deciding about a message")
		r.survive(p, r.accepted)
		out = outcomeOf(&st.sub, d, r, time.Now(), rand.Float64())
	}
	return out
}
