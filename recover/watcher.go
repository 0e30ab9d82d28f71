package recover

import (
	"context"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// lookEvery is how often the watcher looks for lists that hold something.
	lookEvery = time.Second
	// warnEvery is the time between two warnings about one key.
	warnEvery = time.Minute
)

// Lists is the Redis with the recover lists; package streams implements it.
type Lists interface {
	// Find returns the lists that hold items or have items in hand.
	Find(ctx context.Context) ([]medispatcher.RecoverList, error)
	// Take returns the items in hand of a list, in order. If there are none, it first takes a batch.
	Take(ctx context.Context, list string, count int, bytes int64) ([]medispatcher.RecoverItem, error)
	// Drop removes items from what is in hand.
	Drop(ctx context.Context, list string, tokens []string) error
}

// Publisher is the main Redis; package streams implements it.
type Publisher interface {
	// Probe returns an error unless Redis takes writes.
	Probe(ctx context.Context) error
	// WriteOnce writes messages to a partition, except those whose token was written before.
	WriteOnce(ctx context.Context, p int, list []medispatcher.Once, keep time.Duration, dryRun bool) ([]medispatcher.OnceDone, error)
}

// Watcher moves what producers parked in recover lists to the incoming streams. An item goes from its list
// into a hash beside it (take), from there to the main Redis under a token (publish), and then out of the
// hash (drop). An item in the hash is in hand. Any watcher may repeat any step: a crash between two of them
// leaves the item in hand, where every watcher sees it.
type Watcher struct {
	Lists      Lists
	Main       Publisher
	Partitions int
	MaxBody    int64        // bytes
	Keep       func(l Line) // writes to the DATA log
	Log        *slog.Logger

	at     map[string]*place
	warned map[string]time.Time // by key: when its wrong type was last logged
}

// place is what the watcher remembers about a list.
type place struct {
	back  medispatcher.Backoff
	until time.Time       // the list waits until then
	told  map[string]bool // tokens in hand whose failure is in the DATA log
	moved int             // messages since the list was empty
}

// Run moves items until ctx ends. It may stop between any two steps.
func (w *Watcher) Run(ctx context.Context) error {
	w.at, w.warned = map[string]*place{}, map[string]time.Time{}
	var back medispatcher.Backoff
	for ctx.Err() == nil {
		lists, err := w.Lists.Find(ctx)
		if err != nil {
			if back.Failures() == 0 && ctx.Err() == nil {
				w.Log.Warn("cannot look for recover lists; trying again", "error", err)
			}
			back.Wait(ctx)
			continue
		}
		if back.Failures() > 0 {
			w.Log.Info("recover lists are found again")
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

// forget removes what is remembered about lists that are empty now.
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

// round moves one batch of each list, so that a long list does not make the others wait. more: one of them
// may hold more items.
func (w *Watcher) round(ctx context.Context, lists []medispatcher.RecoverList) (more bool) {
	if len(lists) == 0 || w.Main.Probe(ctx) != nil {
		return false // do not take what cannot be published; readiness reports the main Redis
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
				w.Log.Warn("cannot move the items of a recover list; trying again", "list", l.Name, "error", err)
			}
			at.until = time.Now().Add(at.back.Next())
			continue
		case at.back.Failures() > 0:
			w.Log.Info("the items of a recover list move again", "list", l.Name)
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
	w.Log.Warn("this key is named like a recover list but holds no list; rename it or delete it", "list", l.Name, "type", l.Type)
}
