package push

import (
	"math/rand/v2"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// worker makes attempts for one subscription, one after another while there are messages.
type worker struct {
	*workers
	sub  *subscriber
	snd  *http1.Sender // released when there is nothing to send
	wake chan *job     // made when it is parked first: what to do next; nil: nothing more
}

// run makes an attempt at a message, and at others while it is given more.
func (w *worker) run(j *job) {
	defer w.snd.Release()
	for j != nil {
		out, r := w.attempt(j)
		j = w.next(j, &out, &r)
	}
}

// attempt makes one attempt, and returns what becomes of the message.
func (w *worker) attempt(j *job) (out medispatcher.Settlement, r result) {
	out = medispatcher.Settlement{Channel: j.Channel, EntryID: j.EntryID, Attempt: j.Attempt, Outcome: medispatcher.Released}
	if w.await(j.at) && w.send(j, &r) {
		out = w.decide(j.settings, &j.Delivery, &r)
		w.dropping(&j.Delivery, &out)
		w.tell(j.settings, &j.Delivery, &r, &out)
		out.Answer = nil
	}
	out.Message = &j.Message
	return out, r
}

// next hands over an outcome, and waits for the next message if there may be one; nil: there is none. The slot stays taken
// until Redis has the outcome: what a crash delivers again is never more than the slots of a subscription.
func (w *worker) next(done *job, out *medispatcher.Settlement, r *result) *job {
	w.lanes.mu.Lock()
	if r.ended.IsZero() {
		r.ended = time.Now()
	}
	if done.begun {
		w.endLocked(done, r)
	}
	w.settleLocked(done, out)
	parks := done.slot == &w.sub.fresh && w.sub.more() && !w.draining
	if parks {
		if w.wake == nil {
			w.wake = make(chan *job, 1)
		}
		w.sub.parked = append(w.sub.parked, w)
	}
	w.lanes.mu.Unlock()
	if !parks {
		return nil
	}
	return <-w.wake
}

// await waits for a turn; it reports false when the dispatcher stops before it.
func (w *worker) await(at time.Time) bool {
	select {
	case <-w.stopping:
		return false
	default:
	}
	if at.IsZero() {
		return true
	}
	d := time.Until(at)
	if d <= 0 {
		return true
	}
	w.snd.Release()
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
func (w *worker) send(j *job, r *result) (made bool) {
	var until time.Time
	var back medispatcher.Backoff
	for {
		round, ok := w.short.enter(&until, w.stopping, w.snd.Release)
		if !ok {
			w.unmade(j)
			return false
		}
		if !w.begin(j) {
			w.short.away(time.Now())
			return false
		}
		// A probe takes a new connection: an idle one may be dead, which would hide that the worker is back.
		*r = w.post(w.snd, j.settings, &j.Delivery, j.leave.probe)
		if r.ended.IsZero() { // no URL qualified, or the message is broken
			r.ended = time.Now()
		}
		w.short.left(r, r.ended)
		if r.accepted {
			return true // next ends it
		}
		w.end(j, r)
		if !r.short {
			return true
		}
		w.short.met(round, r.err)
		if ofPorts(r.err) && (back.Failures() == shortagePauses || !w.await(time.Now().Add(back.Next()))) {
			return false
		}
	}
}

// unmade notes that there will be no attempt.
func (w *worker) unmade(j *job) {
	w.lanes.mu.Lock()
	defer w.lanes.mu.Unlock()
	if !j.begun { // else next ends it
		w.lanes.noProbeLocked(w.sub)
	}
}

// begin begins an attempt by the settings in force, unless the breaker does not let it.
func (w *worker) begin(j *job) bool {
	if j.begun {
		return true
	}
	w.lanes.mu.Lock()
	defer w.lanes.mu.Unlock()
	return j.beginLocked(time.Now())
}

func (j *job) beginLocked(now time.Time) bool {
	sub := j.lane.sub
	if j.leave, j.begun = sub.breaker.begin(); j.begun {
		j.settings, j.breaker = sub.settings, sub.breaker
		sub.began(now)
	}
	return j.begun
}

// end notes what an attempt came to.
func (w *worker) end(j *job, r *result) {
	w.lanes.mu.Lock()
	defer w.lanes.mu.Unlock()
	w.endLocked(j, r)
}

func (w *worker) endLocked(j *job, r *result) {
	j.begun = false
	j.breaker.end(j.leave, j.EntryID, r)
	if r.short {
		w.sub.ended(r.ended, 0)
		return
	}
	w.sub.ended(r.ended, r.took)
	r.outdated = w.sub.settings != j.settings
}

// decide decides what becomes of a message after an attempt; see outcomeOf.
func (ws *workers) decide(st *settings, d *medispatcher.Delivery, r *result) (out medispatcher.Settlement) {
	p := medispatcher.Guard(func() { out = outcomeOf(st.sub, d, r, r.ended, rand.Float64()) })
	if p != nil {
		ws.survived(d, p, "deciding about a message")
		r.survive(p, r.accepted)
		out = outcomeOf(st.sub, d, r, r.ended, rand.Float64())
	}
	return out
}
