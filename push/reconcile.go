package push

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/solate/medispatcher"
)

// mineLimit bounds the comparison of one channel's entries; the rest comes with the next sweep.
const mineLimit = 5000

// suspectLooks is how often a lane is looked at after a read that failed. A Redis that was
// frozen may run that read when it wakes, after the first look.
const suspectLooks = 2

// readsOver is the time after which the reads of the first look have most often ended.
const readsOver = 50 * time.Millisecond

// doubts are entries that Redis said are this process's and that were not known here at any
// moment since it was asked. A read that was under way may bring them yet.
type doubts struct {
	ids         map[string]struct{}
	reads, dues int // begun when Redis had answered
}

// begun is the number of reads of either kind.
func (l *lane) begun() int { return l.reads + l.dueReads }

// took notes an entry that a read brought, and the room that it takes.
func (l *lane) took(entryID string, h held) {
	l.inflight[entryID] = h
	delete(l.doubts.ids, entryID)
}

// forget notes that Redis has the outcome of an entry.
func (l *lane) forget(b *budget, entryID string) {
	if h, known := l.inflight[entryID]; known {
		delete(l.inflight, entryID)
		b.hold(l.sub, h.from, -h.bytes)
	}
	if l.left != nil {
		l.left[entryID] = struct{}{}
	}
}

// reconcile compares what Redis says this process owns with what it knows to be in
// flight. The difference was taken by a read whose reply was lost: it is given
// back, due at once, the attempt not counted.
//
// An entry is lost if Redis says that this process owns it, and it was unknown here from before Redis was asked
// until every read begun before the answer was over. For what is owned and not lost is known, or is in the reply of a read
// under way. The answer itself may be old when it arrives: what it names may have been settled since, and even taken again.
func (s *Scheduler) reconcile(ctx context.Context) {
	var doubtful []*lane
	for _, l := range s.comparable() {
		s.compare(ctx, l)
		if !s.giveBack(ctx, l) {
			doubtful = append(doubtful, l)
		}
	}
	if len(doubtful) == 0 || !medispatcher.Sleep(ctx, readsOver) {
		return
	}
	for _, l := range doubtful {
		s.giveBack(ctx, l) // where a read lasts still, the next reconciliation goes on
	}
}

// comparable lists the lanes that were read since they were last compared.
func (s *Scheduler) comparable() []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lanes []*lane
	for _, l := range s.touched {
		if l.begun() != l.compared || l.suspect > 0 {
			lanes = append(lanes, l)
		}
	}
	return lanes
}

// compare asks Redis what this process owns of one lane, and notes what is not known.
func (s *Scheduler) compare(ctx context.Context, l *lane) {
	s.mu.Lock()
	if len(l.doubts.ids) > 0 { // of the comparison before
		s.mu.Unlock()
		return
	}
	begun, quiet := l.begun(), !l.reading && !l.dueReading
	l.left = map[string]struct{}{}
	s.mu.Unlock()
	mine, err := s.queue.Mine(ctx, l.channel, mineLimit)
	s.mu.Lock()
	defer s.mu.Unlock()
	left := l.left
	l.left = nil
	if err != nil {
		return
	}
	l.doubts = doubts{map[string]struct{}{}, l.reads, l.dueReads}
	for _, id := range mine {
		_, known := l.inflight[id]
		if _, settled := left[id]; !known && !settled {
			l.doubts.ids[id] = struct{}{}
		}
	}
	if quiet && len(l.doubts.ids) == 0 && l.begun() == begun {
		l.compared = begun
		if len(mine) == 0 { // else an entry in flight may be ours a second time, by a lost reply
			l.suspect = max(0, l.suspect-1)
		}
	}
}

// lost takes the doubts of a lane that are certain now. over is false while a read that may
// dispel them is under way.
func (l *lane) lost() (ids []string, over bool) {
	d := &l.doubts
	if len(d.ids) == 0 {
		return nil, true
	}
	if l.reading && l.reads == d.reads || l.dueReading && l.dueReads == d.dues {
		return nil, false // each kind is read one at a time: that read is under way still
	}
	if l.giving == nil {
		l.giving = map[string]int{}
	}
	for id := range d.ids {
		ids = append(ids, id)
		l.giving[id] = math.MaxInt
	}
	d.ids = nil
	return ids, true
}

// giveBack gives back what is lost of a lane. It reports false while that is not certain.
func (s *Scheduler) giveBack(ctx context.Context, l *lane) bool {
	s.mu.Lock()
	lost, over := l.lost()
	s.mu.Unlock()
	if len(lost) == 0 {
		return over
	}
	err := s.queue.Release(ctx, l.channel, lost, false)
	s.mu.Lock()
	for _, id := range lost {
		l.giving[id] = l.dueReads
	}
	l.given()
	s.due[l.channel.Partition].now(l)
	s.mu.Unlock()
	if err == nil { // else they come into doubt again
		s.news.log(slog.LevelInfo, "entries taken by a lost reply are given back",
			"subscription", l.channel.Subscription, "partition", l.channel.Partition, "count", len(lost))
	}
	return true
}

// given forgets what was given back once no due read is under way that began before.
func (l *lane) given() {
	for id, last := range l.giving {
		if last < l.dueReads || last == l.dueReads && !l.dueReading {
			delete(l.giving, id)
		}
	}
}

// givenBack reports whether an entry that the due read under way brings was given back meanwhile. Others may have
// taken the lost entry from this process, thinking it dead, so that this read found it due; whether Redis gave it back after
// that is not known. So it is left unknown: if it is this process's, the next comparison gives it back.
func (l *lane) givenBack(entryID string) bool {
	last, given := l.giving[entryID]
	return given && l.dueReads <= last
}
