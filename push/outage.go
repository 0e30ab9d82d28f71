package push

import (
	"container/list"
	"slices"
	"strings"
	"time"
)

const (
	// sharedEvery spaces the probes of an outage. With letGoWithin it makes probeEvery: nobody recovers later than with probes
	// of its own.
	sharedEvery = probeEvery - letGoWithin
	// letGoWithin is about how long it takes until all that wait may probe, once a connection was made: one, two, four and so on
	// at a time, but no more than a part of all.
	letGoWithin = time.Second
	letGoApart  = letGoWithin / 20
	letGoPart   = 10
	// turnFor is how long a breaker whose turn it is may take to begin a probe. Then others are called, more each time: whatever
	// keeps some from probing must not keep all.
	turnFor   = time.Second
	maxCalls  = 64
	callApart = time.Millisecond
	// mostPatience is how long the others wait at most for a probe that is still connecting.
	mostPatience = 2 * probeEvery
)

// outage is what open breakers have in common that fail to connect to the same origins within the same timeout, or whose
// proxy lets nothing through. Whether they can does not depend on the subscription, so one of them probes for all. What happens on a connection
// that was made does depend on it, and counts for that subscription alone. Guarded by the mutex of lanes.
type outage struct {
	lanes    *lanes
	key      string
	proxy    string   // that is at fault; it is the only origin then. Empty: none is
	origins  []string // sorted
	down     []bool   // the last connection to that origin could not be made
	patience time.Duration
	breakers int       // that are of it
	waiting  list.List // those of them that asked for a probe and may not make one yet, in order
	next     time.Time // no probe begins before
	prober   *breaker  // it makes the probe, or reads a message for it; nil: none does
	until    time.Time // it is not waited for any longer
	tried    int       // probes so far: they try the origins in turn
	up       time.Time // when a connection was made last
	calls    int       // how many are called next
	most     int       // of those that are let go at a time
	timer    *time.Timer
}

// waitsElsewhere reports whether a breaker is of another outage than one of a subscription with these settings.
func (b *breaker) waitsElsewhere(st *settings) bool {
	if b.outage == nil {
		return false
	}
	key, _ := st.outageKey(b.outage.proxy)
	return b.outage.key != key
}

// outageKey names the outage that a subscription would be of, and its origins. proxy is the one that is at fault; empty: none is.
func (s *settings) outageKey(proxy string) (key string, origins []string) {
	if proxy != "" {
		return s.sub.Timeout.String() + " by " + proxy, []string{proxy}
	}
	for _, t := range s.ways().targets.urls {
		origins = append(origins, t.origin())
	}
	slices.Sort(origins)
	origins = slices.Compact(origins)
	return s.sub.Timeout.String() + " " + strings.Join(origins, " "), origins
}

// joinLocked notes that a breaker is open because an attempt that began then could not connect. proxy is at fault; empty: none is.
func (ls *lanes) joinLocked(b *breaker, st *settings, origin, proxy string, began, now time.Time) {
	key, origins := st.outageKey(proxy)
	o := ls.outages[key]
	if o == nil {
		o = &outage{
			lanes: ls, key: key, proxy: proxy, origins: origins, down: make([]bool, len(origins)), calls: 1,
			patience: min(time.Duration(st.sub.Timeout), mostPatience),
		}
		ls.outages[key] = o
	}
	if b.outage != o {
		b.leaveOutage(now)
		b.outage = o
		o.breakers++
	}
	held := o.holds()
	b.letGo = false
	if i := slices.Index(o.origins, origin); i >= 0 && began.After(o.up) {
		o.down[i] = true
	}
	if o.prober == b || !held {
		o.prober, o.next, o.calls = nil, now.Add(sharedEvery), 1
	}
	o.plan(now)
}

// probedLocked notes what a probe, or the attempt that opened a breaker, says of the origin that it was at.
func (ls *lanes) probedLocked(b *batch) {
	brk, r, now := b.breaker, &b.result, b.result.ended
	if o := brk.outage; o != nil && o.proxy != "" && r.unconnected && r.proxy == "" && !r.cut && !r.short {
		o.reached(o.proxy, now) // it says something of the worker
	}
	switch {
	case brk.of.breaker != brk || brk.of.removed: // nobody uses it any more
	case r.connected:
		if brk.outage != nil {
			brk.outage.reached(r.to.origin(), now)
		}
		brk.leaveOutage(now) // what it fails for, if it does, is its own
	case r.unconnected && !r.cut && !r.short:
		origin := r.to.origin()
		if r.proxy != "" {
			origin = r.proxy
		}
		ls.joinLocked(brk, b.settings, origin, r.proxy, now.Add(-r.took), now)
	case brk.outage != nil:
		brk.outage.gaveUp(brk, now)
	}
}

