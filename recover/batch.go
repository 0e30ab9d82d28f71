package recover

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// A batch is all that is in hand of a list at a time: what one step moves, and what waits while the
	// main Redis is away.
	batchItems = 128
	batchBytes = 4 << 20
	// keepTokens is how long a watcher may take from publishing to dropping without publishing twice.
	keepTokens = 7 * 24 * time.Hour
)

// batch moves the items in hand of a list; if there are none, it first takes some. With an error, items stay
// in hand.
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

// keepTold forgets the tokens that are not in hand now.
func (at *place) keepTold(items []medispatcher.RecoverItem) {
	told := map[string]bool{}
	for _, item := range items {
		if at.told[item.Token] {
			told[item.Token] = true
		}
	}
	at.told = told
}

// decided is an item and what becomes of it.
type decided struct {
	once      medispatcher.Once
	partition int
	line      Line // for the DATA log: that the item is in the quarantine, if once.Reason is set; else that it could not be published
}

// decide depends on the item alone, so that a repetition decides the same.
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
	d.line.Error = shorten(medispatcher.OneLine(err))
	if m.Key != "" || m.ID != "" {
		d.partition = medispatcher.Partition(m.Key, m.ID, w.Partitions)
	}
	d.line.Partition = d.partition
	d.line.SetRaw(map[string]string{rawItem: item.Text})
	d.once.Raw, d.once.Source, d.once.Reason = item.Text, list, string(d.line.Code)+" "+d.line.Error
	return d
}

// decode reads an item. An item that makes it panic is refused; otherwise it would stop every dispatcher.
func (w *Watcher) decode(list string, item medispatcher.RecoverItem) (m medispatcher.Message, err error) {
	p := medispatcher.Guard(func() { m, err = decodeItem([]byte(item.Text), w.MaxBody) })
	if p == nil {
		return m, err
	}
	w.Log.Error("medispatcher panicked at a recover item, which is a defect of ours: please report it",
		"list", list, "panic", p.Error(), "stack", string(p.Stack))
	return medispatcher.Message{}, p
}

// decodeItem is DecodeItem, except in tests.
var decodeItem = DecodeItem

// shorten cuts a reason, which may quote a long item.
func shorten(text string) string {
	const most = 1 << 10
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// publish writes items to their partition. It returns the tokens of those that are safe there.
func (w *Watcher) publish(ctx context.Context, p int, group []decided, at *place) (safe []string, err error) {
	list := make([]medispatcher.Once, len(group))
	for i := range group {
		list[i] = group[i].once
	}
	done, err := w.Main.WriteOnce(ctx, p, list, keepTokens, false)
	if ctx.Err() != nil {
		return nil, ctx.Err() // the outcome is unknown; the next watcher finds them in hand
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
				d.line.Error = medispatcher.OneLine(failure)
				w.tell(d.line, at)
			}
			if text := failure.Error(); err == nil && !said[text] { // mostly all have the same one
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

// tell writes the line of an item to the DATA log, once.
func (w *Watcher) tell(l Line, at *place) {
	if !at.told[l.Token] {
		at.told[l.Token] = true
		w.Keep(l)
	}
}
