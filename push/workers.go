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
	stopping chan struct{}   // closed: a message that waits for its turn is released
	draining bool            // no worker starts any more; guarded by the mutex of lanes
	deliver  context.Context //nolint:containedctx // the second of two contexts: it outlives reading by the shutdown timeout
	cut      context.CancelFunc
}

// start begins a delivery in a slot that is reserved for it.
func (ws *workers) start(l *lane, d medispatcher.Delivery, kind *slots, at time.Time) {
	w := worker{ws, kind}
	ws.running.Go(func() { w.run(l, &d, at) })
}

// startAheadLocked starts what was read ahead in slots that are free now, for there may be no worker whose end would start it.
func (ws *workers) startAheadLocked(sub *subscriber) {
	for !ws.draining && sub.fresh.free() > 0 {
		next, more := sub.next()
		if !more {
			return
		}
		sub.fresh.used++
		ws.start(next.lane, next.delivery, &sub.fresh, time.Time{})
	}
}

// startEarlyLocked starts a message that was taken before the outcome of its last attempt was known. That is known now.
func (ws *workers) startEarlyLocked(l *lane, last *medispatcher.Settlement, now time.Time) {
	d, early := l.early[last.EntryID]
	if !early {
		return
	}
	delete(l.early, last.EntryID)
	if ws.draining || !l.live() || last.Outcome == medispatcher.Released {
		// The step that releases may have run a second time since this process took the entry again, so its owner is
		// not certain. The next comparison releases it, or else this process does so when it ends.
		l.sub.retry.used--
		ws.lanes.freeLocked(l, d.held)
		l.failed()
		return
	}
	l.took(last.EntryID, d.held)
	ws.start(l, d.Delivery, &l.sub.retry, l.sub.turn(now))
}

// settled forgets entries whose outcome Redis has, and notes when failed ones are due.
func (ws *workers) settled(done []medispatcher.Settlement) {
	now := time.Now()
	ls := ws.lanes
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for i := range done {
		l := ls.touched[done[i].Channel]
		if l == nil {
			continue
		}
		if h, known := l.inflight.settled(done[i].EntryID); known {
			ls.freeLocked(l, h)
		}
		ws.startEarlyLocked(l, &done[i], now)
		if o := done[i].Outcome; o == medispatcher.Failed || o == medispatcher.Released && !l.sub.removed {
			ls.due[l.channel.Partition].at(l, now.Add(done[i].Delay))
		}
	}
	ls.callNextLocked(now)
}

// stop has no worker start any more and waits for those that run. If some run still at the deadline it cuts their requests,
// and returns how many entries were in flight then.
func (ws *workers) stop(deadline time.Time) (inflight int, late bool) {
	ws.lanes.mu.Lock()
	ws.draining = true
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
