package push

import (
	"errors"
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

// Outcomes as a breaker hears of them.
var (
	errFailed = errors.New("failed")
	errNoWord = errors.New("the attempt says nothing about the target")
)

// breaker stops attempts at a subscriber that is plainly down. Guarded by the
// scheduler's mutex.
type breaker struct {
	machine *gobreaker.TwoStepCircuitBreaker[struct{}]
	failing map[string]bool // messages that failed since the last success, a few of them
	begun   int             // attempts so far
	running int             // attempts under way
	// Failures are often quicker than successes. Whether attempts fail in a row is known only
	// when those are over that were under way at the first failure: older of them are not,
	// with numbers up to rowFrom.
	rowFrom, older int
	since          time.Time // while open: when it opened
	until          time.Time // while open: when a probe may go out
	probing        bool      // the probe is under way
}

// newBreaker makes a closed one. changed is told when it opens and closes.
func newBreaker(changed func(open bool)) *breaker {
	b := &breaker{failing: map[string]bool{}}
	b.machine = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     probeEvery,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= breakerFailures && len(b.failing) >= breakerMessages && b.older == 0
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNoWord) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				b.until = time.Now().Add(probeEvery + time.Millisecond) // the machine wants to be past it
				if from == gobreaker.StateClosed {
					b.since = time.Now()
					changed(true)
				}
			case gobreaker.StateHalfOpen: // the probe will tell
			case gobreaker.StateClosed:
				changed(false)
			}
		},
	})
	return b
}

// open reports whether attempts are held back.
func (b *breaker) open() bool { return b.machine.State() != gobreaker.StateClosed }

// allowed is how many of n messages may be taken now. If none may, at tells when to ask
// again; it is zero when the end of the probe will tell.
func (b *breaker) allowed(n int) (allowed int, at time.Time) {
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

// permit is leave to make one attempt.
type permit struct {
	done   func(error)
	number int
}

// begin asks for one attempt, whose outcome end is to be told. It reports false when
// the breaker opened since the message was taken.
func (b *breaker) begin() (permit, bool) {
	done, err := b.machine.Allow()
	if err != nil {
		return permit{}, false
	}
	b.begun++
	b.running++
	return permit{done, b.begun}, true
}

// end tells the outcome of an attempt at a message.
func (b *breaker) end(p permit, messageID string, r *result) {
	b.probing = false
	b.running--
	if p.number <= b.rowFrom {
		b.older--
	}
	switch {
	case r.accepted:
		clear(b.failing)
		b.rowFrom, b.older = 0, 0
		p.done(nil)
	case r.cut || r.target == "":
		p.done(errNoWord)
	default:
		if len(b.failing) == 0 {
			b.rowFrom, b.older = b.begun, b.running
		}
		if len(b.failing) < breakerMessages {
			b.failing[messageID] = true
		}
		p.done(errFailed)
	}
}
