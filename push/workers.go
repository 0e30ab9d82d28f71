package push

import (
	"context"
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
func (ws *workers) startLocked(j *job) {
	sub := j.lane.sub
	if last := len(sub.parked) - 1; last >= 0 && j.slot == &sub.fresh {
		w := sub.parked[last]
		sub.parked[last] = nil
		sub.parked = sub.parked[:last]
		w.wake <- j
		return
	}
	w := &worker{workers: ws, sub: sub, snd: ws.cfg.Client.Sender(ws.deliver)}
	ws.running.Go(func() { w.run(j) })
}

// staffLocked has what was read ahead started in slots that are free now, and ends the workers that nothing more is there
// for. What the breaker does not let through is given back.
func (ws *workers) staffLocked(sub *subscriber, now time.Time) {
	if ws.draining {
		ws.giveBackAllLocked(sub)
	}
	for sub.fresh.free() > 0 && sub.ahead.len() > 0 {
		j := sub.ahead.pop()
		if j.at = sub.turn(now); j.at.IsZero() && !j.beginLocked(now) {
			ws.giveBackLocked(j)
			continue
		}
		j.slot = &sub.fresh
		j.slot.used++
		ws.startLocked(j)
	}
	if sub.more() {
		sub.dismissLocked(max(0, sub.fresh.limit-sub.fresh.sending())) // the limit may have been lowered
	} else {
		sub.dismissLocked(0)
	}
}

// giveBackLocked gives back a message that was not sent.
func (ws *workers) giveBackLocked(j *job) {
	ws.settleLocked(j, &medispatcher.Settlement{Channel: j.Channel, EntryID: j.EntryID, Attempt: j.Attempt, Outcome: medispatcher.Released, Message: &j.Message})
}

func (ws *workers) giveBackAllLocked(sub *subscriber) {
	for j := sub.ahead.pop(); j != nil; j = sub.ahead.pop() {
		ws.giveBackLocked(j)
	}
}

// settleLocked has an outcome settled: soon if it holds up others that could start.
func (ws *workers) settleLocked(j *job, out *medispatcher.Settlement) {
	soon := false
	if j.slot != nil {
		j.slot.unsettled++
		soon = 2*j.slot.unsettled >= j.slot.limit && (j.lane.active || j.lane.dueWaits || j.lane.sub.more())
	}
	ws.settle.add(out, soon)
}

// startEarlyLocked starts a message that was taken before the outcome of its last attempt was known. That is known now.
func (ws *workers) startEarlyLocked(l *lane, last *medispatcher.Settlement) {
	j := l.early[last.EntryID]
	if j == nil {
		return
	}
	delete(l.early, last.EntryID)
	if ws.draining || !l.live() || last.Outcome == medispatcher.Released {
		// The step that releases may have run a second time since this process took the entry again, so its owner is
		// not certain. The next comparison releases it, or else this process does so when it ends.
		j.slot.used--
		ws.lanes.freeLocked(l, j.room)
		l.failed()
		return
	}
	l.took(last.EntryID, j)
	ws.startLocked(j)
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
			ls.freeLocked(l, j.room)
			if j.slot != nil {
				j.slot.used--
				j.slot.unsettled--
			}
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
		ws.giveBackAllLocked(l.sub)
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
