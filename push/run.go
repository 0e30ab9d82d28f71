package push

import "github.com/solate/medispatcher"

// runs reports whether a batch may hold several messages of a key.
func (s *settings) runs() bool { return s.sub.Ordered && s.batches() }

// runOf is how much of what waits behind a message may share its request, without a gap: up to so many messages and bytes, in a batch
// of most messages. full: the next one would not fit. What failed with others goes on with fewer of them (see settings.most),
// and what cannot be sent stops its key.
func (s *settings) runOf(j *job, most, messages, bytes int) (run []*job, full bool) {
	if !s.sub.Ordered || j.Broken != nil {
		return nil, false
	}
	for i, r := range j.run {
		switch {
		case i == messages, r.size > bytes:
			return j.run[:i], true
		case r.Broken != nil, s.most(r) < most:
			return j.run[:i], false
		}
		bytes -= r.size
	}
	return j.run, false
}

// trimRunLocked drops what of a run is not in the batch of its first message, if that is in one. It stays in its line.
func (ls *lanes) trimRunLocked(j *job) {
	if j.in == nil {
		return
	}
	keep := 0
	for keep < len(j.run) && j.run[keep].in == j.in {
		keep++
	}
	ls.dropRunLocked(j, keep)
}

// dropRunLocked has a message that waits in no queue keep only the first of its run.
func (ls *lanes) dropRunLocked(j *job, keep int) {
	for _, r := range j.run[keep:] {
		ls.budget.hold(j.lane.sub, r.room.from, -r.room.bytes)
	}
	j.run = j.run[:keep]
}

// waitLocked has a message that was taken wait for a slot.
func (ws *workers) waitLocked(l *lane, j *job, slot *slots) {
	l.took(j.EntryID, j)
	if j.PutOff() {
		ws.putOffLocked(j)
		return
	}
	slot.ahead.push(j)
}

// putOffLocked has a message put off that was tried while it waited behind another: what comes next is due when it says.
func (ws *workers) putOffLocked(j *job) {
	ws.lanes.noProbeLocked(j.lane.sub)
	ws.lanes.dropRunLocked(j, 0)
	ws.settle.add(&medispatcher.Settlement{
		Channel: j.Channel, EntryID: j.EntryID, Attempt: j.Attempt, Outcome: medispatcher.Failed,
		Failure: j.Failure, Next: j.Tried + 1, Due: j.Due, Message: &j.Message,
	}, false)
}
