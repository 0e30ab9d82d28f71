package daemon

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/streams/report"
)

const (
	// deliveriesEvery is how often attempts go to the lists of deliveries.
	deliveriesEvery = time.Second
	// listsAtOnce bounds the lists that all dispatchers together write to in that time, and leastLists those of one. The
	// others wait for their turn, and then write no more than one that did not wait.
	listsAtOnce = 200
	leastLists  = 10
	// Of a subscription, so many attempts are listed each time: the first ones that succeeded, the first that failed, and
	// the latest one.
	listedSent   = 3
	listedFailed = 20
	// maxRecent bounds the subscriptions whose attempts wait.
	maxRecent = 20_000
	// maxListed bounds the attempts that wait, of all subscriptions.
	maxListed = 20_000
)

// deliveries gathers attempts for the lists of deliveries: what failed, and a sample of what succeeded. It takes no part in
// the steps of delivery, and a crash loses what it holds.
type deliveries struct {
	dispatcher string // its id
	subs       func() *medispatcher.Subscriptions
	peers      func() int64 // how many other dispatchers live
	store      *joined.Store

	mu     sync.Mutex
	of     map[string]*recent
	queue  []*recent // those of the map, the longest waiting first
	listed int       // attempts that wait
	n      uint64    // of the last ID
}

// recent are the attempts of a subscription since they were written last.
type recent struct {
	report.Attempts
	sent, failed int    // of Ended
	latest       latest // if it is not in Ended
	unlisted     int    // those that are in neither
}

// latest is an attempt that is listed if none follows it. Holding it costs no allocation, and no memory of its message.
type latest struct {
	held    bool
	at      time.Time
	texts   []byte // id, topic, entry and answer, one behind the other
	ends    [3]int
	channel medispatcher.Channel
	attempt int
	outcome medispatcher.Outcome
	status  int
	took    time.Duration
	target  string
	failure *medispatcher.Failure
}

func (l *latest) hold(d *medispatcher.Delivery, s *medispatcher.Settlement, now time.Time) {
	l.held, l.at, l.texts = true, now, l.texts[:0]
	for i, text := range [...]string{d.Message.ID, d.Message.Topic, d.EntryID} {
		l.texts = append(l.texts, text...)
		l.ends[i] = len(l.texts)
	}
	l.texts = append(l.texts, s.Answer...)
	l.channel, l.attempt, l.outcome, l.status, l.took, l.target, l.failure = d.Channel, d.Attempt, s.Outcome, s.Status, s.Took, s.Target, s.Failure
}

// ended is the attempt that was held.
func (l *latest) ended() medispatcher.Attempt {
	text := string(l.texts)
	d := medispatcher.Delivery{Channel: l.channel, EntryID: text[l.ends[1]:l.ends[2]], Attempt: l.attempt}
	d.Message.ID, d.Message.Topic = text[:l.ends[0]], text[l.ends[0]:l.ends[1]]
	s := medispatcher.Settlement{Outcome: l.outcome, Status: l.status, Took: l.took, Target: l.target, Failure: l.failure, Answer: l.texts[l.ends[2]:]}
	return medispatcher.AttemptOf(&d, &s, l.at)
}

// note takes an attempt that ended.
func (l *deliveries) note(d *medispatcher.Delivery, s *medispatcher.Settlement, now time.Time) {
	if s.Outcome == medispatcher.Released {
		return // it does not count
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.recentLocked(d.Subscription)
	if r == nil {
		return
	}
	count, most := &r.failed, listedFailed
	if s.Outcome == medispatcher.Sent {
		count, most = &r.sent, listedSent
	}
	if *count >= most || l.listed >= maxListed {
		if r.latest.held {
			r.unlisted++
		}
		r.latest.hold(d, s, now)
		return
	}
	*count++
	l.listed++
	r.Ended = append(r.Ended, l.namedLocked(medispatcher.AttemptOf(d, s, now)))
}

// recentLocked is where the attempts of a subscription wait; nil if there is no room.
func (l *deliveries) recentLocked(sub string) *recent {
	r := l.of[sub]
	if r != nil || len(l.queue) >= maxRecent {
		return r
	}
	if l.of == nil {
		l.of = map[string]*recent{}
	}
	r = &recent{Attempts: report.Attempts{Subscription: sub}}
	l.of[sub] = r
	l.queue = append(l.queue, r)
	return r
}

func (l *deliveries) namedLocked(a medispatcher.Attempt) medispatcher.Attempt {
	l.n++
	a.ID, a.Dispatcher = medispatcher.AttemptID(a.Time, l.dispatcher, l.n), l.dispatcher
	return a
}

// take takes what waits of so many subscriptions, those that wait longest.
func (l *deliveries) take(most int) []report.Attempts {
	l.mu.Lock()
	defer l.mu.Unlock()
	most = min(most, len(l.queue))
	taken := make([]report.Attempts, most)
	for i, r := range l.queue[:most] {
		l.listed -= len(r.Ended)
		if r.latest.held { // an attempt in Ended may be later: a list is read by time
			a := l.namedLocked(r.latest.ended())
			a.Unlisted = r.unlisted
			r.Ended = append(r.Ended, a)
		}
		taken[i] = r.Attempts
		delete(l.of, r.Subscription)
	}
	if l.queue = l.queue[most:]; len(l.queue) == 0 {
		l.queue = nil
	}
	return taken
}

// write writes what waits of some subscriptions, or of all.
func (l *deliveries) write(ctx context.Context, all bool) {
	most := maxRecent
	if !all {
		most = max(leastLists, listsAtOnce/int(l.peers()+1))
	}
	taken := l.take(most)
	if len(taken) == 0 {
		return
	}
	subs := l.subs()
	taken = slices.DeleteFunc(taken, func(a report.Attempts) bool { return subs.Get(a.Subscription) == nil }) // its list went with it
	_ = l.store.AddAttempts(ctx, subs.Len(), taken)                                                           // Redis is away: readiness says so
}

// Run writes attempts to Redis until ctx ends.
func (l *deliveries) Run(ctx context.Context) error {
	tick := time.NewTicker(deliveriesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastStepsTimeout)
			defer cancel()
			l.write(last, true)
			return nil
		case <-tick.C:
			l.write(ctx, false)
		}
	}
}
