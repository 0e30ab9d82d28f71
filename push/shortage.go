package push

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// shortageHold is how long an attempt waits in its slot for this machine; then its
	// message is released, and another dispatcher may take it.
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
// that goes well.
type shortage struct {
	cfg  *Config
	news *news

	mu      sync.Mutex
	running int
	limit   int // of them; 0: no bound
	round   int // counts how often the limit was lowered
	eased   int // attempts that went well since the limit changed

	since, latest time.Time // when it began, and when an attempt last met it
	told          time.Time
	last          error
	until         time.Time // nobody is let in before, unless an attempt goes well
	back          medispatcher.Backoff
	waiting       []chan struct{} // closed to let one in
}

// enter waits for a place among the attempts under way. until is zero at the first call for a message, and bounds its waiting
// over all calls; rest is called before it waits. It reports false when stopping is closed or there was no place for too long.
// round is for met.
func (sh *shortage) enter(until *time.Time, stopping <-chan struct{}, rest func()) (round int, ok bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.limit == 0 {
		sh.running++
		return sh.round, true
	}
	now := time.Now()
	if until.IsZero() {
		*until = now.Add(shortageHold)
	}
	turn := make(chan struct{})
	sh.waiting = append(sh.waiting, turn)
	sh.admitLocked(now)
	sh.mu.Unlock()
	rest()
	timer := time.NewTimer(until.Sub(now))
	defer timer.Stop()
	select {
	case <-turn:
	case <-timer.C:
	case <-stopping:
	}
	sh.mu.Lock()
	if i := slices.Index(sh.waiting, turn); i >= 0 {
		sh.waiting = slices.Delete(sh.waiting, i, i+1)
		return 0, false
	}
	return sh.round, true
}

// left notes the end of an attempt, unless met does. A lookup that failed during a shortage is put down to
// it: for lack of a descriptor it fails in many ways, and its error does not wrap the cause.
func (sh *shortage) left(r *result, now time.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !r.short && r.status == 0 && sh.last != nil && now.Sub(sh.latest) <= shortageNear {
		_, r.short = errors.AsType[*net.DNSError](r.err)
	}
	if !r.short {
		sh.wentWellLocked(now)
	}
}

// away notes the end of an attempt that says nothing about this machine.
func (sh *shortage) away(now time.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.running--
	sh.admitLocked(now)
}

// met notes the end of an attempt that lacked something, and tells of it. It began in that round.
func (sh *shortage) met(round int, err error) {
	now := time.Now()
	sh.mu.Lock()
	lowered := sh.wentShortLocked(round, err, now)
	tell := now.Sub(sh.told) >= shortageTold
	if tell {
		sh.told = now
	}
	atOnce, pause := sh.limit, sh.until.Sub(now)
	sh.mu.Unlock()
	if lowered {
		// What is idle holds what others lack, the connections to Redis among them.
		sh.cfg.Client.CloseIdleConnections()
		time.AfterFunc(pause, func() {
			sh.mu.Lock()
			defer sh.mu.Unlock()
			sh.admitLocked(time.Now())
		})
	}
	what, do := lacking(err)
	if tell {
		sh.news.log(slog.LevelError, "this machine is short of "+what+": attempts wait for it, uncounted", "error", err, "at_once", atOnce, "do", do)
	}
	if sh.cfg.Events.Short != nil {
		sh.cfg.Events.Short(what)
	}
}

// state is what this machine was short of within the last minute, and since when; empty: of nothing.
func (sh *shortage) state(now time.Time) (what string, since time.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.overLocked(now) {
		return "", time.Time{}
	}
	what, _ = lacking(sh.last)
	return what, sh.since
}

func (sh *shortage) openLocked(now time.Time) bool {
	return sh.limit == 0 || sh.running < sh.limit && !now.Before(sh.until)
}

// admitLocked lets in as many as may be.
func (sh *shortage) admitLocked(now time.Time) {
	for len(sh.waiting) > 0 && sh.openLocked(now) {
		sh.running++
		close(sh.waiting[0])
		sh.waiting = slices.Delete(sh.waiting, 0, 1)
	}
}

// wentWellLocked notes the end of an attempt that lacked nothing.
func (sh *shortage) wentWellLocked(now time.Time) {
	sh.running--
	if sh.limit == 0 {
		return
	}
	sh.until = time.Time{}
	sh.back.Reset()
	if sh.eased++; sh.eased >= sh.limit {
		sh.limit, sh.eased = sh.limit+1, 0
	}
	if sh.overLocked(now) {
		sh.limit = 0
	}
	sh.admitLocked(now)
}

// wentShortLocked notes the end of an attempt that lacked something, and reports whether the limit was lowered
// for it. Attempts that began before it was lowered last say nothing about the new one. Local ports run
// out for one address, which does not concern attempts at others.
func (sh *shortage) wentShortLocked(round int, err error, now time.Time) (lowered bool) {
	sh.running--
	if sh.overLocked(now) {
		sh.since = now
	}
	sh.latest, sh.last = now, err
	if round != sh.round || ofPorts(err) {
		sh.admitLocked(now)
		return false
	}
	sh.limit, sh.eased = max(1, (sh.running+1)/2), 0
	sh.until = now.Add(sh.back.Next())
	sh.round++
	return true
}

// overLocked reports whether nothing was short for some time.
func (sh *shortage) overLocked(now time.Time) bool {
	return sh.last == nil || now.Sub(sh.latest) > shortageOver
}
