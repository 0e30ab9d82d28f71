package push

import "math"

// suspectLooks is how often a lane is compared after a read that failed. A Redis that was
// frozen may run that read when it wakes, after the first comparison.
const suspectLooks = 2

// inflight are the entries of one channel that this process holds, and what it needs to find those that it holds without
// knowing: a read took them, and its reply was lost. Guarded by the mutex of lanes.
//
// Redis is asked what this process owns (ask, answered). An entry is lost if Redis names it, and it was unknown here from
// before Redis was asked until every read begun before the answer was over (lost). Every other entry that this process owns
// is known here, or is in the reply of a read under way. The answer may be old when it arrives: an entry that it names may
// have been settled since, or even taken again.
type inflight struct {
	entries map[string]*job
	early   map[string]*job // taken again, with a slot, before the outcome of the attempt before is known

	fresh, due reads

	compared  int                 // reads begun when Redis last named nothing that is unknown here
	suspect   int                 // comparisons without a doubt that are still asked for after a read that failed
	left      map[string]struct{} // settled since Redis was asked; nil: it is not being asked
	doubts    doubts
	releasing map[string]int // lost entries being released, and the last due read that may bring one all the same
}

// reads are those of one kind. There is never more than one under way.
type reads struct {
	begun    int // so far
	underWay bool
}

func (r *reads) begin() {
	r.begun++
	r.underWay = true
}

func (r *reads) end() { r.underWay = false }

// doubts are entries that Redis said are this process's and that were not known here at any
// moment since it was asked. A read that was under way may bring them yet.
type doubts struct {
	ids        map[string]struct{}
	fresh, due int // reads begun when Redis had answered
}

// comparison is what was so when Redis was asked what this process owns.
type comparison struct {
	begun int
	quiet bool // no read was under way
	early bool // a Redis that was frozen may not have run a read that failed just before
}

func newInflight() inflight {
	return inflight{entries: map[string]*job{}, early: map[string]*job{}}
}

// begun is the number of reads of either kind.
func (f *inflight) begun() int { return f.fresh.begun + f.due.begun }

// idle reports whether nothing is held, read or doubtful.
func (f *inflight) idle() bool {
	return len(f.entries)+len(f.early)+len(f.doubts.ids)+len(f.releasing) == 0 && !f.fresh.underWay && !f.due.underWay && f.left == nil && !f.uncompared()
}

// took notes an entry that a read brought.
func (f *inflight) took(entryID string, j *job) {
	f.entries[entryID] = j
	delete(f.doubts.ids, entryID)
}

// settled forgets an entry whose outcome Redis has. It returns nil for one that is not known.
func (f *inflight) settled(entryID string) *job {
	j := f.entries[entryID]
	delete(f.entries, entryID)
	if f.left != nil {
		f.left[entryID] = struct{}{}
	}
	return j
}

// failed notes that a read failed: it may have taken entries all the same.
func (f *inflight) failed() { f.suspect = suspectLooks }

// uncompared reports whether there were reads since the last comparison.
func (f *inflight) uncompared() bool { return f.begun() != f.compared || f.suspect > 0 }

// ask begins a comparison; false: the doubts of the last one are not over.
func (f *inflight) ask() (comparison, bool) {
	if len(f.doubts.ids) > 0 {
		return comparison{}, false
	}
	f.left = map[string]struct{}{}
	return comparison{begun: f.begun(), quiet: !f.fresh.underWay && !f.due.underWay}, true
}

// unanswered ends a comparison whose answer did not come.
func (f *inflight) unanswered() { f.left = nil }

// answered ends a comparison: Redis says that these entries are this process's.
func (f *inflight) answered(asked comparison, mine []string) {
	left := f.left
	f.left = nil
	f.doubts = doubts{map[string]struct{}{}, f.fresh.begun, f.due.begun}
	for _, id := range mine {
		_, known := f.entries[id]
		if _, settled := left[id]; !known && !settled {
			f.doubts.ids[id] = struct{}{}
		}
	}
	if asked.quiet && len(f.doubts.ids) == 0 && f.begun() == asked.begun {
		f.compared = asked.begun
		if len(mine) == 0 && !asked.early { // else an entry in flight may be ours a second time, by a lost reply
			f.suspect = max(0, f.suspect-1)
		}
	}
}

// lost takes the doubts that are certain now: these entries are to be released, and the caller tells released when that is done. over is false while a
// read that may dispel the doubts is under way.
func (f *inflight) lost() (ids []string, over bool) {
	d := &f.doubts
	if len(d.ids) == 0 {
		return nil, true
	}
	if f.fresh.underWay && f.fresh.begun == d.fresh || f.due.underWay && f.due.begun == d.due {
		return nil, false // that read was under way when Redis answered
	}
	if f.releasing == nil {
		f.releasing = map[string]int{}
	}
	for id := range d.ids {
		ids = append(ids, id)
		f.releasing[id] = math.MaxInt
	}
	d.ids = nil
	return ids, true
}

// released notes that lost entries were released, or that this failed: then the next comparison finds them again.
func (f *inflight) released(ids []string) {
	for _, id := range ids {
		f.releasing[id] = f.due.begun
	}
	f.forgetReleased()
}

// forgetReleased forgets what was released once no due read is under way that began before.
func (f *inflight) forgetReleased() {
	for id, last := range f.releasing {
		if last < f.due.begun || last == f.due.begun && !f.due.underWay {
			delete(f.releasing, id)
		}
	}
}

// wasReleased reports whether an entry that the due read under way brings was released meanwhile. Another dispatcher may have
// taken the lost entry from this process, thinking it dead, so that this read found it due. Whether Redis released it after
// that is unknown, so the entry is not taken: if it is this process's, the next comparison finds it.
func (f *inflight) wasReleased(entryID string) bool {
	last, known := f.releasing[entryID]
	return known && f.due.begun <= last
}
