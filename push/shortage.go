package push

import (
	"errors"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// shortageHold is how long an attempt waits in its slot for this machine; then its
	// message goes back, where another dispatcher may take it.
	shortageHold = 5 * time.Second
	// shortageOver is how long nothing may be short until attempts are not bounded any more.
	shortageOver = time.Minute
	// shortagePauses is how often an attempt waits in its slot for a local port.
	shortagePauses = 5
	// shortageNear is how long after a shortage a name that is not found may be its fault.
	shortageNear = 5 * time.Second
	// shortageTold spaces the lines of the log about it.
	shortageTold = time.Minute
)

// shortage bounds the attempts under way while this machine is short of what they need: file
// descriptors, local ports, memory. Half as many are let in then, and one more for each round
// that goes well. Guarded by the scheduler's mutex.
type shortage struct {
	running int
	limit   int // of them; 0: no bound
	round   int // counts how often the limit was lowered
	eased   int // attempts that went well since the limit changed

	since, met time.Time // when it began, and when an attempt last met it
	told       time.Time
	last       error
	until      time.Time // nobody is let in before, unless an attempt goes well
	back       medispatcher.Backoff
	waiting    []chan struct{} // closed to let one in
}

func (sh *shortage) open(now time.Time) bool {
	return sh.limit == 0 || sh.running < sh.limit && !now.Before(sh.until)
}

// away notes that one ended that says nothing.
func (sh *shortage) away(now time.Time) {
	sh.running--
	sh.admit(now)
}

// admit lets in as many as may be.
func (sh *shortage) admit(now time.Time) {
	for len(sh.waiting) > 0 && sh.open(now) {
		sh.running++
		close(sh.waiting[0])
		sh.waiting = slices.Delete(sh.waiting, 0, 1)
	}
}

// wentWell notes the end of an attempt that lacked nothing.
func (sh *shortage) wentWell(now time.Time) {
	sh.running--
	if sh.limit == 0 {
		return
	}
	sh.until = time.Time{}
	sh.back.Reset()
	if sh.eased++; sh.eased >= sh.limit {
		sh.limit, sh.eased = sh.limit+1, 0
	}
	if sh.over(now) {
		sh.limit = 0
	}
	sh.admit(now)
}

// wentShort notes the end of an attempt that lacked something, and reports whether the limit was lowered
// for it. Attempts that began before it was lowered last say nothing about the new one. Local ports run
// out for one address; that is no matter of others.
func (sh *shortage) wentShort(round int, err error, now time.Time) (lowered bool) {
	sh.running--
	if sh.over(now) {
		sh.since = now
	}
	sh.met, sh.last = now, err
	if round != sh.round || ofPorts(err) {
		sh.admit(now)
		return false
	}
	sh.limit, sh.eased = max(1, (sh.running+1)/2), 0
	sh.until = now.Add(sh.back.Next())
	sh.round++
	return true
}

// over reports whether nothing was short for some time.
func (sh *shortage) over(now time.Time) bool {
	return sh.last == nil || now.Sub(sh.met) > shortageOver
}

// blame puts a lookup that failed during a shortage down to it: for lack of a descriptor it fails in
// many ways, and its error does not wrap the cause.
func (sh *shortage) blame(r *result, now time.Time) {
	if r.short || r.status != 0 || sh.last == nil || now.Sub(sh.met) > shortageNear {
		return
	}
	_, r.short = errors.AsType[*net.DNSError](r.err)
}

// enterLocked waits for a place among the attempts under way; the mutex is held, but not while it
// waits. It reports false when the dispatcher stops or there was none for too long.
func (s *Scheduler) enterLocked(until *time.Time) bool {
	sh := &s.shortage
	if sh.limit == 0 {
		sh.running++
		return true
	}
	now := time.Now()
	if until.IsZero() {
		*until = now.Add(shortageHold)
	}
	turn := make(chan struct{})
	sh.waiting = append(sh.waiting, turn)
	sh.admit(now)
	s.mu.Unlock()
	timer := time.NewTimer(until.Sub(now))
	defer timer.Stop()
	select {
	case <-turn:
	case <-timer.C:
	case <-s.stopping:
	}
	s.mu.Lock()
	i := slices.Index(sh.waiting, turn)
	if i >= 0 {
		sh.waiting = slices.Delete(sh.waiting, i, i+1)
	}
	return i < 0
}

// cameShort is called after an attempt that lacked something.
func (s *Scheduler) cameShort(round int, err error) {
	now := time.Now()
	s.mu.Lock()
	sh := &s.shortage
	lowered := sh.wentShort(round, err, now)
	tell := now.Sub(sh.told) >= shortageTold
	if tell {
		sh.told = now
	}
	atOnce, pause := sh.limit, sh.until.Sub(now)
	s.mu.Unlock()
	if lowered {
		// What is idle holds what others lack, the connections to Redis among them.
		if idle, ok := s.cfg.Transport.(interface{ CloseIdleConnections() }); ok {
			idle.CloseIdleConnections()
		}
		time.AfterFunc(pause, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.shortage.admit(time.Now())
		})
	}
	what, do := lacking(err)
	if tell {
		s.cfg.Log.Error("this machine is short of "+what+": attempts wait for it, uncounted", "error", err, "at_once", atOnce, "do", do)
	}
	if s.cfg.Events.Short != nil {
		s.cfg.Events.Short(what)
	}
}

// ofPorts reports whether a shortage is of local ports.
func ofPorts(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAGAIN)
}

// What a machine may be short of.
const (
	lacksFiles  = "file descriptors"
	lacksPorts  = "local ports"
	lacksMemory = "memory"
)

// Lacks are the names of what a machine may be short of, as Events.Short gives them.
var Lacks = []string{lacksFiles, lacksPorts, lacksMemory}

// lacking says what a shortage is of, and what to do about it.
func lacking(err error) (what, do string) {
	switch {
	case ofPorts(err):
		return lacksPorts, "widen net.ipv4.ip_local_port_range, or have the worker keep its connections open"
	case errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ENOBUFS):
		return lacksMemory, "give it more memory, or lower the concurrency of subscriptions"
	}
	return lacksFiles, "raise the limit of open files (ulimit -n, LimitNOFILE= of systemd, --ulimit nofile= of Docker), or lower the concurrency of subscriptions; see medispatcher doctor"
}

// Shortage tells what this machine was short of within the last minute, and since when; empty: of nothing.
func (s *Scheduler) Shortage() (what string, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := &s.shortage
	if sh.over(time.Now()) {
		return "", time.Time{}
	}
	what, _ = lacking(sh.last)
	return what, sh.since
}
