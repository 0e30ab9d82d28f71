package daemon

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// hearing is when Redis took this dispatcher's heartbeats. Its times keep their monotonic reading, so
// setting the clock of this machine changes nothing.
type hearing struct {
	every, deadAfter time.Duration

	mu    sync.Mutex
	last  time.Time // the last heartbeat; zero: none yet
	since time.Time // the first one since there was a gap
}

// heard notes a heartbeat, and reports whether it is the first.
func (h *hearing) heard(now time.Time) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first = h.last.IsZero()
	if h.lateLocked(now) {
		h.since = now
	}
	h.last = now
	return first
}

// gap notes that what was heard before now says nothing about the others.
func (h *hearing) gap(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since = now
}

// late reports whether this dispatcher's own heartbeat is late.
func (h *hearing) late(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lateLocked(now)
}

func (h *hearing) lateLocked(now time.Time) bool {
	return h.last.IsZero() || now.Sub(h.last) > 2*h.every
}

// mayJudge reports whether this dispatcher may declare others dead: its own heartbeats arrive, and have
// arrived for so long that the others had time for theirs as well. Right after Redis was away the
// heartbeats of all are old, and what they have in flight is still theirs.
func (h *hearing) mayJudge(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.lateLocked(now) && now.Sub(h.since) > h.deadAfter*2/3
}

// silences are the heartbeats of others, and since when each has not changed by the monotonic clock of this
// process. A heartbeat whose time lies in the future must not count as a sign of life for ever.
type silences map[string]silence

type silence struct{ beat, since time.Time }

// note returns for how long the heartbeat of a dispatcher has been the same.
func (s silences) note(d *medispatcher.Dispatcher, now time.Time) time.Duration {
	if had, ok := s[d.ID]; ok && had.beat.Equal(d.Heartbeat) {
		return now.Sub(had.since)
	}
	s[d.ID] = silence{d.Heartbeat, now}
	return 0
}

// forget forgets dispatchers that are not on the list any more. Each start of one has an id of its own.
func (s silences) forget(all []medispatcher.Dispatcher) {
	if len(s) <= len(all) {
		return
	}
	maps.DeleteFunc(s, func(id string, _ silence) bool {
		return !slices.ContainsFunc(all, func(d medispatcher.Dispatcher) bool { return d.ID == id })
	})
}
