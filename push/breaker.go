package push

import (
	"container/list"
	"errors"
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	// A breaker opens after so many failures in a row, of at least so many messages: one
	// message that nobody can take must not stop the others.
	breakerFailures = 10
	breakerMessages = 3
	// probeEvery is how long an open breaker waits before it lets one attempt through.
	probeEvery = 5 * time.Second
)

// What a breaker is told of an attempt that was not accepted.
var (
	errFailed = errors.New("failed")
	errNoWord = errors.New("the attempt says nothing about the target")
)

// breaker stops attempts at a subscriber that is plainly down. Guarded by the mutex of lanes.
//
// Failures may be quicker or slower than successes, so of many attempts under way the failures tend to end together. A
// row of failures is therefore counted in the order in which the attempts began, and only up to the first attempt that is
// still under way.
type breaker struct {
	of      *subscriber
	machine *gobreaker.TwoStepCircuitBreaker[struct{}] // nil: nothing failed yet
	changed func(b *breaker, open bool)                // is told when it opens and closes
	begun   int                                        // attempts so far
	running []int                                      // numbers of the attempts under way, in order
	before  int                                        // attempts up to this number began before one that was accepted, or before the machine was in its present state
	row     []failure                                  // since the last success, the first that began, in order
	since   time.Time                                  // while open: when it opened
	until   time.Time                                  // while open: when a probe may go out
	probing bool                                       // the probe is under way, or a message for it is being read
	sent    bool                                       // the probe is under way
	closed  bool                                       // so that the machine need not be asked, which costs more than the rest
	last    *target                                    // that failed
	proxy   string                                     // that was at fault then; see result

	outage *outage       // that it is open for; nil: for a reason of its own
	place  *list.Element // among those that wait for a probe of the outage; nil: it does not
	letGo  bool          // it need not wait any more, as a connection was made
}

// failure is an attempt that failed, and its message.
type failure struct {
	number  int
	message string
}

// newBreaker makes a closed one.
func newBreaker(of *subscriber, changed func(b *breaker, open bool)) *breaker {
	return &breaker{of: of, closed: true, changed: changed}
}

func (b *breaker) newMachine() *gobreaker.TwoStepCircuitBreaker[struct{}] {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     probeEvery,
		ReadyToTrip: func(gobreaker.Counts) bool { return b.down() },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNoWord) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			b.row, b.before, b.closed = nil, b.begun, to == gobreaker.StateClosed
			switch to {
			case gobreaker.StateOpen:
				b.until = time.Now().Add(probeEvery + time.Millisecond) // the machine compares with After
				if from == gobreaker.StateClosed {
					b.since = time.Now()
					b.changed(b, true)
				}
			case gobreaker.StateHalfOpen: // the probe will tell
			case gobreaker.StateClosed:
				b.changed(b, false)
			}
		},
	})
}

// open reports whether attempts are held back.
func (b *breaker) open() bool { return !b.closed && b.machine.State() != gobreaker.StateClosed }

// allowed is how many of n messages may be taken now. If none may, at tells when to ask
// again; it is zero when the end of the probe will tell.
func (b *breaker) allowed(n int) (allowed int, at time.Time) {
	if b.closed {
		return n, time.Time{}
	}
	switch b.machine.State() {
	case gobreaker.StateOpen:
		return 0, b.until
	case gobreaker.StateHalfOpen:
		if b.probing {
			return 0, time.Time{}
		}
		return min(n, 1), time.Time{}
	case gobreaker.StateClosed:
	}
	return n, time.Time{}
}

// ask notes that messages are being read. Of an open breaker that is one, for a probe.
func (b *breaker) ask(now time.Time) {
	if b.probing = b.open(); b.probing && b.outage != nil {
		b.outage.claim(b, now)
	}
}

// noProbe notes that there is no message for a probe. It reports false where none was to be read.
func (b *breaker) noProbe(now time.Time) bool {
	if !b.probing || b.sent {
		return false
	}
	b.probing = false
	if b.outage != nil {
		b.outage.gaveUp(b, now)
	}
	return true
}

// permit is permission to make one attempt.
type permit struct {
	done   func(error) // nil: the breaker was closed
	number int
	probe  bool    // of an open breaker
	to     *target // that a probe is to try; nil: the one whose turn it is
	made   func()  // is to be called when a connection was made; may be nil
}

// begin asks for permission to make one attempt; end must be told its outcome. It reports false when
// the breaker opened since the message was taken.
func (b *breaker) begin() (permit, bool) {
	var done func(error)
	if !b.closed {
		var err error
		if done, err = b.machine.Allow(); err != nil {
			return permit{}, false
		}
	}
	b.begun++
	b.running = append(b.running, b.begun)
	b.probing = b.open()
	b.sent = b.probing
	return permit{done: done, number: b.begun, probe: b.probing}, true
}

// end tells the outcome of an attempt at a message.
func (b *breaker) end(p permit, messageID string, r *result) {
	if p.probe {
		b.sent, b.probing = false, false
	}
	if i, found := slices.BinarySearch(b.running, p.number); found {
		b.running = slices.Delete(b.running, i, i+1)
	}
	switch {
	case r.accepted:
		b.row, b.before = b.row[:0], max(b.before, p.number)
		b.report(p, nil)
	case r.cut || r.short || r.target == "":
		b.report(p, errNoWord)
	default:
		b.last, b.proxy = r.to, r.proxy
		b.note(failure{p.number, messageID})
		b.report(p, errFailed)
	}
}

// report tells the machine how an attempt ended. While it is closed, only a failure concerns it; open, it does not count
// attempts that began before.
func (b *breaker) report(p permit, err error) {
	done := p.done
	if done == nil && b.closed && errors.Is(err, errFailed) {
		if b.machine == nil {
			b.machine = b.newMachine()
		}
		done, _ = b.machine.Allow() // a closed one allows it
	}
	if done != nil {
		done(err)
	}
}

// note adds a failure to the row. The row keeps only as many failures as decide whether the subscriber is down.
func (b *breaker) note(f failure) {
	if f.number <= b.before {
		return
	}
	i, _ := slices.BinarySearchFunc(b.row, f, func(x, y failure) int { return x.number - y.number })
	b.row = slices.Insert(b.row, i, f)
	if len(b.row) <= breakerFailures {
		return
	}
	// A repeated failure of one message is dropped first: failures of many messages say more.
	last := len(b.row) - 1
	for drop := last; drop > 0; drop-- {
		if repeats(b.row, drop) {
			b.row = slices.Delete(b.row, drop, drop+1)
			return
		}
	}
	b.row = b.row[:last]
}

// repeats reports whether the message of failure i has an earlier failure in the row.
func repeats(row []failure, i int) bool {
	return slices.ContainsFunc(row[:i], func(f failure) bool { return f.message == row[i].message })
}

// down reports whether enough attempts failed in a row, at enough messages.
func (b *breaker) down() bool {
	if len(b.row) < breakerFailures {
		return false
	}
	first, _ := slices.BinarySearch(b.running, b.before+1)
	if first < len(b.running) && b.running[first] < b.row[breakerFailures-1].number {
		return false
	}
	messages := 0
	for i := range b.row {
		if !repeats(b.row, i) {
			messages++
		}
	}
	return messages >= breakerMessages
}
