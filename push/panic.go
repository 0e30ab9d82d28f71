package push

import (
	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// post makes one attempt. A panic in it is an attempt that failed: it counts, so that no message can stop the dispatcher again
// and again, and the subscriber is not to blame. What panics under the mutex of lanes is not caught: nobody knows in what
// state it left what all share.
func (ws *workers) post(snd *http1.Sender, st *settings, d *medispatcher.Delivery, fresh bool) (r result) {
	if d.Broken != nil {
		r.survive(d.Broken, false)
	} else {
		r = ws.poster.attempt(snd, st, d, fresh)
	}
	if r.panicked != nil {
		ws.survived(d, r.panicked, "in an attempt")
	}
	return r
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
