package push

import (
	"slices"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

const (
	// defaultMaxInflight and defaultMaxBody are what a Config that does not say means.
	defaultMaxInflight = 512 << 20
	defaultMaxBody     = 1 << 20
	// reserveShare of the budget is for subscriptions whose attempts end quickly.
	reserveShare = 4
	// slowAfter is how long an attempt may take until its subscription counts as slow.
	slowAfter = time.Second
	// patience is how long a subscription that holds nothing may be passed over.
	patience = time.Second
	// The looks of a subscription that found no room, quick and slow.
	roomSoon, roomLater = 5 * time.Millisecond, 50 * time.Millisecond
	// readSoon is when to look again where as many messages are asked for as may be.
	readSoon = time.Millisecond
	// minAsked is how many messages may be asked for at once on behalf of the reserve, however large they may be; of
	// the pool so many times as many as it is larger.
	minAsked = 4
)

// budget bounds the bytes of the bodies that this process holds: of messages being read, read ahead, in flight
// and not settled yet. Guarded by the scheduler's mutex.
//
// The size of a message is known only when it is here. A read therefore reserves what the largest one of its
// subscription took lately, and the messages that reads are under way for are few enough that, all being as large as
// a message can be, they exceed the budget by no more than itself.
//
// Three quarters of the budget, the pool, are shared by all: none takes more than twice what is left of it. The last
// quarter, the reserve, stays out of the reach of those that are slow: so what hangs, however many they are, stops nobody else.
// A subscription that holds nothing and found no room for a second is next: nobody else takes anything from the pool before it did.
// A message larger than the whole budget goes, too, when the pool is empty.
type budget struct {
	limit, used     [2]int64      // of the pool and of the reserve, in bytes
	start           int64         // expected of the messages of a subscription before the first, in bytes
	asked, maxAsked [2]int        // messages that reads are under way for
	queue           []*subscriber // those that hold nothing and found no room, the first that came first
}

// part is one of the two parts of the budget.
type part int

const (
	pool part = iota
	reserve
)

func newBudget(limit, maxBody int64) *budget {
	if limit == 0 {
		limit = defaultMaxInflight
	}
	if maxBody == 0 {
		maxBody = defaultMaxBody
	}
	kept := limit / reserveShare
	return &budget{
		limit: [2]int64{limit - kept, kept}, start: max(1, min(maxBody, kept/16)),
		maxAsked: [2]int{maxAsked(limit-kept, maxBody, (reserveShare-1)*minAsked), maxAsked(kept, maxBody, minAsked)},
	}
}

// maxAsked is how many of the largest messages fit into a part.
func maxAsked(limit, maxBody int64, least int) int {
	return max(least, int(min(limit/maxBody, 1<<30)))
}

// grant is leave to read n messages of some size.
type grant struct {
	n    int
	size int64 // expected of each, in bytes
	from part
}

// grant reserves room for n messages of a subscription, or for as many as there is room for.
func (b *budget) grant(s *subscriber, n int, now time.Time) grant {
	g := grant{size: b.expected(s), from: pool}
	room := b.room(s, g.size, now)
	if room == 0 {
		room, g.from = b.spare(s, g.size, now), reserve
	}
	if room == 0 {
		b.wait(s, now)
		return grant{}
	}
	if g.n = min(n, room, b.maxAsked[g.from]-b.asked[g.from]); g.n <= 0 {
		return grant{}
	}
	b.leave(s)
	b.asked[g.from] += g.n
	b.hold(s, g.from, int64(g.n)*g.size)
	return g
}

// over ends a read.
func (b *budget) over(s *subscriber, g grant) {
	b.asked[g.from] -= g.n
	b.hold(s, g.from, -int64(g.n)*g.size)
}

// hold takes bytes from a part for a subscription, or gives them back.
func (b *budget) hold(s *subscriber, from part, bytes int64) {
	b.used[from] += bytes
	s.holds[from] += bytes
}

// expected is how large the next message of a subscription may be.
func (b *budget) expected(s *subscriber) int64 {
	if s.largest == 0 {
		return b.start
	}
	return s.largest
}

// room is how many messages of a size the pool has room for.
func (b *budget) room(s *subscriber, size int64, now time.Time) int {
	free := b.limit[pool] - b.used[pool]
	fits := free >= size || b.used[pool] == 0
	if next := b.next(now); next != nil {
		if next == s && fits {
			return 1
		}
		return 0
	}
	if room := (2*free - s.holds[pool]) / 3 / size; room > 0 { // then it holds twice what is left
		return int(min(room, 1<<30))
	}
	if fits && s.holds[pool] == 0 {
		return 1
	}
	return 0
}

// spare is how many messages of a size the reserve has room for. Of a subscription that was not tried yet it takes one, which shows
// what it is like, and which may not be the last that fits.
func (b *budget) spare(s *subscriber, size int64, now time.Time) int {
	free := b.limit[reserve] - b.used[reserve]
	switch {
	case s.slow(now):
		return 0
	case s.took != 0:
		return int(max(0, min(free/2/size, 1<<30)))
	case size <= free/4 && s.holds == [2]int64{}:
		return 1
	}
	return 0
}

// wait puts a subscription that found no room, and holds nothing, into the queue.
func (b *budget) wait(s *subscriber, now time.Time) {
	if s.holds != [2]int64{} {
		return // it goes on
	}
	if s.waits.IsZero() {
		s.waits = now
		b.queue = append(b.queue, s)
	}
	s.asks = now
}

// leave takes a subscription out of the queue.
func (b *budget) leave(s *subscriber) {
	if !s.waits.IsZero() {
		s.waits = time.Time{}
		b.queue = slices.DeleteFunc(b.queue, func(q *subscriber) bool { return q == s })
	}
}

// next is the subscription that waits longest, if it does for too long; nil: none does.
func (b *budget) next(now time.Time) *subscriber {
	for len(b.queue) > 0 {
		s := b.queue[0]
		switch {
		case now.Sub(s.asks) > patience: // it wants nothing any more
			b.leave(s)
		case now.Sub(s.waits) > patience:
			return s
		default:
			return nil
		}
	}
	return nil
}

// again is when a subscription that found no room may look again.
func (b *budget) again(s *subscriber, now time.Time) time.Time {
	switch {
	case b.asked[pool] >= b.maxAsked[pool] || b.asked[reserve] >= b.maxAsked[reserve]:
		return now.Add(readSoon)
	case s.slow(now):
		return now.Add(roomLater)
	}
	return now.Add(roomSoon)
}

// slow reports whether a subscription's attempts take long, or those under way do not end.
func (s *subscriber) slow(now time.Time) bool {
	return s.took > slowAfter || s.running > 0 && now.Sub(s.moved) > slowAfter
}

// saw learns the size of the largest message lately from those of a read.
func (s *subscriber) saw(largest int64) {
	switch {
	case largest <= 0:
	case largest >= s.largest:
		s.largest = largest
	default:
		s.largest -= (s.largest - largest) / 8
	}
}

// held is the room that one message takes.
type held struct {
	bytes int64
	from  part
}

// bytesOf is what a message takes while it is here: its body, in the protocol of earlier versions the form made of it, and the
// copy that is sent of what is short.
func bytesOf(st *settings, m *medispatcher.Message) int64 {
	n := int64(len(m.Body))
	sent := n
	if st.sub.Encoding == medispatcher.EncodingForm {
		sent = formGrowth * n
		n += sent
	}
	if sent <= http1.MaxInline {
		n += sent
	}
	return max(1, n)
}
