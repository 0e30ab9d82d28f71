package daemon

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/streams"
)

// sharer is the scheduler, as the divider sees it.
type sharer interface {
	Divide(of func(sub *medispatcher.Subscription, pushes, retries int) (int, int))
	DivideUntil(end time.Time)
	Over() []string
}

var _ sharer = (*push.Scheduler)(nil)

// divider divides the limits of subscriptions whose scope is the cluster among the dispatchers that run. It hears of them with
// each heartbeat, and says in its own among whom it divides.
//
// Nobody decides. A dispatcher that hears of another division lowers its shares at once where they are smaller, and then says so.
// It raises one only once that was heard, and if all that others may have, by what they said last, leaves so much of the limit. So
// those that give up slots come before those that get them, whoever hears first. What is in flight above a share is
// said, too, and nobody takes its place before it has ended.
//
// A dispatcher that cannot say that it is alive has no shares, well before others believe that it is dead.
type divider struct {
	info      medispatcher.Dispatcher
	scheduler sharer
	subs      func() *medispatcher.Subscriptions

	current atomic.Pointer[division]

	mu      sync.Mutex
	known   map[string]*other // by id; this dispatcher is not among them
	past    []streams.Division
	said    string // the subscriptions of which more is in flight than the share
	leaving bool
	until   time.Time // when the shares end; zero: there are none
	end     *time.Timer
}

// other is another dispatcher.
type other struct {
	medispatcher.Dispatcher           // as it was listed last
	dead                    time.Time // when it counts as dead, unless it is heard of again
	gone                    bool      // it said that it has ended
}

// division is what is known of the shares at one time. Nobody changes it.
type division struct {
	me     string
	now    streams.Division // among whom they are divided
	said   bool             // others can know that this dispatcher divides so
	claims []claim          // of the others
	alike  bool             // all claims are by now, so they leave this dispatcher its share
	over   map[string]bool  // the subscriptions of which others have more in flight than their shares
	allOf  bool             // they may be any
	marks  string           // differs where anything else does
}

// claim is what another dispatcher may have.
type claim struct {
	id string
	by streams.Division // its share is by this one
}

const (
	// The shares of a dispatcher end when leaseParts/leaseOf of its dead-after limit have passed since its last heartbeat.
	leaseParts, leaseOf = 2, 3
	// pastDivisions bounds those that are remembered. Others may go by them.
	pastDivisions = 256
)

func newDivider(info medispatcher.Dispatcher, scheduler sharer, subs func() *medispatcher.Subscriptions) *divider {
	d := &divider{info: info, scheduler: scheduler, subs: subs, known: map[string]*other{}}
	d.current.Store(&division{me: info.ID})
	return d
}

// say puts into the info of this dispatcher what others have to know.
func (d *divider) say(info *medispatcher.Dispatcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	info.Leaving = d.leaving
	if info.Division = d.current.Load().now.String(); info.Division == "" {
		info.Division = medispatcher.Undivided
	}
	over := d.scheduler.Over()
	d.said = strings.Join(over, " ")
	info.Over, info.AllOver = over[:min(len(over), medispatcher.MaxHeld)], len(over) > medispatcher.MaxHeld
}

// alive notes that Redis took a heartbeat that was sent then.
func (d *divider) alive(sent time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.endLocked(time.Now())
	d.until = sent.Add(d.info.DeadAfter * leaseParts / leaseOf)
	d.scheduler.DivideUntil(d.until)
	if d.end == nil {
		d.end = time.AfterFunc(time.Until(d.until), d.late)
	} else {
		d.end.Reset(time.Until(d.until))
	}
}

// late ends the shares if no heartbeat arrived for too long.
func (d *divider) late() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.endLocked(time.Now())
}

func (d *divider) endLocked(now time.Time) {
	if d.until.IsZero() || now.Before(d.until) {
		return
	}
	d.until = time.Time{}
	d.current.Store(&division{me: d.info.ID, now: d.current.Load().now})
	d.scheduler.Divide(func(*medispatcher.Subscription, int, int) (int, int) { return 0, 0 })
}

// close ends the timer.
func (d *divider) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.end != nil {
		d.end.Stop()
	}
	return nil
}

// leave gives up all shares.
func (d *divider) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leaving = true
	d.divideLocked(time.Now(), "")
}

// gone notes that a dispatcher has ended, and has nothing in flight.
func (d *divider) gone(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o := d.known[id]; o != nil {
		o.gone = true
	}
}

