package push

import (
	"context"
	"log/slog"
	"sync"

	"github.com/solate/medispatcher"
)

// maxLines bounds the lines that wait for a log handler that does not take them.
const maxLines = 1000

// news tells what happened, in order, from a goroutine of its own that ends when nothing is left to tell. So a mutex may be held
// by those that note something, a handler may call back into the scheduler, and a handler that hangs stops no delivery.
type news struct {
	cfg *Config // for its Log

	mu      sync.Mutex
	waiting []func()
	lines   int           // of the log, among those that wait
	lost    int           // lines that were not noted, because too many waited
	told    chan struct{} // closed when nothing is left to tell; nil: nothing is being told
}

// note has something told soon.
func (n *news) note(tell func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.noteLocked(tell)
}

func (n *news) noteLocked(tell func()) {
	n.waiting = append(n.waiting, tell)
	if n.told == nil {
		n.told = make(chan struct{})
		go n.tell()
	}
}

// log has a line written soon. While too many wait it is counted as lost.
func (n *news) log(level slog.Level, line string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lines >= maxLines {
		n.lost++
		return
	}
	n.lines++
	n.noteLocked(func() {
		defer n.written()
		n.cfg.Log.Log(context.Background(), level, line, args...)
	})
}

// written counts a line that the handler took, and says how many were lost once none waits.
func (n *news) written() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lines--; n.lines > 0 || n.lost == 0 {
		return
	}
	lost := n.lost
	n.lost = 0
	n.noteLocked(func() {
		n.cfg.Log.Warn("log lines of the scheduler were lost: the log did not take them in time", "lines", lost)
	})
}

// tell tells all that waits.
func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.waiting) > 0 {
		waiting := n.waiting
		n.waiting = nil
		n.mu.Unlock()
		for _, tell := range waiting {
			if p := medispatcher.Guard(tell); p != nil {
				n.cfg.Log.Error("medispatcher panicked in an event handler, which is a defect of ours: please report it",
					"panic", p.Error(), "stack", string(p.Stack))
			}
		}
		n.mu.Lock()
	}
	close(n.told)
	n.told = nil
}

// wait waits until all was told, or ctx ends.
func (n *news) wait(ctx context.Context) {
	n.mu.Lock()
	told := n.told
	n.mu.Unlock()
	if told == nil {
		return
	}
	select {
	case <-told:
	case <-ctx.Done():
	}
}
