package main

import (
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// hearing is when Redis took this dispatcher's heartbeats. Its times keep their monotonic reading, so
// whoever sets the clock of this machine changes nothing.
type hearing struct {
	mu    sync.Mutex
	last  time.Time // the last heartbeat; zero: none yet
	since time.Time // the first one since there was a gap
}

// heard notes a heartbeat, and reports whether it is the first.
func (h *hearing) heard(now time.Time, every time.Duration) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first = h.last.IsZero()
	if h.lateLocked(now, every) {
		h.since = now
	}
	h.last = now
	return first
}

// gap notes that what was heard so far tells nothing of the others.
func (h *hearing) gap(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since = now
}

// late reports whether this dispatcher's own heartbeat is late.
func (h *hearing) late(now time.Time, every time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lateLocked(now, every)
}

func (h *hearing) lateLocked(now time.Time, every time.Duration) bool {
	return h.last.IsZero() || now.Sub(h.last) > 2*every
}

// mayJudge reports whether this dispatcher may declare others dead: it is heard itself, and
// has been for so long that every other had the time to be heard as well. Right after Redis
// was away the heartbeats of all are old, and what they have in flight is theirs still.
func (h *hearing) mayJudge(now time.Time, every, deadAfter time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.lateLocked(now, every) && now.Sub(h.since) > deadAfter*2/3
}

// silences are the heartbeats of others and since when they have not changed, by this process's
// monotonic clock. A heartbeat that lies in the future is no sign of life for ever.
type silences map[string]silence

type silence struct{ beat, since time.Time }

// note looks at a dispatcher and returns for how long its heartbeat has been the same.
func (s silences) note(d *medispatcher.Dispatcher, now time.Time) time.Duration {
	if had, ok := s[d.ID]; ok && had.beat.Equal(d.Heartbeat) {
		return now.Sub(had.since)
	}
	s[d.ID] = silence{d.Heartbeat, now}
	return 0
}
