package push

import (
	"time"

	"github.com/solate/medispatcher"
)

// batch is the messages of one request: one, or several where the subscription has batches. It holds one slot until Redis has
// all their outcomes. Guarded by the mutex of lanes, but for what only its worker uses while an attempt is under way: jobs,
// outs, settings, leave and result.
type batch struct {
	jobs []*job
	outs []medispatcher.Settlement // what becomes of each
	slot *slots
	at   time.Time // when its turn is; zero: at once
	left int       // outcomes that Redis does not have yet

	// The attempt under way.
	begun    bool
	settings *settings
	breaker  *breaker
	leave    permit
	result   result

	one [1]*job // the memory of jobs and outs, where there is one
	out [1]medispatcher.Settlement
}

// batchOf makes the batch of one message.
func batchOf(j *job, slot *slots) *batch {
	b := &batch{slot: slot}
	b.one[0] = j
	b.jobs = b.one[:]
	j.in = b
	return b
}

// formLocked takes messages out of those that wait for a slot, for one request. It returns nil while others may come to share
// it; until is when it does not wait for them any longer. The first message, which waits longest, is always among them.
func (s *subscriber) formLocked(ls *lanes, slot *slots, now time.Time) (b *batch, until time.Time) {
	st, waiting := s.settings, &slot.ahead
	if st.size == 1 {
		j := waiting.pop()
		ls.dropRunLocked(j, 0)
		return batchOf(j, slot), until
	}
	most := st.most(waiting.first())
	until = waiting.first().since.Add(time.Duration(st.sub.Batch.Wait))
	ready := !now.Before(until)
	if s.breaker.open() { // a probe
		most, ready = 1, true
	}
	if !ready && waiting.messages() < most && waiting.size <= int(st.sub.Batch.Bytes) {
		return nil, until
	}
	b = &batch{slot: slot, jobs: make([]*job, 0, min(most, waiting.messages()))}
	var firsts []*job
	size := 0
	for _, j := range waiting.list[waiting.head:] {
		if len(b.jobs) > 0 {
			if st.most(j) < most {
				continue // it goes with fewer
			}
			if size+j.size > int(st.sub.Batch.Bytes) {
				ready = true
				break
			}
		}
		size += j.size
		firsts, b.jobs = append(firsts, j), append(b.jobs, j)
		run, full := st.runOf(j, most, most-len(b.jobs), int(st.sub.Batch.Bytes)-size)
		for _, r := range run {
			size += r.size
		}
		if b.jobs = append(b.jobs, run...); full || len(b.jobs) == most {
			ready = true
			break
		}
	}
	if !ready {
		return nil, until
	}
	waiting.take(firsts)
	for _, j := range b.jobs {
		j.in = b
	}
	for _, j := range firsts {
		ls.trimRunLocked(j)
	}
	return b, until
}

// most is how many messages a request may hold that this one is in: half as many as the one that failed, and on the last
// attempt no other. So a message that nobody can take ends alone, and none becomes a dead letter for what another did.
func (s *settings) most(j *job) int {
	switch {
	case exhausted(s.sub, j.Attempt):
		return 1
	case j.Failure != nil:
		return max(1, min(s.size, j.Failure.Batch/2))
	}
	return s.size
}

// cutLocked has a batch keep its first n messages. The others wait for a slot again, or in their line.
func (b *batch) cutLocked(ls *lanes, n int) {
	if n >= len(b.jobs) {
		return
	}
	back := b.jobs[n:]
	b.jobs = b.jobs[:n]
	var firsts []*job
	for _, j := range back {
		if j.in, j.own = nil, nil; j.first == nil {
			firsts = append(firsts, j)
		}
	}
	for _, j := range b.jobs {
		ls.trimRunLocked(j)
	}
	b.slot.ahead.putBack(firsts)
}

// beginLocked begins an attempt by the settings in force, unless the breaker does not let it, or the subscription was paused, removed or
// given other URLs while the batch waited for its turn.
func (b *batch) beginLocked(ls *lanes, now time.Time) bool {
	sub := b.jobs[0].lane.sub
	if !sub.live() || b.jobs[0].since.Before(sub.urls) || sub.shares.ended(now) || ls.shares.takenOver(b, sub.settings.sub.Ordered, now) {
		sub.breaker.noProbe(now)
		return false
	}
	if b.leave, b.begun = sub.breaker.begin(); !b.begun {
		sub.breaker.noProbe(now)
	} else {
		b.settings, b.breaker = sub.settings, sub.breaker
		sub.began(now)
		if b.leave.probe {
			b.leave.to, b.leave.made = sub.breaker.probes(b.settings, now)
			b.cutLocked(ls, 1)
		}
		b.cutLocked(ls, b.settings.size)
	}
	return b.begun
}

// settledLocked notes that Redis has one more outcome. After the last one the slot is free. A message that was given back is
// in no batch.
func (b *batch) settledLocked() {
	if b == nil {
		return
	}
	if b.left--; b.left == 0 {
		b.slot.used--
		b.slot.unsettled--
	}
}

// linger is a look at a subscriber once a batch does not wait for more messages any longer. There is one for each
// subscriber, however many messages wait.
type linger struct {
	timer *time.Timer
	at    time.Time // of the look; zero: there is none to come
}

// lingerLocked has a subscriber looked at then, if not before.
func (ws *workers) lingerLocked(sub *subscriber, until, now time.Time) {
	l := &sub.linger
	if until.IsZero() || !l.at.IsZero() && !until.Before(l.at) {
		return
	}
	l.at = until
	if l.timer != nil {
		l.timer.Reset(until.Sub(now))
		return
	}
	l.timer = time.AfterFunc(until.Sub(now), func() {
		ws.lanes.mu.Lock()
		defer ws.lanes.mu.Unlock()
		l.at = time.Time{}
		ws.staffLocked(sub, time.Now())
	})
}
