package push

import (
	"time"

	"github.com/solate/medispatcher"
)

// Events is told what happened. Each event carries what its receiver needs. No mutex of this package is held during
// a call, so a function may call the Scheduler. A function may be called by several goroutines at once, and should not
// block; any may be nil.
type Events struct {
	// Dropping: a message is about to be dropped, and nothing else will ever tell of it. With an
	// error it becomes a dead letter instead. It may take a second or two: only this message waits.
	Dropping func(d *medispatcher.Delivery, s *medispatcher.Settlement) error
	// Settled: an attempt ended, and s is what becomes of its message.
	Settled func(d *medispatcher.Delivery, s *medispatcher.Settlement)
	// Batch: an attempt at a batch of so many messages ended. Settled is called for each of them.
	Batch func(sub string, messages int)
	// Unsettled: an attempt ended and Redis will never hear of it, because the channel is
	// gone or this process ends before Redis is back.
	Unsettled func(s *medispatcher.Settlement, err error)
	// Gone: a subscriber answered 410 and does not want to be asked again. sub is as it was when the attempt began,
	// and is still in force here. It is an edge: however many attempts are answered 410, it comes once until the
	// subscription is changed. A receiver that cannot act at once has to try again by itself.
	Gone func(sub *medispatcher.Subscription)
	// Breaker: a subscription's breaker opened or closed, because of what its worker answered or
	// because somebody changed, resumed or removed the subscription. One call at a time, in order. proxy is the proxy
	// that is to blame, not the worker; empty: none is.
	Breaker func(sub string, open bool, proxy string)
	// Others: there are other dispatchers (see Scheduler.Among), and they should know that these channels may have more
	// new messages than this one can take now, that of these, told of before, it has taken all, and that these have messages
	// which are due, and of which it takes none (see Scheduler.Divide).
	Others func(spilled, eased, due []medispatcher.Channel)
	// Within: a subscription that Scheduler.Over listed has no more in flight than this dispatcher's share of it.
	Within func()
	// Short: an attempt could not be made because this machine is short of something. It is made
	// again, and does not count.
	Short func(what string)
}

// dropping has a message that is to be dropped written down first, or else keeps it.
func (ws *workers) dropping(d *medispatcher.Delivery, out *medispatcher.Settlement) {
	if out.Outcome != medispatcher.Dropped || ws.cfg.Events.Dropping == nil {
		return
	}
	var err error
	if p := medispatcher.Guard(func() { err = ws.cfg.Events.Dropping(d, out) }); p != nil {
		ws.survived(d, p, "writing down a message that is to be dropped")
		err = p
	}
	if err != nil {
		spare(out, d, err, time.Now())
	}
}

// tell tells and logs what becomes of a message after an attempt. A panic in that changes nothing of it.
func (ws *workers) tell(st *settings, d *medispatcher.Delivery, r *result, out *medispatcher.Settlement) {
	p := medispatcher.Guard(func() {
		if ws.cfg.Events.Settled != nil {
			ws.cfg.Events.Settled(d, out)
		}
		if r.gone() && !r.outdated && ws.cfg.Events.Gone != nil && st.gone.CompareAndSwap(false, true) {
			ws.cfg.Events.Gone(out.By)
		}
		ws.log(d, r, out)
	})
	if p != nil {
		ws.survived(d, p, "telling what became of a message")
	}
}

// tellBatch tells of an attempt at a batch. A panic in that changes nothing of it.
func (ws *workers) tellBatch(b *batch) {
	if ws.cfg.Events.Batch == nil {
		return
	}
	if p := medispatcher.Guard(func() { ws.cfg.Events.Batch(b.settings.sub.ID, b.result.batch) }); p != nil {
		ws.survived(&b.jobs[0].Delivery, p, "telling of a batch")
	}
}

func (ws *workers) log(d *medispatcher.Delivery, r *result, out *medispatcher.Settlement) {
	if out.Outcome == medispatcher.Sent || out.Outcome == medispatcher.Released {
		return
	}
	attrs := []any{"topic", d.Message.Topic, "subscription", d.Subscription, "id", d.Message.ID, "attempt", d.Attempt}
	switch out.Outcome {
	case medispatcher.Dropped:
		if out.Failure != nil {
			ws.cfg.Log.Warn("message dropped by policy: no attempts are left", append(attrs, "error", out.Failure.LastError, "target", r.target)...)
			break
		}
		ws.cfg.Log.Warn("message dropped: no worker URL of the subscription is for this environment", append(attrs, "env", ws.cfg.Env)...)
	case medispatcher.Failed:
		ws.cfg.Log.Info(LineFailed, append(attrs, "error", out.Failure.LastError, "target", r.target, "again_in", out.Delay.Round(time.Millisecond).String())...)
	case medispatcher.Exhausted:
		ws.cfg.Log.Warn(LineDead, append(attrs, "error", out.Failure.LastError, "target", r.target)...)
	case medispatcher.Sent, medispatcher.Released:
	}
}

// unsettled tells of an outcome that Redis will never have.
func (ws *workers) unsettled(out *medispatcher.Settlement, err error) {
	if ws.cfg.Events.Unsettled != nil {
		ws.cfg.Events.Unsettled(out, err)
	}
}
