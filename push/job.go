package push

import (
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

// job is a message that this process holds, from the read that brought it until Redis has its outcome. Guarded by the mutex
// of lanes, but for the delivery and own, which its worker alone uses while an attempt is under way.
type job struct {
	medispatcher.Delivery
	lane  *lane
	room  held      // in the budget
	size  int       // bytes that it takes in the body of a batch, about; 0: its subscription had none when it was read
	since time.Time // when it was read
	in    *batch    // nil: it waits for a slot
	own   *result   // what the attempt came to for this message, where that is not what it came to for the batch; else nil

	run   []*job // of messages that wait behind this one, see medispatcher.Delivery; those that its batch does not take are dropped
	first *job   // of a message that waits behind another: that one
}

// jobs is a queue of them.
type jobs struct {
	list []*job
	head int
	size int // of all, with their runs
	n    int // messages of the runs
}

func (q *jobs) len() int { return len(q.list) - q.head }

// messages is how many there are with those of their runs.
func (q *jobs) messages() int { return q.len() + q.n }

// count counts a job in, or out with a negative sign.
func (q *jobs) count(j *job, sign int) {
	q.n += sign * len(j.run)
	q.size += sign * j.size
	for _, r := range j.run {
		q.size += sign * r.size
	}
}

// first is the one that waits longest. There must be one.
func (q *jobs) first() *job { return q.list[q.head] }

func (q *jobs) push(j *job) {
	q.count(j, 1)
	if q.head > 0 && len(q.list) == cap(q.list) { // moving what is left is cheaper than growing
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, j)
}

// pop takes the first one; nil: there is none.
func (q *jobs) pop() *job {
	if q.len() == 0 {
		return nil
	}
	j := q.list[q.head]
	q.list[q.head] = nil
	q.count(j, -1)
	if q.head++; q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
	return j
}

// take takes those chosen, which stand in the order of the queue, out of it.
func (q *jobs) take(chosen []*job) {
	at, left := q.head, []*job(nil)
	for n := 0; n < len(chosen); at++ {
		j := q.list[at]
		q.list[at] = nil
		if j == chosen[n] {
			q.count(j, -1)
			n++
		} else {
			left = append(left, j)
		}
	}
	q.head = at - copy(q.list[at-len(left):at], left)
	if q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
}

// putBack puts jobs before all others.
func (q *jobs) putBack(back []*job) {
	for _, j := range back {
		q.count(j, 1)
	}
	if room := q.head - len(back); room >= 0 {
		q.head = room
		copy(q.list[room:], back)
		return
	}
	q.list, q.head = slices.Concat(back, q.list[q.head:]), 0
}
