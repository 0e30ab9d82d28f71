package push

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// workers start a worker for each slot in use, and stop all of them.
type workers struct {
	cfg    *Config
	lanes  *lanes
	poster *poster
	short  *shortage
	settle *settleQueue

	running  sync.WaitGroup
	handing  sync.WaitGroup  // steps of the fan-out that may bring messages; see freshReader.hand
	handsOff bool            // no more of them; guarded by the mutex of lanes
	stopping chan struct{}   // closed: a message that waits for its turn is released
	draining bool            // no worker starts any more; guarded by the mutex of lanes
	deliver  context.Context //nolint:containedctx // the second of two contexts: it outlives reading by the shutdown timeout
	cut      context.CancelFunc
}

// startLocked has a worker make an attempt in the slot that is taken for it: one that is parked, or else a new one.
func (ws *workers) startLocked(sub *subscriber, b *batch) {
	if last := len(sub.parked) - 1; last >= 0 && b.slot == &sub.fresh {
		w := sub.parked[last]
		sub.parked[last] = nil
		sub.parked = sub.parked[:last]
		w.wake <- b
		return
	}
	w := &worker{workers: ws, sub: sub, snd: ws.cfg.Client.Sender(ws.deliver)}
	ws.running.Go(func() {
		deepen()
		w.run(b)
	})
}

// deepen has the stack of a goroutine grow once, while there is nothing on it. It would grow several times during the first attempt, and
// each time Go copies what is on it. Where each message starts a worker, that took 7 % of the time.
//
//go:noinline
func deepen() {
	var room [4 << 10]byte
	runtime.KeepAlive(&room)
}

// staffLocked has what was read started in slots that are free now, and ends the workers that nothing more is there for.
func (ws *workers) staffLocked(sub *subscriber, now time.Time) {
	for _, slot := range [...]*slots{&sub.fresh, &sub.retry} {
		if ws.draining || slot.limit == 0 || !sub.live() { // nothing of its kind begins here
			ws.giveBackAllLocked(slot)
		}
	}
	ws.fillLocked(sub, &sub.fresh, now)
	ws.fillLocked(sub, &sub.retry, now)
	if sub.more() {
		sub.dismissLocked(max(0, sub.fresh.limit-sub.fresh.sending())) // the limit may have been lowered
	} else {
		sub.dismissLocked(0)
	}
}

// fillLocked has messages started in the free slots of their kind. What the breaker does not let through is given back.
func (ws *workers) fillLocked(sub *subscriber, slot *slots, now time.Time) {
	for slot.free() > 0 && slot.ahead.len() > 0 {
		b, until := sub.formLocked(ws.lanes, slot, now)
		if b == nil {
			ws.lingerLocked(sub, until, now)
			return
		}
		if b.at = sub.turn(now); b.at.IsZero() && !b.beginLocked(ws.lanes, now) {
			for _, j := range b.jobs {
				if j.first == nil {
					ws.giveBackLocked(j)
				}
			}
			continue
		}
		slot.used++
		ws.startLocked(sub, b)
	}
}

// giveBackLocked gives back a message that was not sent.
func (ws *workers) giveBackLocked(j *job) {
	j.in = nil
	ws.lanes.dropRunLocked(j, 0)
	ws.settle.add(&medispatcher.Settlement{Channel: j.Channel, EntryID: j.EntryID, Attempt: j.Attempt, Outcome: medispatcher.Released, Message: &j.Message}, false)
}

// giveBackAllLocked gives back what waits for a slot.
func (ws *workers) giveBackAllLocked(slot *slots) {
	for j := slot.ahead.pop(); j != nil; j = slot.ahead.pop() {
		ws.giveBackLocked(j)
	}
}

// giveBackOldLocked gives back what was read so far, and has not begun: it goes to no other URLs. Whoever removed the subscription and made
// another by its id removed these messages, too.
func (ws *workers) giveBackOldLocked(sub *subscriber) {
	sub.urls = time.Now()
	ws.giveBackAllLocked(&sub.fresh)
	ws.giveBackAllLocked(&sub.retry)
}

