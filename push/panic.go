package push

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// post makes one attempt. A panic in it is an attempt that failed: it counts, so that no message can stop the dispatcher again
// and again, and the subscriber is not to blame. What panics under the scheduler's lock is not caught: nobody knows in what
// state it left what all share.
func (s *Scheduler) post(ctx context.Context, st *settings, d *medispatcher.Delivery) (r result) {
	if d.Broken != nil {
		r.survive(d.Broken, false)
	} else {
		r = s.poster.attempt(ctx, st, d)
	}
	if sending, ok := errors.AsType[*http1.PanicError](r.err); ok {
		p := medispatcher.Recovered(sending.Value)
		p.Stack = sending.Stack
		r.survive(p, false)
	}
	if r.panicked != nil {
		s.survived(d, r.panicked, "in an attempt")
	}
	return r
}

// decide settles what becomes of a message after an attempt.
func (s *Scheduler) decide(st *settings, d *medispatcher.Delivery, r *result) (out medispatcher.Settlement) {
	p := medispatcher.Guard(func() { out = settle(&st.sub, d, r, time.Now(), rand.Float64()) })
	if p != nil {
		s.survived(d, p, "deciding about a message")
		r.survive(p, r.accepted)
		out = settle(&st.sub, d, r, time.Now(), rand.Float64())
	}
	return out
}

// survive notes a panic of the attempt. It failed by that, unless it had ended or the subscriber had accepted the message.
func (r *result) survive(p *medispatcher.PanicError, ended bool) {
	if !ended && !r.accepted {
		*r = result{err: p}
	}
	r.panicked = p
}

// survived logs a panic that concerned one message.
func (s *Scheduler) survived(d *medispatcher.Delivery, p *medispatcher.PanicError, where string) {
	s.cfg.Log.Error("medispatcher panicked "+where+", which is a defect of ours: please report it", "topic", d.Message.Topic,
		"subscription", d.Subscription, "id", d.Message.ID, "attempt", d.Attempt, "panic", p.Error(), "stack", string(p.Stack))
}
