package push

import (
	"time"

	"github.com/solate/medispatcher"
)

const (
	// lanesPerRead bounds the channels of one round trip, so that none waits for many.
	lanesPerRead = 64
	// maxRead bounds the messages taken from one channel at once: what is far from Redis reads for a whole round trip.
	maxRead = 384
	// dueRead bounds the due messages of one step, which takes them one by one.
	dueRead = 128
	// readBytes bounds the bodies of one channel in a read, judged by the largest seen lately. Redis answers it in one go.
	readBytes = 2 << 20
	leastRead = 16 // however large they are
)

// atOnce is how many new messages of a subscription one read may take.
func (b *budget) atOnce(s *subscriber) int {
	return max(leastRead, min(maxRead, int(readBytes/b.expected(s))))
}

// want is a lane and how many messages of it are asked for: slots and room in the budget are reserved for them.
type want struct {
	lane *lane
	grant
	handed bool // the step that writes them reads them. It rings for what it leaves
	runs   bool // with what waits behind them
}

// asked are the wants as the queue takes them.
func asked(wants []want) []medispatcher.Want {
	list := make([]medispatcher.Want, len(wants))
	for i, w := range wants {
		list[i] = medispatcher.Want{Channel: w.lane.channel, Max: w.n, Runs: w.runs}
	}
	return list
}

// reserveFresh reserves slots and room for new messages of the lanes whose turn it is.
func (ls *lanes) reserveFresh(p int, now time.Time) []want {
	ls.mu.Lock()
	defer ls.unlock()
	pump := ls.fresh[p]
	var wants []want
	for _, l := range pump.take(now, lanesPerRead) {
		if !l.active || l.fresh.underWay || !l.live() {
			continue
		}
		n, at := l.sub.allowed(min(l.sub.room(), ls.budget.atOnce(l.sub)), now)
		if !at.IsZero() {
			pump.at(l, at)
		}
		if n == 0 { // a slot that becomes free, or the end of a probe, queues the lane again
			ls.spillLocked(l, now)
			continue
		}
		g, ok := ls.grantLocked(pump, l, n, now)
		if !ok {
			ls.spillLocked(l, now)
			continue
		}
		l.sub.fresh.asked += g.n
		l.rung = false
		l.fresh.begin()
		wants = append(wants, want{lane: l, grant: g, runs: l.sub.settings.runs()})
	}
	return wants
}

// reserveIdleLocked reserves slots and room for messages with bodies of largest bytes that are about to be written, in those
// lanes that have nothing to do.
func (ls *lanes) reserveIdleLocked(p int, copies []medispatcher.Want, largest int64, now time.Time) []want {
	var wants []want
	for _, c := range copies {
		l := ls.laneLocked(c.Channel)
		if l == nil || l.active || l.fresh.underWay || !l.live() || l.sub.breaker.open() || len(wants) == lanesPerRead {
			continue
		}
		n, at := l.sub.allowed(min(l.sub.room(), c.Max), now)
		if n == 0 || !at.IsZero() {
			continue
		}
		l.sub.largest = max(l.sub.largest, largest)
		if g, ok := ls.grantLocked(ls.fresh[p], l, n, now); ok {
			l.sub.fresh.asked += g.n
			l.active, l.rung = true, false
			ls.stirLocked(l.sub)
			l.fresh.begin()
			wants = append(wants, want{lane: l, grant: g, handed: true})
		}
	}
	return wants
}

// reserveDue reserves slots and room for due messages of the lanes whose turn it is.
func (ls *lanes) reserveDue(p int, now time.Time) []want {
	ls.mu.Lock()
	defer ls.unlock()
	pump := ls.due[p]
	var wants []want
	for _, l := range pump.take(now, lanesPerRead) {
		if !l.live() {
			continue // resuming sweeps
		}
		if ls.leaveDueLocked(l, now) {
			continue
		}
		n, at := l.sub.allowed(min(l.sub.retryRoom(), dueRead), now)
		if !at.IsZero() {
			pump.at(l, at)
			continue
		}
		if n == 0 {
			l.dueWaits = true // for a retry slot, or for the end of a probe
			continue
		}
		if g, ok := ls.grantLocked(pump, l, n, now); ok {
			l.sub.retry.asked += g.n
			l.due.begin()
			wants = append(wants, want{lane: l, grant: g, runs: l.sub.settings.runs()})
		}
	}
	return wants
}

// grantLocked reserves room in the budget for up to n messages of a lane. Where there is none, the lane is queued again for later.
func (ls *lanes) grantLocked(pump *pump, l *lane, n int, now time.Time) (grant, bool) {
	g := ls.budget.grant(l.sub, n, now)
	if g.n == 0 {
		pump.at(l, ls.budget.again(l.sub, now))
		return g, false
	}
	ls.callNextLocked(now)
	l.sub.breaker.ask(now)
	l.touched = true
	ls.touched[l.channel] = l
	return g, true
}

// arrivedLocked ends what a read reserved in the budget, and returns from which part of it each lane's messages are.
func (ls *lanes) arrivedLocked(wants []want, deliveries []medispatcher.Delivery) map[*lane]part {
	from := make(map[*lane]part, len(wants))
	for _, w := range wants {
		from[w.lane] = w.from
		ls.budget.over(w.lane.sub, w.grant)
	}
	var sub *subscriber
	largest := int64(0)
	for i := range deliveries { // those of a subscription stand together
		of := ls.touched[deliveries[i].Channel].sub
		if sub != of && sub != nil {
			sub.saw(largest)
			largest = 0
		}
		sub, largest = of, max(largest, bytesOf(of.settings, &deliveries[i].Message))
		for j := range deliveries[i].Run {
			largest = max(largest, bytesOf(of.settings, &deliveries[i].Run[j].Message))
		}
	}
	if sub != nil {
		sub.saw(largest)
	}
	return from
}

// jobLocked makes the job of a message that is here, and takes its room.
func (ls *lanes) jobLocked(l *lane, d *medispatcher.Delivery, from part, now time.Time) *job {
	j := &job{Delivery: *d, lane: l, room: held{bytesOf(l.sub.settings, &d.Message), from}, since: now}
	ls.budget.hold(l.sub, from, j.room.bytes)
	if l.sub.settings.batches() {
		j.size = packedSize(&d.Message)
	}
	for i := range d.Run {
		r := ls.jobLocked(l, &d.Run[i], from, now)
		r.first = j
		j.run = append(j.run, r)
	}
	j.Run = nil
	return j
}

// freeLocked frees the room of a message and its run.
func (ls *lanes) freeLocked(l *lane, j *job) {
	ls.dropRunLocked(j, 0)
	ls.budget.hold(l.sub, j.room.from, -j.room.bytes)
}
