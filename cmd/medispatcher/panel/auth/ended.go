package auth

import (
	"sync"
	"time"
)

// endedKept bounds the sessions that a dispatcher remembers by itself; Redis knows more.
const endedKept = 1000

// ended are sessions that this dispatcher knows to have been ended, so that they stay ended while Redis is away.
type ended struct {
	mu sync.Mutex
	id map[string]time.Time // when it would have ended by itself
}

func (e *ended) has(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, is := e.id[id]
	return is
}

func (e *ended) add(id string, ends time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.id == nil {
		e.id = map[string]time.Time{}
	}
	for other, at := range e.id {
		if len(e.id) >= endedKept || time.Now().After(at) {
			delete(e.id, other)
		}
	}
	e.id[id] = ends
}
