package recover

import (
	"context"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// lookEvery is the time between two looks for lists that hold something.
	lookEvery = time.Second
	// warnEvery spaces the warnings about one key.
	warnEvery = time.Minute
)

// Lists is the Redis with the recover lists; package streams has the real one.
type Lists interface {
	// Find names the lists that hold items or have some in hand.
	Find(ctx context.Context) ([]medispatcher.RecoverList, error)
	// Take returns what is in hand of a list, in order, having taken a batch if that was nothing.
	Take(ctx context.Context, list string, count int, bytes int64) ([]medispatcher.RecoverItem, error)
	// Drop forgets items in hand.
	Drop(ctx context.Context, list string, tokens []string) error
}

// Publisher is the main Redis; package streams has the real one.
type Publisher interface {
	// Probe asks whether it takes writes.
	Probe(ctx context.Context) error
	// WriteOnce writes to a partition what was not written before under its token.
	WriteOnce(ctx context.Context, p int, list []medispatcher.Once, keep time.Duration, dryRun bool) ([]medispatcher.OnceDone, error)
}

// Watcher moves what producers parked in recover lists to the incoming stream. An item goes
// from its list into a hash beside it (take), from there to the main Redis under a token
// (publish), and then out of the hash (drop). Each step may be repeated, by anybody: a crash between
// two of them leaves the item in the hash, where every watcher sees it.
type Watcher struct {
	Lists      Lists
	Main       Publisher
	Partitions int
	MaxBody    int64        // bytes
	Keep       func(l Line) // writes to the DATA log
	Log        *slog.Logger

	at     map[string]*place
	warned map[string]time.Time // key → when its type was last complained of
}

// place is what the watcher remembers of a list.
type place struct {
	back  medispatcher.Backoff
	until time.Time       // not touched before
	told  map[string]bool // tokens in hand whose failure is in the DATA log
	moved int             // messages since it last was empty
}

// Run works until ctx ends. It may end between any two steps.
func (w *Watcher) Run(ctx context.Context) error {
	w.at, w.warned = map[string]*place{}, map[string]time.Time{}
	var back medispatcher.Backoff
	for ctx.Err() == nil {
		lists, err := w.Lists.Find(ctx)
		if err != nil {
			if back.Failures() == 0 && ctx.Err() == nil {
				w.Log.Warn("recover lists wait", "error", err)
			}
			back.Wait(ctx)
			continue
		}
		if back.Failures() > 0 {
			w.Log.Info("recover lists are looked at again")
			back.Reset()
		}
		w.forget(lists)
		next := time.Now().Add(lookEvery)
		more := true
		for more && time.Now().Before(next) {
			more = w.round(ctx, lists)
		}
		medispatcher.Sleep(ctx, time.Until(next))
	}
	return nil
}

// forget drops what is remembered of lists that are empty.
func (w *Watcher) forget(lists []medispatcher.RecoverList) {
	there := make(map[string]bool, len(lists))
	for _, l := range lists {
		there[l.Name] = true
	}
	for name, at := range w.at {
		if !there[name] {
			w.report(name, at)
			delete(w.at, name)
		}
	}
	for name := range w.warned {
		if !there[name] {
			delete(w.warned, name)
		}
	}
}

func (w *Watcher) report(list string, at *place) {
	if at.moved > 0 {
		w.Log.Info("messages recovered", "list", list, "count", at.moved)
		at.moved = 0
	}
}

// round moves a batch of each list, so that a long one does not keep the others waiting. It
// reports whether any of them may hold more.
func (w *Watcher) round(ctx context.Context, lists []medispatcher.RecoverList) (more bool) {
	if len(lists) == 0 || w.Main.Probe(ctx) != nil {
		return false // nothing is taken that cannot be published; readiness tells about the main Redis
	}
	for _, l := range lists {
		if ctx.Err() != nil {
			return false
		}
		if l.Type != "list" && l.Type != "none" {
			w.wrongType(l)
			if !l.InHand {
				continue
			}
		}
		at := w.at[l.Name]
		if at == nil {
			at = &place{}
			w.at[l.Name] = at
		}
		if time.Now().Before(at.until) {
			continue
		}
		n, err := w.batch(ctx, l.Name, at)
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			if at.back.Failures() == 0 {
				w.Log.Warn("a recover list waits", "list", l.Name, "error", err)
			}
			at.until = time.Now().Add(at.back.Next())
			continue
		case at.back.Failures() > 0:
			w.Log.Info("a recover list goes on", "list", l.Name)
			at.back.Reset()
		}
		if n == 0 {
			w.report(l.Name, at)
		}
		more = more || n > 0
	}
	return more
}

func (w *Watcher) wrongType(l medispatcher.RecoverList) {
	if time.Since(w.warned[l.Name]) < warnEvery {
		return
	}
	w.warned[l.Name] = time.Now()
	w.Log.Warn("not a recover list: its key must hold a list; rename it or delete it", "list", l.Name, "type", l.Type)
}
