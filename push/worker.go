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
	wake chan *batch   // made when it is parked first: what to do next; nil: nothing more
}

// run makes an attempt at the messages of a batch, and at others while it is given more.
func (w *worker) run(b *batch) {
	defer w.snd.Release()
	for b != nil {
		w.attempt(b)
		b = w.next(b)
	}
}

// attempt makes one attempt, and decides what becomes of each message.
func (w *worker) attempt(b *batch) {
	made := w.await(b.at) && w.send(b)
	if made && b.result.batch > 0 {
		w.tellBatch(b)
	}
	b.outs = b.out[:]
	if len(b.jobs) > 1 {
		b.outs = make([]medispatcher.Settlement, len(b.jobs))
	}
	jitter := rand.Float64() // the same for all: those that fail together are due together
	for i, j := range b.jobs {
		out := &b.outs[i]
		*out = medispatcher.Settlement{Channel: j.Channel, EntryID: j.EntryID, Attempt: j.Attempt, Outcome: medispatcher.Released, Message: &j.Message}
		if made {
			r := &b.result
			if j.own != nil {
				r = j.own
			}
			decided := w.decide(b.settings, &j.Delivery, r, jitter)
			if j.first != nil && decided.Outcome != medispatcher.Sent && (decided.Outcome != medispatcher.Failed || decided.Next > 0) {
				continue // it waits on, until it is the first
			}
			*out = decided
			out.Message = &j.Message
			w.dropping(&j.Delivery, out)
			w.tell(b.settings, &j.Delivery, r, out)
			out.Answer = nil
		}
	}
}

// next hands over the outcomes, and waits for the next batch if there may be one; nil: there is none. The slot stays taken
// until Redis has the outcomes: what a crash delivers again is never more than what the slots of a subscription held.
func (w *worker) next(done *batch) *batch {
	w.lanes.mu.Lock()
	if done.result.ended.IsZero() {
		done.result.ended = time.Now()
	}
	if done.begun {
		w.endLocked(done)
	}
	w.settleLocked(done)
	parks := done.slot == &w.sub.fresh && w.sub.more() && !w.draining
	if parks {
		if w.wake == nil {
			w.wake = make(chan *batch, 1)
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
func (w *worker) send(b *batch) (made bool) {
	r := &b.result
	var until time.Time
	var back medispatcher.Backoff
	for {
		round, ok := w.short.enter(&until, w.stopping, w.snd.Release)
		if !ok {
			w.unmade(b)
			return false
		}
		if !w.begin(b) {
			w.short.away(time.Now())
			return false
		}
		w.post(b)
		if r.ended.IsZero() { // no URL qualified, or the message is broken
			r.ended = time.Now()
		}
		w.short.left(r, r.ended)
		if r.accepted {
			return true // next ends it
		}
		w.end(b)
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
func (w *worker) unmade(b *batch) {
	w.lanes.mu.Lock()
	defer w.lanes.mu.Unlock()
	if !b.begun { // else next ends it
		w.lanes.noProbeLocked(w.sub)
	}
}

// begin begins an attempt by the settings in force, unless the breaker does not let it.
func (w *worker) begin(b *batch) bool {
	if b.begun {
		return true
	}
	w.lanes.mu.Lock()
	defer w.lanes.mu.Unlock()
	n, now := len(b.jobs), time.Now()
	begun := b.beginLocked(w.lanes, now)
	if len(b.jobs) < n {
		w.staffLocked(w.sub, now)
	}
	return begun
}

// keep has a batch keep its first n messages.
func (w *worker) keep(b *batch, n int) {
	if n == len(b.jobs) {
		return
	}
	w.lanes.mu.Lock()
	defer w.lanes.mu.Unlock()
	b.cutLocked(w.lanes, n)
	w.staffLocked(w.sub, time.Now())
}

// end notes what an attempt came to.
func (w *worker) end(b *batch) {
	w.lanes.mu.Lock()
	defer w.lanes.mu.Unlock()
	w.endLocked(b)
}

func (w *worker) endLocked(b *batch) {
	r := &b.result
	b.begun = false
	was := b.breaker.open()
	b.breaker.end(b.leave, b.jobs[0].EntryID, r)
	if b.leave.probe || !was && b.breaker.open() {
		w.lanes.probedLocked(b)
	}
	if r.short {
		w.sub.ended(r.ended, 0)
		return
	}
	w.sub.ended(r.ended, r.took)
	r.outdated = w.sub.settings != b.settings
}

// decide decides what becomes of a message after an attempt that came to r for it; see outcomeOf.
func (ws *workers) decide(st *settings, d *medispatcher.Delivery, r *result, jitter float64) (out medispatcher.Settlement) {
	p := medispatcher.Guard(func() { out = outcomeOf(st.sub, d, r, r.ended, jitter) })
	if p != nil {
		ws.survived(d, p, "deciding about a message")
		own := *r // others may share it
		own.survive(p, r.accepted)
		out = outcomeOf(st.sub, d, &own, r.ended, jitter)
	}
	return out
}
