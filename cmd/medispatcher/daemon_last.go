package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/solate/medispatcher"
	rescue "github.com/solate/medispatcher/recover"
)

const (
	// maxLastCopies bounds what waits in bodies and in number, as what is not settled is bounded.
	maxLastCopies      = 4096
	maxLastCopiesBytes = 64 << 20
)

// lastCopies are messages whose channel is gone or of a wrong type: nothing of them may be left but
// here. Each goes to the DATA log, or back to Redis if that cannot be written.
type lastCopies struct {
	mu    sync.Mutex
	list  []rescue.Line
	bytes int64
	wake  chan struct{}
}

// keepLast takes one. It never blocks. Where too many wait already, its line waits with the others of the DATA log.
func (d *daemon) keepLast(line rescue.Line) {
	if !d.last.add(line) {
		d.keep(line)
	}
}

// add reports whether there was room for one.
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

// first is the one that has waited longest.
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

// writeLastCopies puts them where they are safe, until ctx ends; then each is tried once more, within a bound.
func (d *daemon) writeLastCopies(ctx context.Context) error {
	var back medispatcher.Backoff
	steps, stop := outlive(ctx, lastStepsTimeout)
	defer stop()
	for {
		line, there := d.last.first()
		if !there {
			select {
			case <-ctx.Done():
				return nil
			case <-d.last.wake:
			}
			continue
		}
		step, cancel := context.WithTimeout(steps, stepWithin)
		err := d.putAway(step, line)
		cancel()
		switch {
		case err == nil:
			back.Reset()
		case ctx.Err() == nil:
			if back.Failures() == 0 {
				d.log.Error("a message has no channel and can be put nowhere; it is tried again", "subscription", line.Subscription, "entry", line.Entry, "error", err)
			}
			back.Wait(ctx)
			continue
		default:
			d.log.Error("a message is lost: its channel is gone, and it can be put nowhere", "subscription", line.Subscription, "entry", line.Entry, "error", err)
		}
		d.last.done()
	}
}

// putAway writes one to the DATA log or, if that fails, to Redis: into a channel made anew, as recovering its line
// would, and else into the quarantine.
func (d *daemon) putAway(ctx context.Context, line rescue.Line) error {
	kept := d.keepNow(line)
	if kept == nil {
		return nil
	}
	once := medispatcher.Once{Token: line.OnceToken(), Message: line.Message.Restore(), Subscription: line.Subscription, Unless: line.Entry}
	if _, _, err := d.registry.Get(ctx, line.Subscription); err == nil {
		if d.writeOnce(ctx, line.Partition, once) == nil {
			d.log.Warn("a message whose channel is gone is in its subscription's channel anew: its line of the DATA log cannot be written",
				"subscription", line.Subscription, "id", line.Message.ID, "error", kept)
			return nil
		}
	}
	once.Reason, once.Source, once.Unless = fmt.Sprintf("(%s): %s", line.Code, line.Error), line.Entry, ""
	if err := d.writeOnce(ctx, line.Partition, once); err != nil {
		return errors.Join(kept, err)
	}
	d.log.Warn("a message whose channel is gone is in the quarantine: its line of the DATA log cannot be written",
		"subscription", line.Subscription, "id", line.Message.ID, "error", kept)
	return nil
}

func (d *daemon) writeOnce(ctx context.Context, p int, once medispatcher.Once) error {
	done, err := d.store.WriteOnce(ctx, p, []medispatcher.Once{once}, recoverKeep, false)
	if err != nil {
		return err
	}
	return done[0].Err
}
