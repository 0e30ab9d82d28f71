package push

import (
	"time"

	"golang.org/x/time/rate"
)

// paceAhead bounds how long a message may wait in a slot for its turn under a
// minimum interval.
const paceAhead = 10 * time.Millisecond

const (
	// readAhead bounds how long a message that was read ahead waits in this process for a slot. A message is read ahead
	// only if a slot will be free by then, judged by the time that attempts took. Without reading ahead, each
	// slot of a quick subscriber would be idle for a round trip between two messages.
	readAhead = 10 * time.Millisecond
	// aheadOfSlots is how many messages may be read ahead for each slot. More do not make a subscriber quicker.
	aheadOfSlots = 3
)

// subscriber is one subscription's share of this dispatcher. Guarded by the mutex of lanes.
type subscriber struct {
	settings *settings
	fresh    slots
	parked   []*worker     // they wait for a message and one of these slots
	took     time.Duration // by an attempt, averaged over the last few
	retry    slots
	pace     *rate.Limiter // nil: no minimum interval
	breaker  *breaker
	shares   *shares   // nil: its limits hold in each dispatcher
	over     bool      // more is in flight than its share
	lanes    []*lane   // those that exist
	holds    [2]int64  // bytes of bodies, from each part of the budget
	largest  int64     // of its messages lately, in bytes; 0: none was seen yet
	waits    time.Time // since when it waits for room in the budget; zero: it does not wait
	asks     time.Time // when it last asked for room
	running  int       // attempts under way
	moved    time.Time // when the last one ended, or the first of those under way began
	removed  bool
	urls     time.Time // since when its URLs are those in force; zero: since it is known
	stirred  bool      // it is on the list that Stirred gives
	freed    bool      // it is on the list of settled
	linger   linger
}

// window is how many requests' new messages of the subscription this process may hold.
func (s *subscriber) window() int {
	if s.pace != nil || s.took == 0 || s.breaker.open() {
		return s.fresh.limit
	}
	return s.fresh.limit + min(aheadOfSlots*s.fresh.limit, s.fresh.limit*int(readAhead)/int(s.took))
}

// room is how many more new messages may be read.
func (s *subscriber) room() int {
	return max(0, (s.window()-s.fresh.used)*s.settings.size-s.fresh.waiting())
}

// retryRoom is how many more due messages may be taken.
func (s *subscriber) retryRoom() int {
	return max(0, s.retry.free()*s.settings.size-s.retry.waiting())
}

// live reports whether it takes messages.
func (s *subscriber) live() bool { return !s.removed && !s.settings.sub.Paused }

// more reports whether another new message waits for a slot, or is being read.
func (s *subscriber) more() bool { return s.fresh.ahead.len() > 0 || s.fresh.asked > 0 }

// dismissLocked ends the workers that are parked, but for some.
func (s *subscriber) dismissLocked(keep int) {
	for last := len(s.parked) - 1; last >= keep; last-- {
		s.parked[last].wake <- nil
		s.parked[last] = nil
		s.parked = s.parked[:last]
	}
}

// began notes that an attempt is under way.
func (s *subscriber) began(now time.Time) {
	if s.running == 0 {
		s.moved = now
	}
	s.running++
}

// ended notes that an attempt ended, and takes its time into the average.
func (s *subscriber) ended(now time.Time, took time.Duration) {
	s.running--
	s.moved = now
	if took == 0 {
		return // none was made
	}
	if s.took == 0 {
		s.took = took
		return
	}
	s.took = max(1, s.took+(took-s.took)/8)
}

// slots bound the requests for messages of one kind, fresh or due, that are under way or whose outcomes Redis does not have yet.
type slots struct {
	limit, used, unsettled int

	asked int  // messages being read
	early int  // messages taken again, before the outcome of the attempt before is known
	ahead jobs // read, and not started yet
}

// waiting is how many messages wait for a slot, or are being read.
func (s *slots) waiting() int { return s.asked + s.early + s.ahead.messages() }

func (s *slots) free() int { return max(0, s.limit-s.used) }

// sending is how many attempts are under way.
func (s *slots) sending() int { return s.used - s.unsettled }

// apply puts changed settings in force. What is in flight goes on with the old ones.
func (s *subscriber) apply(st *settings) {
	s.settings = st
	switch interval := time.Duration(st.sub.Interval); {
	case interval == 0:
		s.pace = nil
	case s.pace == nil:
		s.pace = rate.NewLimiter(rate.Every(interval), 1)
	default:
		s.pace.SetLimit(rate.Every(interval))
	}
}

// allowed is how many of n messages may be taken now, by the breaker and by the minimum
// interval. If none may, at tells when to ask again, if that is known.
func (s *subscriber) allowed(n int, now time.Time) (allowed int, at time.Time) {
	n, at = s.breaker.allowed(n)
	if o := s.breaker.outage; n > 0 && o != nil && o.refuses(s.breaker, now) {
		return 0, time.Time{}
	}
	if n == 0 || s.pace == nil {
		return n, at
	}
	interval := time.Duration(s.settings.sub.Interval)
	if missing := 1 - s.pace.TokensAt(now); missing > 1e-9 {
		return 0, now.Add(max(time.Microsecond, time.Duration(missing*float64(interval)))) // never at once: that could go on for ever
	}
	return min(n, (1+int(paceAhead/interval))*s.settings.size), time.Time{}
}

// turn is when the next request may start; zero: at once.
func (s *subscriber) turn(now time.Time) time.Time {
	if s.pace == nil {
		return time.Time{}
	}
	return now.Add(s.pace.ReserveN(now, 1).DelayFrom(now))
}