// leaveOutage takes a breaker out of its outage, if it is of one.
func (b *breaker) leaveOutage(now time.Time) {
	o := b.outage
	if o == nil {
		return
	}
	b.outage = nil
	o.unlist(b)
	if o.breakers--; o.breakers == 0 {
		delete(o.lanes.outages, o.key)
	}
	o.gaveUp(b, now)
}

func (o *outage) unlist(b *breaker) {
	if b.place != nil {
		o.waiting.Remove(b.place)
		b.place = nil
	}
}

// holds reports whether breakers wait for the probe of one: as long as none of the origins can be connected to.
func (o *outage) holds() bool { return !slices.Contains(o.down, false) }

// refuses reports whether a breaker that asks has to wait. It is called later.
func (o *outage) refuses(b *breaker, now time.Time) bool {
	switch {
	case !o.holds():
		if b.letGo || o.waiting.Len() == 0 {
			return false
		}
	case o.prober == b, !now.Before(o.free()):
		return false
	}
	if b.place == nil {
		b.place, b.letGo = o.waiting.PushBack(b), false
		if o.waiting.Len() == 1 {
			o.plan(now)
		}
	}
	return true
}

// free is when the next probe may begin.
func (o *outage) free() time.Time {
	if o.prober != nil && o.until.After(o.next) {
		return o.until
	}
	return o.next
}

// claim notes that a breaker reads a message for a probe.
func (o *outage) claim(b *breaker, now time.Time) {
	if !o.holds() {
		return
	}
	o.unlist(b)
	o.prober, o.until = b, now.Add(turnFor)
	o.plan(now)
}

// probes begins a probe. It returns the URL that is to be tried, and what is to be called once a connection was made. Both may be nil.
func (b *breaker) probes(st *settings, now time.Time) (to *target, made func()) {
	o := b.outage
	if o == nil {
		return nil, nil
	}
	at := slices.Index(o.down, false)
	if o.holds() {
		o.claim(b, now)
		o.until, o.calls = now.Add(o.patience+turnFor), 1
		o.plan(now)
		o.tried++
		at = o.tried % len(o.origins)
	}
	origin := o.origins[at]
	if o.proxy != "" {
		return nil, o.makes(origin) // it is on the way to every URL
	}
	i := slices.IndexFunc(st.ways().targets.urls, func(t *target) bool { return t.origin() == origin })
	if i < 0 {
		return nil, nil // the settings changed
	}
	return st.ways().targets.urls[i], o.makes(origin)
}

// makes is what a probe calls once it has made a connection.
func (o *outage) makes(origin string) func() {
	return func() {
		o.lanes.mu.Lock()
		defer o.lanes.unlock()
		o.reached(origin, time.Now())
	}
}

// gaveUp notes that a breaker does not probe, or that its probe says nothing.
func (o *outage) gaveUp(b *breaker, now time.Time) {
	if o.prober == b {
		o.prober = nil
	}
	o.plan(now)
}

// reached notes that a connection was made. All that wait are let go, little by little.
func (o *outage) reached(origin string, now time.Time) {
	if o.proxy != "" {
		origin = o.proxy
	}
	held := o.holds()
	o.up = now
	if i := slices.Index(o.origins, origin); i >= 0 {
		o.down[i] = false
	}
	if held && !o.holds() {
		o.prober, o.calls, o.most = nil, 1, 1+o.waiting.Len()/letGoPart
		o.plan(now)
	}
}

// plan has those that wait called in time.
func (o *outage) plan(now time.Time) {
	switch {
	case o.breakers == 0 || o.waiting.Len() == 0:
		if o.timer != nil {
			o.timer.Stop()
		}
	case o.holds():
		o.callIn(max(callApart, o.free().Sub(now)))
	default:
		o.callIn(letGoApart)
	}
}

func (o *outage) callIn(d time.Duration) {
	if o.timer != nil {
		o.timer.Reset(d)
		return
	}
	o.timer = time.AfterFunc(d, func() {
		o.lanes.mu.Lock()
		defer o.lanes.unlock()
		o.call(time.Now())
	})
}

// call has some of those that wait ask again.
func (o *outage) call(now time.Time) {
	held := o.holds()
	if o.breakers == 0 || held && now.Before(o.free()) {
		return // meanwhile it was planned anew
	}
	n := o.calls
	if !held {
		n = min(n, o.most)
	}
	for n > 0 && o.waiting.Len() > 0 {
		b := o.waiting.Front().Value.(*breaker)
		o.unlist(b)
		if b.of.settings.sub.Paused {
			continue // resumed, it gets a new breaker
		}
		b.letGo = !held
		o.lanes.freedLocked(b.of, now)
		n--
	}
	o.calls *= 2
	if held {
		o.calls = min(o.calls, maxCalls)
		if o.waiting.Len() > 0 {
			o.callIn(turnFor)
		}
		return
	}
	o.plan(now)
}
