package push

import (
	"slices"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

const (
	// defaultMaxInflight and defaultMaxBody are used where Config leaves them zero.
	defaultMaxInflight = 512 << 20
	defaultMaxBody     = 1 << 20
	// reserveShare of the budget is for subscriptions whose attempts end quickly.
	reserveShare = 4
	// slowAfter is how long an attempt may take until its subscription counts as slow.
	slowAfter = time.Second
	// patience is how long a subscription that holds nothing may be passed over.
	patience = time.Second
	// roomSoon and roomLater are how long a quick and a slow subscription wait before they look for room again.
	roomSoon, roomLater = 5 * time.Millisecond, 50 * time.Millisecond
	// readSoon is how long to wait when reads for the maximum number of messages are under way.
	readSoon = time.Millisecond
	// minAsked is the least number of messages that reads may ask for at once from the reserve, whatever their size. For
	// the pool it is larger by the same factor as the pool.
	minAsked = 4
)

// budget bounds the bytes of the bodies that this process holds: of messages being read, read ahead, in flight
// and not settled yet. Guarded by the mutex of lanes.
//
// The size of a message is unknown until it was read. A read therefore reserves, for each message, the size of the
// largest one that its subscription had lately. The number of messages being read is bounded too: even if all of them have
// the maximum size, this process holds at most twice the budget.
//
// Three quarters of the budget, the pool, are shared by all subscriptions, and none may hold more than twice what is left
// of the pool. The last quarter, the reserve, is for quick subscriptions only, so subscriptions that hang, however many,
// do not stop the others. A subscription that holds nothing and found no room for a second is served next: until then nobody else
// takes anything from the pool. A message larger than the whole budget is read when the pool is empty.
type budget struct {
	limit, used     [2]int64      // of the pool and of the reserve, in bytes
	start           int64         // expected size of a subscription's first message, in bytes
	asked, maxAsked [2]int        // messages being read
	queue           []*subscriber // subscriptions that hold nothing and found no room, in order of arrival
	refused         time.Time     // when one last found no room
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

// grant is permission to read n messages of some size.
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
		b.refused = now
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

// spare is how many messages of a size the reserve has room for. A subscription that was not tried yet gets room for one,
// which shows whether it is quick, as long as the reserve has room for more.
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

// next is the subscription that has waited longest, if it has waited too long; nil: none has.
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

// tight reports whether others look for room, and may look again before long.
func (b *budget) tight(now time.Time) bool {
	return !b.refused.IsZero() && now.Sub(b.refused) <= roomLater
}

// slow reports whether a subscription's attempts take long, or none of those under way has ended for long.
func (s *subscriber) slow(now time.Time) bool {
	return s.took > slowAfter || s.running > 0 && now.Sub(s.moved) > slowAfter
}

// saw updates the largest size seen lately with the largest of one read.
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

// perMessage is about what a message of a batch takes beside its bytes.
const perMessage = 512

// bytesOf is the memory that a message takes while this process holds it: its body, the form made of it in the protocol of
// earlier versions or its part of a batch, and the copy that is sent of a short one.
func bytesOf(st *settings, m *medispatcher.Message) int64 {
	n := int64(len(m.Body))
	if st.batches() { // many are small, so what else there is of each counts, too
		return n + int64(packedSize(m)) + perMessage
	}
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
