// Package outlet stands between the program and the files and pipes of its logs. Whoever
// writes a line never waits for a disk or for a reader: lines wait in a bounded buffer, and
// are counted as lost when that is full. It imports the domain alone.
//
// No library did all that is needed here. zerolog's diode counts lost lines, but is
// bounded in lines and not in bytes, polls, and waits in Close for a writer that hangs; the buffered
// writers of zap and others block when their buffer is full. None can say that one
// line is written and synced.
package outlet

import (
	"bytes"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// Errors of Keep, beside those of the writer.
var (
	ErrStalled = errors.New("a write to it does not end: its reader has stopped, or its disk does not answer")
	ErrFull    = errors.New("too many lines wait to be written")
	ErrClosed  = errors.New("it is closed")
)

const (
	// stalledAfter is how long a write may take before it is called stalled.
	stalledAfter = 2 * time.Second
	// lineCost is what a line takes beside its text, in bytes.
	lineCost = 64
)

// Config says where lines go. Write is required. One goroutine calls the functions, one at a time and
// without a lock; each may hang.
type Config struct {
	// Write writes a whole line. n is how much of it was written, also with an error.
	Write func(line []byte) (n int, err error)
	// Sync puts what was written on the disk. May be nil.
	Sync func() error
	// Reopen is what Outlet.Reopen does. May be nil.
	Reopen func() error
	// Close ends it. May be nil.
	Close func() error

	Bytes int // of the lines that may wait
	Lines int // that may wait

	// Failing is told the first error since a line was last written. May be nil.
	Failing func(err error)
	// Back is told that lines are written again, and how many were lost meanwhile. May be nil.
	Back func(lost int64)
}

// Outlet hands lines to a writer that may fail or hang. It is safe for concurrent use.
type Outlet struct {
	cfg   Config
	wake  chan struct{}
	ended chan struct{}
	torn  bool // the writer's: a line was written in part, so the next begins on a line of its own

	mu      sync.Mutex
	lines   []line
	kept    []*kept // before lines: somebody waits
	bytes   int     // of lines, kept and what is being written
	reopen  bool
	closing bool
	problem error     // of the last write
	since   time.Time // when the write under way began; zero: none
	retry   time.Time // after an error: when the next line may be tried
	back    medispatcher.Backoff
	lost    map[string]int64 // by label
	untold  int64            // lost, and not reported to Back yet
}

// line is one that waits.
type line struct {
	text  []byte
	label string
}

// kept is one that somebody waits for.
type kept struct {
	line
	done chan error // holds one
}

// New starts an outlet. It runs until Close.
func New(cfg Config) *Outlet {
	o := &Outlet{cfg: cfg, wake: make(chan struct{}, 1), ended: make(chan struct{}), lost: map[string]int64{}}
	go o.run()
	return o
}

// Write takes a copy of a line. It never blocks and never fails.
func (o *Outlet) Write(p []byte) (int, error) {
	o.Put(bytes.Clone(p), "")
	return len(p), nil
}

// Put takes a line, whose text is the outlet's from here on, and counts it under label if it is
// lost. It never blocks.
func (o *Outlet) Put(text []byte, label string) {
	o.mu.Lock()
	if o.closing || !o.fitsLocked(text) || len(o.lines) >= o.cfg.Lines {
		o.loseLocked(label)
		o.mu.Unlock()
		return
	}
	o.lines = append(o.lines, line{text, label})
	o.bytes += len(text) + lineCost
	o.mu.Unlock()
	o.signal()
}

// fitsLocked reports whether there is room for a line. One that is larger than the whole buffer fits into an empty
// one.
func (o *Outlet) fitsLocked(text []byte) bool {
	return o.bytes == 0 || o.bytes+len(text)+lineCost <= o.cfg.Bytes
}

// loseLocked counts a line that is not written.
func (o *Outlet) loseLocked(label string) {
	o.lost[label]++
	o.untold++
}

// Keep writes a line before those that wait, syncs it, and returns when that is done, or after within. With an
// error the line is not known to be written, and nobody tries it again; it may be there all the same.
func (o *Outlet) Keep(text []byte, label string, within time.Duration) error {
	k := &kept{line{text, label}, make(chan error, 1)}
	if err := o.admit(k, within); err != nil {
		return err
	}
	o.signal()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case err := <-k.done:
		return err
	case <-timer.C:
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case err := <-k.done:
		return err
	default:
	}
	for i := range o.kept {
		if o.kept[i] == k {
			o.kept = append(o.kept[:i], o.kept[i+1:]...)
			o.bytes -= len(text) + lineCost
			break
		}
	}
	k.done = nil // it may be under way, but nobody waits for the outcome now
	o.loseLocked(label)
	return ErrStalled
}

// admit queues a line that somebody waits for. It refuses one behind a write that has taken longer than
// within already.
func (o *Outlet) admit(k *kept, within time.Duration) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var err error
	switch {
	case o.closing:
		err = ErrClosed
	case !o.since.IsZero() && time.Since(o.since) > within:
		err = ErrStalled
	case !o.fitsLocked(k.text) && len(o.kept) > 0: // lines that nobody waits for do not keep it out
		err = ErrFull
	}
	if err != nil {
		o.loseLocked(k.label)
		return err
	}
	o.kept = append(o.kept, k)
	o.bytes += len(k.text) + lineCost
	return nil
}

// Reopen makes the writer call Config.Reopen soon.
func (o *Outlet) Reopen() {
	if o.cfg.Reopen == nil {
		return
	}
	o.mu.Lock()
	o.reopen = true
	o.mu.Unlock()
	o.signal()
}

// Close writes what waits, for within at most, and closes. It returns how many lines are left then: they are
// lost. The first error of a write ends it at once.
func (o *Outlet) Close(within time.Duration) (lost int64, err error) {
	o.mu.Lock()
	o.closing = true
	o.mu.Unlock()
	o.signal()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-o.ended:
	case <-timer.C:
		err = ErrStalled
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.lines {
		o.loseLocked(l.label)
	}
	if err != nil && !o.since.IsZero() {
		o.untold++ // the line that hangs
	}
	o.lines = nil
	lost, o.untold = o.untold, 0
	return lost, err
}

// State is the state of an outlet.
type State struct {
	Problem error            // why lines are not written now; nil: they are
	Lost    map[string]int64 // lines so far, by label
	Waiting int              // lines
}

// LostLines is the number of lines lost so far.
func (s *State) LostLines() (n int64) {
	for _, lost := range s.Lost {
		n += lost
	}
	return n
}

// State returns the state at this moment.
func (o *Outlet) State() State {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := State{Problem: o.problem, Lost: maps.Clone(o.lost), Waiting: len(o.lines) + len(o.kept)}
	if !o.since.IsZero() && time.Since(o.since) > stalledAfter {
		s.Problem = ErrStalled
	}
	return s
}

func (o *Outlet) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
