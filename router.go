package medispatcher

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
)

// Router finds the subscriptions of a topic. It never changes and is safe for concurrent use: With makes another one,
// which shares what is the same.
type Router struct {
	// all has every subscription, bench those that want load tests. nil: none.
	all, bench *level
	// recent are topics that were routed, each in the place that its hash says.
	recent [recentTopics]atomic.Pointer[routed]
}

const (
	// recentTopics and recentIDs bound what a router remembers: at most 1.3 KB for a topic.
	recentTopics, recentIDs = 256, 64
)

// routed is what became of a topic.
type routed struct {
	topic string
	want  Wanted
}

var topicSeed = maphash.MakeSeed()

// level is all patterns that begin with the same levels.
type level struct {
	ids   Wanted         // of the pattern that ends here
	rest  Wanted         // of the one that ends with ">" below
	below sorted[*level] // by the next level
}

// NewRouter makes a router for valid subscriptions.
func NewRouter(subs []Subscription) *Router {
	changes := make([]SubscriptionChange, len(subs))
	for i := range subs {
		changes[i].Now = &subs[i]
	}
	return (&Router{}).With(changes)
}

// With is the router after changes of some subscriptions. It takes time for these, not for all.
func (r *Router) With(changes []SubscriptionChange) *Router {
	all, bench := edits{}, edits{}
	for _, c := range changes {
		if c.Was != nil && c.Now != nil && c.Was.Topic == c.Now.Topic && c.Was.ReceiveBench == c.Now.ReceiveBench &&
			c.Was.Matcher == c.Now.Matcher {
			continue
		}
		all.note(c, func(*Subscription) bool { return true })
		bench.note(c, (*Subscription).wantsBench)
	}
	if len(all) == 0 {
		return r
	}
	return &Router{all: r.all.with(all.sorted()), bench: r.bench.with(bench.sorted())}
}

// wantsBench: topics of load tests need more than a pattern that covers them, so that a load test does not flood every
// catch-all subscription.
func (s *Subscription) wantsBench() bool {
	return s.ReceiveBench || strings.HasPrefix(s.Topic, benchLevel+".")
}

// Wants reports whether a valid subscription gets the messages of a valid topic.
func (s *Subscription) Wants(topic string) bool {
	return matchTopic(s.Topic, topic) && (!isBench(topic) || s.wantsBench())
}

// Route returns the sorted ids of the subscriptions that want a valid topic, whatever their filters say. The caller
// must not change the slice.
func (r *Router) Route(topic string) []string { return r.Wanted(topic).IDs }

// Wanted returns the subscriptions that want a valid topic, and their filters.
func (r *Router) Wanted(topic string) Wanted {
	place := &r.recent[maphash.String(topicSeed, topic)%recentTopics]
	if known := place.Load(); known != nil && known.topic == topic {
		return known.want
	}
	l := r.all
	if isBench(topic) {
		l = r.bench
	}
	if l == nil {
		return Wanted{}
	}
	var few [8]Wanted
	lists := l.covering(topic, few[:0])
	want := mergeAll(lists)
	if len(lists) <= 1 || len(want.IDs) <= recentIDs { // a list that is not merged is held anyway
		place.Store(&routed{strings.Clone(topic), want}) // topic may be a part of a whole message
	}
	return want
}

// mergeAll makes one sorted list of some that have nothing in common.
func mergeAll(lists []Wanted) Wanted {
	for len(lists) > 1 {
		for i := 0; i < len(lists); i += 2 {
			one := lists[i]
			if i+1 < len(lists) {
				one = mergeWanted(one, lists[i+1])
			}
			lists[i/2] = one
		}
		lists = lists[:(len(lists)+1)/2]
	}
	if len(lists) == 0 {
		return Wanted{}
	}
	return lists[0]
}