// heard takes the list of dispatchers. It reports whether this one has something new to say.
func (d *divider) heard(all []medispatcher.Dispatcher, age func(*medispatcher.Dispatcher) time.Duration, now time.Time) (tell bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	said := ""
	listed := map[string]bool{}
	for i := range all {
		if all[i].ID == d.info.ID {
			said = all[i].Division
			continue
		}
		listed[all[i].ID] = true
		d.noteLocked(&all[i], age, now)
	}
	for id, o := range d.known {
		// Redis may have lost the list, so not to be on it is not to be dead.
		if !listed[id] && (o.gone || o.Leaving || !now.Before(o.dead)) {
			delete(d.known, id)
		}
	}
	return d.divideLocked(now, said)
}

// noteLocked notes what another dispatcher says.
func (d *divider) noteLocked(listed *medispatcher.Dispatcher, age func(*medispatcher.Dispatcher) time.Duration, now time.Time) {
	o := d.known[listed.ID]
	if o == nil {
		o = &other{}
		d.known[listed.ID] = o
	}
	beat := !o.Heartbeat.Equal(listed.Heartbeat)
	if listed.Version == "" && o.Version != "" { // Redis lost its info
		o.Heartbeat = listed.Heartbeat
	} else {
		o.Dispatcher = *listed
	}
	if beat { // by the clock of this process, which nobody sets
		o.dead = now.Add(o.DeadAfter - max(0, age(listed)))
	}
}

// shares are the shares of a subscription; nil: its limits hold in each dispatcher.
func (d *divider) shares(id string) []medispatcher.Share {
	if sub := d.subs().Get(id); sub != nil && sub.Divided() {
		return d.current.Load().now.Shares(sub)
	}
	return nil
}

// divideLocked divides among those that are known now. said is what others can know that this dispatcher says.
func (d *divider) divideLocked(now time.Time, said string) (tell bool) {
	before := d.current.Load()
	var among []medispatcher.Dispatcher
	if !d.leaving {
		among = append(among, d.info)
	}
	for _, o := range d.known {
		if now.Before(o.dead) && o.Shares() {
			among = append(among, o.Dispatcher)
		}
	}
	next := &division{me: d.info.ID, now: streams.NewDivision(among), over: map[string]bool{}, alike: true}
	next.said = said == next.now.String()
	d.past = append(slices.DeleteFunc(d.past, func(p streams.Division) bool { return p.String() == next.now.String() }), next.now)
	d.past = d.past[max(0, len(d.past)-pastDivisions):]
	for _, o := range d.known {
		if now.Before(o.dead) {
			next.claim(o, d.past)
		}
	}
	slices.SortFunc(next.claims, func(x, y claim) int { return strings.Compare(x.id, y.id) })
	next.marks = fmt.Sprint(next.now, next.said, next.claims, next.over, next.allOf)
	if next.marks != before.marks {
		d.current.Store(next)
		d.scheduler.Divide(next.limits)
	}
	return next.now.String() != before.now.String() || strings.Join(d.scheduler.Over(), " ") != d.said
}

// claim notes what another dispatcher may have.
func (v *division) claim(o *other, past []streams.Division) {
	v.allOf = v.allOf || o.AllOver
	for _, id := range o.Over {
		v.over[id] = true
	}
	c := claim{id: o.ID}
	switch {
	case o.Leaving || o.Division == medispatcher.Undivided:
		return
	case o.SharesNothing():
		c.by = v.now // what would be its share is left to it
	default:
		c.by = streams.DivisionNamed(o.Division, past)
	}
	v.claims = append(v.claims, c)
	v.alike = v.alike && c.by.String() == v.now.String()
}

// limits are how many pushes and retries of a subscription this dispatcher may have in flight, if it had so many before.
func (v *division) limits(sub *medispatcher.Subscription, pushes, retries int) (morePushes, moreRetries int) {
	mine := v.now.Share(sub, v.me)
	if pushes >= mine.Pushes && retries >= mine.Retries {
		return mine.Pushes, mine.Retries
	}
	leftPushes, leftRetries := 0, 0
	if v.said && !v.allOf && !v.over[sub.ID] {
		if v.alike {
			return mine.Pushes, mine.Retries
		}
		leftPushes, leftRetries = sub.Concurrency, sub.RetryConcurrency
		for _, c := range v.claims {
			theirs := c.by.Share(sub, c.id)
			leftPushes -= theirs.Pushes
			leftRetries -= theirs.Retries
		}
	}
	if leftPushes < mine.Pushes {
		mine.Pushes = min(mine.Pushes, pushes)
	}
	if leftRetries < mine.Retries {
		mine.Retries = min(mine.Retries, retries)
	}
	return mine.Pushes, mine.Retries
}