// settleLocked has the outcomes of a batch settled: soon if they hold up others that could start.
func (ws *workers) settleLocked(b *batch) {
	b.left = 0
	for _, j := range b.jobs {
		if j.first == nil {
			b.left++
		}
	}
	b.slot.unsettled++
	for i, j := range b.jobs {
		if j.first != nil {
			continue
		}
		behind := i + 1 + len(j.run)
		b.outs[i].Run, b.outs[i].RunFrom = b.outs[i+1:behind], j.RunFrom
		last := behind == len(b.jobs) // what is settled soon should be whole
		ws.settle.add(&b.outs[i], last && b.slot.holdUpLocked(j.lane))
	}
}

// holdUpLocked reports whether outcomes that Redis does not have yet hold up messages: those that wait for a slot or, once nothing is
// under way, the next ones of ordered keys, which enter the channel when these are settled.
func (s *slots) holdUpLocked(l *lane) bool {
	if s.unsettled == s.used && l.sub.settings.sub.Ordered {
		return true
	}
	return 2*s.unsettled >= s.limit && (l.active || l.dueWaits || s.waiting() > 0)
}

// startEarlyLocked has a message wait for a slot that was taken before the outcome of its last attempt was known. That is
// known now.
func (ws *workers) startEarlyLocked(l *lane, last *medispatcher.Settlement) {
	j := l.early[last.EntryID]
	if j == nil {
		return
	}
	delete(l.early, last.EntryID)
	l.sub.retry.early--
	if ws.draining || !l.live() || last.Outcome == medispatcher.Released {
		// The step that releases may have run a second time since this process took the entry again, so its owner is
		// not certain. The next comparison releases it, or else this process does so when it ends.
		ws.lanes.freeLocked(l, j)
		l.failed()
		signal(ws.lanes.doubtful)
		return
	}
	ws.waitLocked(l, j, &l.sub.retry)
}

// settled forgets entries whose outcome Redis has, frees their slots, and notes when failed ones are due.
func (ws *workers) settled(done []medispatcher.Settlement) {
	now := time.Now()
	ls := ws.lanes
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var freed []*subscriber
	for i := range done {
		l := ls.touched[done[i].Channel]
		if l == nil {
			continue
		}
		if j := l.inflight.settled(done[i].EntryID); j != nil {
			ls.freeLocked(l, j)
			j.in.settledLocked()
		}
		ws.startEarlyLocked(l, &done[i])
		if o := done[i].Outcome; o == medispatcher.Failed || o == medispatcher.Released && !l.sub.removed {
			ls.due[l.channel.Partition].at(l, now.Add(done[i].Delay))
		}
		if !l.sub.freed {
			l.sub.freed = true
			freed = append(freed, l.sub)
		}
	}
	for _, sub := range freed {
		sub.freed = false
		ws.staffLocked(sub, now)
		ws.withinLocked(sub)
		ls.freedLocked(sub, now)
	}
	ls.callNextLocked(now)
}

// stuck ends the workers that wait for a slot, because Redis takes no outcomes: they hold connections.
func (ws *workers) stuck() {
	ws.lanes.mu.Lock()
	defer ws.lanes.mu.Unlock()
	for _, l := range ws.lanes.touched {
		l.sub.dismissLocked(0)
	}
}

// stop has no worker start any more and waits for those that run. If some run still at the deadline it cuts their requests,
// and returns how many entries were in flight then.
func (ws *workers) stop(deadline time.Time) (inflight int, late bool) {
	ws.lanes.mu.Lock()
	ws.handsOff = true
	ws.lanes.mu.Unlock()
	ws.handing.Wait() // a step ends soon: Redis has to answer it
	ws.lanes.mu.Lock()
	ws.draining = true
	for _, l := range ws.lanes.touched {
		ws.giveBackAllLocked(&l.sub.fresh)
		ws.giveBackAllLocked(&l.sub.retry)
		l.sub.dismissLocked(0)
	}
	ws.lanes.mu.Unlock()
	defer ws.cut()
	done := make(chan struct{})
	go func() { ws.running.Wait(); close(done) }()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-done:
		return 0, false
	case <-timer.C:
	}
	inflight = ws.lanes.inflight()
	ws.cut()
	<-done
	return inflight, true
}