// covering appends the ids of each pattern that covers what is left of a topic.
func (l *level) covering(topic string, lists []Wanted) []Wanted {
	if len(l.rest.IDs) > 0 {
		lists = append(lists, l.rest)
	}
	name, left, more := strings.Cut(topic, ".")
	for _, next := range [...]*level{l.below.get(name), l.below.get("*")} {
		switch {
		case next == nil:
		case more:
			lists = next.covering(left, lists)
		case len(next.ids.IDs) > 0:
			lists = append(lists, next.ids)
		}
	}
	return lists
}

// mergeWanted makes one sorted list of two.
func mergeWanted(x, y Wanted) Wanted {
	both := Wanted{IDs: make([]string, 0, len(x.IDs)+len(y.IDs))}
	if x.Filters != nil || y.Filters != nil {
		both.Filters = make([]Filter, 0, cap(both.IDs))
	}
	i, j := 0, 0
	take := func(from Wanted, at *int) {
		both.IDs = append(both.IDs, from.IDs[*at])
		if both.Filters != nil {
			both.Filters = append(both.Filters, from.filter(*at))
		}
		*at++
	}
	for i < len(x.IDs) || j < len(y.IDs) {
		if j == len(y.IDs) || i < len(x.IDs) && x.IDs[i] < y.IDs[j] {
			take(x, &i)
		} else {
			take(y, &j)
		}
	}
	return both
}

// edit is what changes of one pattern.
type edit struct {
	levels string   // those below the level that it is applied to; each ends with a space
	out    []string // ids
	in     []*Subscription
}

// edits are edits by their levels.
type edits map[string]*edit

// note adds a change, as far as it concerns the subscriptions that are in this part of the router.
func (e edits) note(c SubscriptionChange, has func(*Subscription) bool) {
	if c.Was != nil && has(c.Was) {
		of := e.of(c.Was.Topic)
		of.out = append(of.out, c.Was.ID)
	}
	if c.Now != nil && has(c.Now) {
		of := e.of(c.Now.Topic)
		of.in = append(of.in, c.Now)
	}
}

func (e edits) of(pattern string) *edit {
	if e[pattern] == nil {
		e[pattern] = &edit{levels: strings.ReplaceAll(pattern, ".", " ") + " "}
	}
	return e[pattern]
}

// sorted has the edits of each level together: a space comes before whatever a level holds.
func (e edits) sorted() []*edit {
	return slices.SortedFunc(maps.Values(e), func(x, y *edit) int { return strings.Compare(x.levels, y.levels) })
}

// with is the level after some edits, nil if nothing is left. l may be nil.
func (l *level) with(edits []*edit) *level {
	if len(edits) == 0 {
		return l
	}
	var next level
	if l != nil {
		next = *l
	}
	if edits[0].levels == "" {
		next.ids = edits[0].apply(next.ids)
		edits = edits[1:]
	}
	var below []pair[*level]
	for len(edits) > 0 {
		name, _, _ := strings.Cut(edits[0].levels, " ")
		n := 0
		for n < len(edits) && strings.HasPrefix(edits[n].levels, name+" ") {
			edits[n].levels = edits[n].levels[len(name)+1:]
			n++
		}
		if name == ">" {
			next.rest = edits[0].apply(next.rest)
		} else {
			below = append(below, pair[*level]{name, next.below.get(name).with(edits[:n])})
		}
		edits = edits[n:]
	}
	next.below = next.below.with(below)
	if len(next.ids.IDs)+len(next.rest.IDs)+next.below.n == 0 {
		return nil
	}
	return &next
}

// apply is a new list of subscriptions.
func (e *edit) apply(want Wanted) Wanted {
	slices.Sort(e.out)
	slices.SortFunc(e.in, func(x, y *Subscription) int { return strings.Compare(x.ID, y.ID) })
	var left, in Wanted
	for i, id := range want.IDs {
		if _, out := slices.BinarySearch(e.out, id); !out {
			left.add(id, want.filter(i))
		}
	}
	for _, sub := range e.in {
		in.add(sub.ID, sub.Matcher)
	}
	return mergeWanted(left, in)
}
