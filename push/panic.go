package push

import "github.com/solate/medispatcher"

// post makes one attempt. A panic in it is an attempt that failed: it counts, so that no message can stop the dispatcher again
// and again, and the subscriber is not to blame. What panics under the mutex of lanes is not caught: nobody knows in what
// state it left what all share.
func (w *worker) post(b *batch) {
	d, r := &b.jobs[0].Delivery, &b.result
	*r = result{}
	switch {
	case b.settings.batches():
		*r = w.poster.attemptBatch(w.snd, b, func(n int) { w.keep(b, n) })
		for _, j := range b.jobs {
			if j.own != nil && j.own.panicked != nil {
				w.survived(&j.Delivery, j.own.panicked, "at a message of a batch")
			}
		}
	case d.Broken != nil:
		r.survive(d.Broken, false)
	default:
		*r = w.poster.attempt(w.snd, b.settings, d, &b.leave)
	}
	if r.panicked != nil {
		w.survived(d, r.panicked, "in an attempt")
	}
}

// survived logs a panic that concerned one message.
func (ws *workers) survived(d *medispatcher.Delivery, panicked *medispatcher.PanicError, where string) {
	ws.cfg.Log.Error("medispatcher panicked "+where+", which is a defect of ours: please report it", "topic", d.Message.Topic,
		"subscription", d.Subscription, "id", d.Message.ID, "attempt", d.Attempt, "panic", panicked.Error(), "stack", string(panicked.Stack))
}

// survive notes a panic of the attempt. It failed by that, unless it had ended or the subscriber had accepted the message.
func (r *result) survive(p *medispatcher.PanicError, ended bool) {
	if !ended && !r.accepted {
		*r = result{err: p}
	}
	r.panicked = p
}
