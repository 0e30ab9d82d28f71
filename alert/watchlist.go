package alert

import (
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// watchFor is how long a subscription is looked at after it had something to do. A sweep reaches
	// every channel that is not empty within this time.
	watchFor = 15 * time.Second
	// maxWatched bounds the subscriptions of one round. If more had something to do, those that were
	// not looked at for the longest time come first.
	maxWatched = 2000
	// trendOver is the time over which counts are compared to tell whether a backlog grows.
	trendOver = 10 * time.Second
)

// watchlist holds the subscriptions that had something to do lately, by id. Only their channels are
// looked at, so idle ones cost nothing.
type watchlist map[string]*watched

type watched struct {
	id            string
	until, looked time.Time
	length        int64 // of the channel, when it was last looked at
	trend         trend
}

// stir keeps a subscription on the list for a while.
func (l watchlist) stir(id string, now time.Time) {
	if l[id] == nil {
		l[id] = &watched{id: id}
	}
	l[id].until = now.Add(watchFor)
}

// next forgets subscriptions that were removed or are idle, and chooses those of this round.
func (l watchlist) next(now time.Time, subs *medispatcher.Subscriptions) []string {
	chosen := make([]*watched, 0, len(l))
	for id, w := range l {
		if subs.Get(id) == nil || w.until.Before(now) {
			delete(l, id)
			continue
		}
		chosen = append(chosen, w)
	}
	if len(chosen) > maxWatched {
		slices.SortFunc(chosen, func(a, b *watched) int { return a.looked.Compare(b.looked) })
		chosen = chosen[:maxWatched]
	}
	ids := make([]string, len(chosen))
	for i, w := range chosen {
		w.looked, ids[i] = now, w.id
	}
	slices.Sort(ids)
	return ids
}

// measured notes the length of a channel.
func (l watchlist) measured(id string, now time.Time, length int64) {
	l[id].length = length
	l[id].trend.grows(now, length)
}

// grows reports whether the channel of a subscription grew over the last seconds.
func (l watchlist) grows(id string) bool {
	w := l[id]
	return w != nil && w.length > w.trend.older
}

// sum counts the messages in all channels that are not paused. A channel that this round did not look
// at counts with its last known length.
func (l watchlist) sum(subs *medispatcher.Subscriptions) int64 {
	var sum int64
	for id, w := range l {
		if sub := subs.Get(id); sub == nil || !sub.Paused {
			sum += w.length
		}
	}
	return sum
}

// trend remembers earlier values of a count, to tell whether it grows.
type trend struct {
	at            time.Time
	before, older int64
}

// grows takes a count and reports whether it grew over the last seconds.
func (t *trend) grows(now time.Time, n int64) bool {
	if t.at.IsZero() {
		t.at, t.before, t.older = now, n, n
	}
	if now.Sub(t.at) >= trendOver {
		t.at, t.older, t.before = now, t.before, n
	}
	return n > t.older
}
