package push

import (
	"time"

	"github.com/solate/medispatcher"
)

// job is a message that this process holds, from the read that brought it until Redis has its outcome. Guarded by the mutex
// of lanes, but for what only its worker reads while an attempt is under way: the delivery, settings and leave.
type job struct {
	medispatcher.Delivery
	lane *lane
	room held      // in the budget
	slot *slots    // nil: it was read ahead, and waits for one
	at   time.Time // when its turn is; zero: at once

	// The attempt under way.
	begun    bool
	settings *settings
	breaker  *breaker
	leave    permit
}

// jobs is a queue of them.
type jobs struct {
	list []*job
	head int
}

func (q *jobs) len() int { return len(q.list) - q.head }

func (q *jobs) push(j *job) {
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
	if q.head++; q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
	return j
}
