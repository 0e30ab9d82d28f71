package push

import (
	"container/heap"
	"context"
	"time"
)

// pump lists the lanes of one partition that have work of one kind, fresh or due:
// those that can be worked on now, in turn, and those to look at later. The mutex of lanes
// guards it; wake belongs to the loop that takes lanes from it.
type pump struct {
	ready  []*lane
	queued map[*lane]bool
	later  timers
	due    map[*lane]*timed // the entry of later that a lane has
	wake   chan struct{}
}

func newPump() *pump {
	return &pump{queued: map[*lane]bool{}, due: map[*lane]*timed{}, wake: make(chan struct{}, 1)}
}

// has reports whether a lane is listed.
func (p *pump) has(l *lane) bool {
	return p.waits(l) || p.queued[l]
}

// waits reports whether a lane is queued for a later time.
func (p *pump) waits(l *lane) bool {
	_, later := p.due[l]
	return later
}

// now queues a lane for the next round.
func (p *pump) now(l *lane) {
	if p.queued[l] {
		return
	}
	p.queued[l] = true
	p.ready = append(p.ready, l)
	p.signal()
}

// at queues a lane for a round at that time, if it does not have an earlier one.
func (p *pump) at(l *lane, when time.Time) {
	switch had := p.due[l]; {
	case had == nil:
		p.due[l] = &timed{when: when, lane: l}
		heap.Push(&p.later, p.due[l])
	case when.Before(had.when):
		had.when = when
		heap.Fix(&p.later, had.at)
	default:
		return
	}
	if p.later[0].lane == l {
		p.signal() // the loop waits for a later time
	}
}

func (p *pump) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take removes up to limit lanes that are to be worked on now.
func (p *pump) take(now time.Time, limit int) []*lane {
	for len(p.later) > 0 && !p.later[0].when.After(now) {
		t := heap.Pop(&p.later).(*timed)
		delete(p.due, t.lane)
		if !p.queued[t.lane] {
			p.queued[t.lane] = true
			p.ready = append(p.ready, t.lane)
		}
	}
	n := min(limit, len(p.ready))
	taken := p.ready[:n:n]
	p.ready = p.ready[n:]
	for _, l := range taken {
		delete(p.queued, l)
	}
	return taken
}

// next is how long the loop may wait; negative: until it is woken.
func (p *pump) next(now time.Time) time.Duration {
	switch {
	case len(p.ready) > 0:
		return 0
	case len(p.later) > 0:
		return max(0, p.later[0].when.Sub(now))
	}
	return -1
}

// await waits for work; it reports false when ctx ended.
func (p *pump) await(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	var timer <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-p.wake:
	case <-timer:
	}
	return true
}

type timed struct {
	when time.Time
	lane *lane
	at   int // its place in timers
}

// timers is a heap, the earliest first.
type timers []*timed

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].when.Before(t[j].when) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].at, t[j].at = i, j
}

func (t *timers) Push(x any) {
	x.(*timed).at = len(*t)
	*t = append(*t, x.(*timed))
}

func (t *timers) Pop() any {
	old := *t
	x := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return x
}
