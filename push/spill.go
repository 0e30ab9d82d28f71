package push

import (
	"time"

	"github.com/solate/medispatcher"
)

// spillEvery spaces what others are told of one lane.
const spillEvery = 10 * time.Millisecond

// spills are what other dispatchers are to be told of lanes of this one. Guarded by the mutex of lanes.
type spills struct {
	others  bool // there are other dispatchers
	leaving bool // this dispatcher reads nothing more
	spilled []medispatcher.Channel
	eased   []medispatcher.Channel
	dueLeft []medispatcher.Channel // with due messages that this dispatcher takes none of
	tell    func(spilled, eased, due []medispatcher.Channel)
}

// Among says whether there are other dispatchers. Without them nobody is told what this one cannot take.
func (s *Scheduler) Among(others bool) {
	s.lanes.mu.Lock()
	defer s.lanes.mu.Unlock()
	s.lanes.others = others
}

// spillLocked notes that a lane may have more new messages than this dispatcher can take now.
func (ls *lanes) spillLocked(l *lane, now time.Time) {
	if !ls.others || !l.live() {
		return
	}
	if again := l.spilled.Add(spillEvery); again.After(now) && !ls.leaving {
		ls.fresh[l.channel.Partition].at(l, again) // what came meanwhile may not be known to the others
		return
	}
	l.spilled = now
	if l.sub.fresh.limit == 0 {
		l.active = false // this dispatcher will not know when it is empty; with a share it searches
	}
	ls.spilled = append(ls.spilled, l.channel)
}

// drainedLocked notes that a lane has no new messages. Others that were told that it is full may call this dispatcher again.
func (ls *lanes) drainedLocked(l *lane) {
	l.active = false // the next doorbell wakes it
	if l.spilled.IsZero() {
		return
	}
	l.spilled = time.Time{}
	if ls.others {
		ls.eased = append(ls.eased, l.channel)
	}
}

// leave has all that is not read yet left to the others.
func (ls *lanes) leave() {
	ls.mu.Lock()
	defer ls.unlock()
	ls.leaving = true
	now := time.Now()
	for _, l := range ls.open {
		if l.active {
			ls.spillLocked(l, now)
		}
	}
}

// unlock unlocks the mutex, and tells what was noted for the others meanwhile.
func (ls *lanes) unlock() {
	spilled, eased, due := ls.spilled, ls.eased, ls.dueLeft
	ls.spilled, ls.eased, ls.dueLeft = nil, nil, nil
	ls.mu.Unlock()
	if len(spilled)+len(eased)+len(due) > 0 && ls.tell != nil {
		ls.tell(spilled, eased, due)
	}
}
