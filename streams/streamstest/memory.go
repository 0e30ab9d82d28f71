package streamstest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// Memory is a queue in memory for tests in a synctest bubble. For package push it behaves like
// streams.Store. Conform runs the same cases on both.
type Memory struct {
	Fail    func(step string) error    // called before each step; nil: no step fails
	Ordered bool                       // of a key one message is in a channel, and the others wait in a line
	Next    func(medispatcher.Channel) // is told when one of them enters the channel

	mu       sync.Mutex
	next     int
	channels map[medispatcher.Channel]*memoryChannel
	counts   map[string]int
	reads    int
}

type memoryChannel struct {
	ready   []*memoryEntry
	pending map[string]*memoryEntry
	dead    []*memoryEntry
	lines   map[string]*memoryLine // by key
}

type memoryEntry struct {
	delivery medispatcher.Delivery
	mine     bool      // owned by this process; otherwise by ~buried
	due      time.Time // if ~buried owns it
}

// NewMemory makes an empty queue.
func NewMemory() *Memory {
	return &Memory{channels: map[medispatcher.Channel]*memoryChannel{}, counts: map[string]int{}}
}

func (q *Memory) channel(c medispatcher.Channel) *memoryChannel {
	if q.channels[c] == nil {
		q.channels[c] = &memoryChannel{pending: map[string]*memoryEntry{}, lines: map[string]*memoryLine{}}
	}
	return q.channels[c]
}

// Put makes a message READY in a channel and returns its entry id.
func (q *Memory) Put(c medispatcher.Channel, m medispatcher.Message) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next++
	id := fmt.Sprintf("%d-0", q.next)
	if m.ID == "" {
		m.ID, m.Generated = "0-"+id, true
	}
	ch, e := q.channel(c), &memoryEntry{delivery: medispatcher.Delivery{Channel: c, EntryID: id, Attempt: 1, Message: m}}
	if !q.Ordered || !ch.waits(e) {
		ch.ready = append(ch.ready, e)
	}
	return id
}

// Left counts the messages of a channel: "ready", "mine", "retrying" and "dead".
func (q *Memory) Left(c medispatcher.Channel) map[string]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	ch := q.channel(c)
	left := map[string]int{"ready": len(ch.ready), "dead": len(ch.dead)}
	for _, l := range ch.lines {
		left["waiting"] += len(l.behind)
	}
	for _, e := range ch.pending {
		if e.mine {
			left["mine"]++
		} else {
			left["retrying"]++
		}
	}
	for what, n := range left {
		if n == 0 {
			delete(left, what)
		}
	}
	return left
}

// Count is how often an outcome was settled, by name and subscription: "sent:s".
func (q *Memory) Count(what string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.counts[what]
}

// Reads is the number of reads and looks for due messages so far.
func (q *Memory) Reads() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.reads
}

func (q *Memory) fail(step string) error {
	if q.Fail == nil {
		return nil
	}
	return q.Fail(step)
}

// Read is part of push.Reader.
func (q *Memory) Read(_ context.Context, wants []medispatcher.Want) ([]medispatcher.Delivery, error) {
	if err := q.fail("read"); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []medispatcher.Delivery
	for _, w := range wants {
		q.reads++
		ch := q.channel(w.Channel)
		n := min(w.Max, len(ch.ready))
		for _, e := range ch.ready[:n] {
			e.mine = true
			ch.pending[e.delivery.EntryID] = e
			out = append(out, e.delivery)
		}
		if w.Runs {
			ch.attachRuns(out[len(out)-n:], w.Max-n)
		}
		ch.ready = slices.Clone(ch.ready[n:])
	}
	if err := q.fail("read reply"); err != nil {
		return nil, err // the entries are taken although the read fails
	}
	return out, nil
}

