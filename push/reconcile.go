package push

import (
	"context"
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

// doubts are entries that Redis says are this process's and that are not known here. A
// read that is under way may bring them yet; when it is over, they were taken by a reply
// that was lost.
type doubts struct {
	ids         map[string]struct{}
	reads, dues int // begun when they came into doubt
}

// begun is the number of reads of either kind.
func (l *lane) begun() int { return l.reads + l.dueReads }

// took notes an entry that a read brought.
func (l *lane) took(entryID string) {
	l.inflight[entryID] = struct{}{}
	delete(l.doubts.ids, entryID)
}

// reconcile compares what Redis says this process owns with what it knows to be in
// flight. The difference was taken by a read whose reply was lost: it is given
// back, due at once, the attempt not counted.
func (s *Scheduler) reconcile(ctx context.Context) {
	var doubtful []*lane
	for _, l := range s.comparable() {
		if s.compare(ctx, l) {
			doubtful = append(doubtful, l)
		}
	}
	if len(doubtful) == 0 || !medispatcher.Sleep(ctx, readsOver) {
		return
	}
	for _, l := range doubtful {
		s.compare(ctx, l)
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

// compare looks at what Redis says of one lane, and reports whether doubts remain.
func (s *Scheduler) compare(ctx context.Context, l *lane) (doubtful bool) {
	s.mu.Lock()
	begun, quiet := l.begun(), !l.reading && !l.dueReading
	s.mu.Unlock()
	mine, err := s.reader.Mine(ctx, l.channel, mineLimit)
	if err != nil {
		return false
	}
	s.mu.Lock()
	lost := l.lost(mine)
	doubtful = len(l.doubts.ids) > 0
	if quiet && !doubtful && len(lost) == 0 && l.begun() == begun {
		l.compared = begun
		if len(mine) == 0 { // else an entry in flight may be ours a second time, by a lost reply
			l.suspect = max(0, l.suspect-1)
		}
	}
	s.mu.Unlock()
	if len(lost) == 0 {
		return doubtful
	}
	if err := s.settle.settler.Release(ctx, l.channel, lost, false); err != nil {
		return false // they come into doubt again
	}
	s.cfg.Log.Info("entries taken by a lost reply are given back",
		"subscription", l.channel.Subscription, "partition", l.channel.Partition, "count", len(lost))
	s.mu.Lock()
	s.due[l.channel.Partition].now(l)
	s.mu.Unlock()
	return doubtful
}

// lost lists those of mine that were in doubt, and are not known although every read that
// was under way then is over. Others that are not known come into doubt.
func (l *lane) lost(mine []string) (lost []string) {
	d := &l.doubts
	if len(d.ids) > 0 && (l.reading && l.reads == d.reads || l.dueReading && l.dueReads == d.dues) {
		return nil // each kind is read one at a time: that read is under way still
	}
	next := map[string]struct{}{}
	for _, id := range mine {
		if _, known := l.inflight[id]; known {
			continue
		}
		if _, doubted := d.ids[id]; doubted {
			lost = append(lost, id)
		} else {
			next[id] = struct{}{}
		}
	}
	*d = doubts{next, l.reads, l.dueReads}
	return lost
}
