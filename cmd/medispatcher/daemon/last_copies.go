package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/solate/medispatcher"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
)

const (
	// maxLastCopies and maxLastCopiesBytes bound the messages that wait.
	maxLastCopies      = 4096
	maxLastCopiesBytes = 64 << 20
)

// lastCopies saves messages whose channel is gone or of a wrong type: this process may hold the only copy.
// Each goes to the DATA log or, if that cannot be written, back to Redis.
type lastCopies struct {
	dataLog  *dataLog
	store    *streams.Store
	registry *streams.Registry
	log      *slog.Logger

	mu    sync.Mutex
	list  []rescue.Line
	bytes int64
	wake  chan struct{}
}

func newLastCopies(dataLog *dataLog, store *streams.Store, registry *streams.Registry, log *slog.Logger) *lastCopies {
	return &lastCopies{dataLog: dataLog, store: store, registry: registry, log: log, wake: make(chan struct{}, 1)}
}

// put takes a message, and does not block. If too many wait already, the line is queued with the others of the DATA log.
func (l *lastCopies) put(line rescue.Line) {
	if !l.add(line) {
		l.dataLog.put(line)
	}
}

// add reports whether there was room for a message.
func (l *lastCopies) add(line rescue.Line) bool {
	l.mu.Lock()
	size := sizeOfCopy(&line)
	if len(l.list) >= maxLastCopies || len(l.list) > 0 && l.bytes+size > maxLastCopiesBytes {
		l.mu.Unlock()
		return false
	}
	l.list = append(l.list, line)
	l.bytes += size
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return true
}

func sizeOfCopy(line *rescue.Line) int64 {
	if line.Message == nil {
		return 0
	}
	if line.Message.Body != nil {
		return int64(len(*line.Message.Body))
	}
	return int64(len(line.Message.BodyBase64))
}

// first is the message that has waited longest.
func (l *lastCopies) first() (line rescue.Line, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		return line, false
	}
	return l.list[0], true
}

// done forgets the first one.
func (l *lastCopies) done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes -= sizeOfCopy(&l.list[0])
	l.list[0] = rescue.Line{}
	l.list = l.list[1:]
}

// Run saves messages until ctx ends. Then it tries each that is left once more, within a bound.
func (l *lastCopies) Run(ctx context.Context) error {
	var back medispatcher.Backoff
	steps, stop := outlive(ctx, lastStepsTimeout)
	defer stop()
	for {
		line, there := l.first()
		if !there {
			select {
			case <-ctx.Done():
				return nil
			case <-l.wake:
			}
			continue
		}
		step, cancel := context.WithTimeout(steps, stepWithin)
		err := l.save(step, line)
		cancel()
		switch {
		case err == nil:
			back.Reset()
		case ctx.Err() == nil:
			if back.Failures() == 0 {
				l.log.Error("a message has no channel and cannot be saved; it is tried again", "subscription", line.Subscription, "entry", line.Entry, "error", err)
			}
			back.Wait(ctx)
			continue
		default:
			l.log.Error("a message is lost: its channel is gone, and it cannot be saved", "subscription", line.Subscription, "entry", line.Entry, "error", err)
		}
		l.done()
	}
}

// save writes a message to the DATA log. If that fails, it writes the message to Redis: into a new channel, as
// recovering its line would, or else into the quarantine.
func (l *lastCopies) save(ctx context.Context, line rescue.Line) error {
	kept := l.dataLog.keep(line)
	if kept == nil {
		return nil
	}
	once := medispatcher.Once{Token: line.OnceToken(), Message: line.Message.Restore(), Subscription: line.Subscription, Unless: line.Entry}
	if _, _, err := l.registry.Get(ctx, line.Subscription); err == nil {
		if l.writeOnce(ctx, line.Partition, once) == nil {
			l.log.Warn("a message whose channel is gone was saved in a new channel of its subscription: its line of the DATA log cannot be written",
				"subscription", line.Subscription, "id", line.Message.ID, "error", kept)
			return nil
		}
	}
	once.Reason, once.Source, once.Unless = fmt.Sprintf("(%s): %s", line.Code, line.Error), line.Entry, ""
	if err := l.writeOnce(ctx, line.Partition, once); err != nil {
		return errors.Join(kept, err)
	}
	l.log.Warn("a message whose channel is gone was saved in the quarantine: its line of the DATA log cannot be written",
		"subscription", line.Subscription, "id", line.Message.ID, "error", kept)
	return nil
}

func (l *lastCopies) writeOnce(ctx context.Context, p int, once medispatcher.Once) error {
	done, err := l.store.WriteOnce(ctx, p, []medispatcher.Once{once}, medispatcher.Remembered, false)
	if err != nil {
		return err
	}
	return done[0].Err
}