// Due is part of push.Reader.
func (q *Memory) Due(_ context.Context, _ int, wants []medispatcher.Want) ([]medispatcher.Delivery, []time.Duration, error) {
	if err := q.fail("due"); err != nil {
		return nil, nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	var out []medispatcher.Delivery
	next := make([]time.Duration, len(wants))
	for i, w := range wants {
		q.reads++
		taken := 0
		next[i] = -1
		for _, e := range q.channel(w.Channel).waiting() {
			if wait := e.due.Sub(now); wait > 0 || taken == w.Max {
				next[i] = max(0, wait)
				break
			}
			e.mine = true
			out = append(out, e.delivery)
			taken++
		}
		if w.Runs {
			q.channel(w.Channel).attachRuns(out[len(out)-taken:], w.Max-taken)
		}
	}
	return out, next, nil
}

// waiting lists the entries of ~buried, the first due first.
func (ch *memoryChannel) waiting() []*memoryEntry {
	var list []*memoryEntry
	for _, e := range ch.pending {
		if !e.mine {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *memoryEntry) int { return a.due.Compare(b.due) })
	return list
}

// Waiting is part of push.Reader.
func (q *Memory) Waiting(_ context.Context, all func() []string) ([]medispatcher.Waiting, error) {
	if err := q.fail("waiting"); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []medispatcher.Waiting
	subs := all()
	for c, ch := range q.channels {
		if !slices.Contains(subs, c.Subscription) || len(ch.ready)+len(ch.pending) == 0 {
			continue
		}
		w := medispatcher.Waiting{Channel: c, DueIn: -1}
		if list := ch.waiting(); len(list) > 0 {
			w.DueIn = max(0, time.Until(list[0].due))
		}
		out = append(out, w)
	}
	return out, nil
}

// Mine is part of push.Reader.
func (q *Memory) Mine(_ context.Context, channels []medispatcher.Channel, limit int) []medispatcher.Mine {
	mine := make([]medispatcher.Mine, len(channels))
	for i, c := range channels {
		mine[i].EntryIDs, mine[i].Err = q.mine(c, limit)
	}
	return mine
}

func (q *Memory) mine(c medispatcher.Channel, limit int) ([]string, error) {
	if err := q.fail("mine"); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var ids []string
	for id, e := range q.channel(c).pending {
		if e.mine && len(ids) < limit {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// settle runs do for each settlement whose entry is pending and whose attempt is the current one. If
// mine is set, this process must own the entry.
func (q *Memory) settle(step string, list []medispatcher.Settlement, mine bool, do func(*memoryChannel, *memoryEntry, medispatcher.Settlement)) (n int64, err error) {
	if err := q.fail(step); err != nil {
		return 0, err
	}
	q.mu.Lock()
	defer func() {
		q.mu.Unlock()
		if q.Next != nil && len(list) > 0 {
			q.Next(list[0].Channel)
		}
	}()
	for _, s := range list {
		ch := q.channel(s.Channel)
		if e := ch.pending[s.EntryID]; e != nil && (!mine || e.mine && (s.Attempt == 0 || s.Attempt == e.delivery.Attempt)) {
			n++
			q.settleRun(ch, e, &s)
			if s.Next > 0 {
				do(ch, e, s)
				continue
			}
			if s.Outcome != medispatcher.Released {
				q.counts[s.Outcome.String()+":"+s.Subscription]++
			}
			do(ch, e, s)
		}
	}
	return n, q.fail(step + " reply")
}

// Delete is part of push.Settler.
func (q *Memory) Delete(_ context.Context, _ int, done []medispatcher.Settlement) (int64, error) {
	return q.settle("delete", done, false, func(ch *memoryChannel, e *memoryEntry, _ medispatcher.Settlement) { ch.leave(e) })
}

// Retry is part of push.Settler.
func (q *Memory) Retry(_ context.Context, _ int, failures []medispatcher.Settlement) error {
	_, err := q.settle("retry", failures, true, func(_ *memoryChannel, e *memoryEntry, s medispatcher.Settlement) {
		e.mine, e.due = false, time.Now().Add(s.Delay)
		e.delivery.Attempt, e.delivery.Failure = s.Attempt+1, s.Failure
		if s.Next > 0 {
			if e.delivery.Attempt = s.Next; !s.Due.IsZero() {
				e.due = s.Due
			}
		}
	})
	return err
}

// Kill is part of push.Settler.
func (q *Memory) Kill(_ context.Context, _ int, exhausted []medispatcher.Settlement) error {
	_, err := q.settle("kill", exhausted, true, func(ch *memoryChannel, e *memoryEntry, _ medispatcher.Settlement) {
		ch.leave(e)
		ch.dead = append(ch.dead, e)
	})
	return err
}

// Release is part of push.Settler.
func (q *Memory) Release(_ context.Context, c medispatcher.Channel, entryIDs []string, _ bool) error {
	list := make([]medispatcher.Settlement, len(entryIDs))
	for i, id := range entryIDs {
		list[i] = medispatcher.Settlement{Channel: c, EntryID: id, Outcome: medispatcher.Released}
	}
	_, err := q.settle("release", list, true, func(_ *memoryChannel, e *memoryEntry, _ medispatcher.Settlement) {
		e.mine, e.due = false, time.Now()
	})
	return err
}

// LeaveChannels is part of push.Settler.
func (q *Memory) LeaveChannels(context.Context, []medispatcher.Channel) error { return q.fail("leave") }

// Purge deletes the messages that are READY or BURIED.
func (q *Memory) Purge(_ context.Context, sub string) (ready, buried int64, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for c, ch := range q.channels {
		if c.Subscription == sub {
			ready, buried = ready+int64(len(ch.ready)), buried+int64(len(ch.pending))
			ch.ready = nil
			clear(ch.pending)
			clear(ch.lines)
		}
	}
	return ready, buried, nil
}

// Kick makes all retries due now.
func (q *Memory) Kick(c medispatcher.Channel) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.channel(c).waiting() {
		e.due = time.Now()
	}
}
