package recover

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// lookEvery is the time between two looks for lists that hold something.
	lookEvery = time.Second
	// A batch is what is in hand of a list at most: what one step moves, and what
	// waits in hand while the main Redis is away.
	batchItems = 128
	batchBytes = 4 << 20
	// keepTokens is how long a Redis may be away between publishing and dropping.
	keepTokens = 7 * 24 * time.Hour
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

// batch moves what is in hand of a list, and takes a batch first when that is nothing. With
// an error something stays in hand.
func (w *Watcher) batch(ctx context.Context, list string, at *place) (moved int, err error) {
	items, err := w.Lists.Take(ctx, list, batchItems, batchBytes)
	if err != nil || len(items) == 0 {
		return 0, err
	}
	at.keepTold(items)
	groups := map[int][]decided{}
	for _, item := range items {
		d := w.decide(list, item)
		groups[d.partition] = append(groups[d.partition], d)
	}
	var safe []string
	var errs []error
	for p, group := range groups {
		tokens, err := w.publish(ctx, p, group, at)
		safe = append(safe, tokens...)
		errs = append(errs, err)
	}
	if len(safe) > 0 {
		errs = append(errs, w.Lists.Drop(ctx, list, safe))
	}
	return len(safe), errors.Join(errs...)
}

// keepTold forgets the tokens that are not in hand any more.
func (at *place) keepTold(items []medispatcher.RecoverItem) {
	told := map[string]bool{}
	for _, item := range items {
		if at.told[item.Token] {
			told[item.Token] = true
		}
	}
	at.told = told
}

// decided is an item and what is to become of it.
type decided struct {
	once      medispatcher.Once
	partition int
	line      Line // for the DATA log: with once.Reason that it is in the quarantine, else that it is not published
}

// decide is a function of the item alone: whoever decides again comes to the same.
func (w *Watcher) decide(list string, item medispatcher.RecoverItem) decided {
	m, err := w.decode(list, item)
	d := decided{
		once: medispatcher.Once{Token: item.Token, Message: m},
		line: Line{Code: RecoverFailBack, Source: list, Token: item.Token},
	}
	if err == nil {
		d.partition = partitionOf(&m, item.Token, w.Partitions)
		d.line.Partition, d.line.Message = d.partition, MessageOf(&m)
		return d
	}
	d.line.Code = RecoverFailAssert
	if _, bad := errors.AsType[SyntaxError](err); bad {
		d.line.Code = RecoverFailDecode
	}
	d.line.Error = shorten(oneLine(err))
	if m.Key != "" || m.ID != "" {
		d.partition = medispatcher.Partition(m.Key, m.ID, w.Partitions)
	}
	d.line.Partition = d.partition
	d.line.SetRaw(map[string]string{rawItem: item.Text})
	d.once.Raw, d.once.Source, d.once.Reason = item.Text, list, string(d.line.Code)+" "+d.line.Error
	return d
}

// decode reads an item. One that makes it panic is refused, or else it would stop one dispatcher after another.
func (w *Watcher) decode(list string, item medispatcher.RecoverItem) (m medispatcher.Message, err error) {
	p := medispatcher.Guard(func() { m, err = decodeItem([]byte(item.Text), w.MaxBody) })
	if p == nil {
		return m, err
	}
	w.Log.Error("medispatcher panicked at a recover item, which is a defect of ours: please report it",
		"list", list, "panic", p.Error(), "stack", string(p.Stack))
	return medispatcher.Message{}, p
}

// decodeItem is DecodeItem, but in tests.
var decodeItem = DecodeItem

// shorten keeps a reason, which may quote what somebody wrote, readable.
func shorten(text string) string {
	const most = 1 << 10
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// publish writes items to their partition, and returns the tokens of those that are safe there.
func (w *Watcher) publish(ctx context.Context, p int, group []decided, at *place) (safe []string, err error) {
	list := make([]medispatcher.Once, len(group))
	for i := range group {
		list[i] = group[i].once
	}
	done, err := w.Main.WriteOnce(ctx, p, list, keepTokens, false)
	if ctx.Err() != nil {
		return nil, ctx.Err() // nobody knows; the next watcher finds them in hand
	}
	errs := []error{err}
	said := map[string]bool{}
	refused, reason := 0, ""
	for i := range group {
		d, failure := &group[i], err
		if err == nil {
			failure = done[i].Err
		}
		switch {
		case failure != nil:
			if d.once.Reason == "" {
				d.line.Error = oneLine(failure)
				w.tell(d.line, at)
			}
			if text := failure.Error(); err == nil && !said[text] { // the same of each, mostly
				said[text] = true
				errs = append(errs, failure)
			}
			continue
		case d.once.Reason != "":
			if refused++; refused == 1 {
				reason = d.once.Reason
			}
			w.tell(d.line, at)
		case done[i].Result == medispatcher.OnceWritten:
			at.moved++
		}
		safe = append(safe, d.once.Token)
	}
	if refused > 0 {
		w.Log.Warn("recover items quarantined", "list", group[0].line.Source, "partition", p, "count", refused, "first_reason", reason)
	}
	return safe, errors.Join(errs...)
}

// tell writes a line to the DATA log, once for an item.
func (w *Watcher) tell(l Line, at *place) {
	if !at.told[l.Token] {
		at.told[l.Token] = true
		w.Keep(l)
	}
}
