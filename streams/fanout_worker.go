package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher"
)

// fanoutBatch is the most entries moved in one step: large enough to share its cost,
// small enough that a script holds Redis for a millisecond or two.
const fanoutBatch = 128

// fanoutBytes bounds the bodies of a batch, in this process and in the script, judging
// by the batch before: producers send messages of about one size.
const fanoutBytes = 4 << 20

// released is the field of an entry whose id was taken when it came first.
const released = "~released"

// FanoutEvents is told what the fan-out did. Its functions must not block.
type FanoutEvents struct {
	// Ready: channels of a partition have new messages.
	Ready func(p int, subs []string)
	// Delayed: a partition has a message that is due then, by the shared clock.
	Delayed func(p int, due time.Time)
	// Quarantined: an entry could not be decoded and is kept in the quarantine.
	Quarantined func(p int, e Entry, reason string)
	// CopyFailed: a channel of a wrong type could not take its copy, which is in the quarantine.
	CopyFailed func(p int, e Entry, m medispatcher.Message, sub string)
	// Routed: this became of an entry; subs got copies. Of what is quarantined m may be anything. May be nil.
	Routed func(p int, m medispatcher.Message, r Routed, subs []string)
	// Unroutable: no subscription wants the topic; the message is among the unrouted. After a lost
	// reply nobody is told.
	Unroutable func(p int, e Entry, m medispatcher.Message)
}

// FanoutWorker moves the entries of one partition's incoming stream to where they belong.
type FanoutWorker struct {
	Store     *Store
	Registry  *Registry
	Partition int
	MaxBody   int64 // bytes; larger bodies go to the quarantine
	Events    FanoutEvents
	Log       *slog.Logger

	adopted atomic.Bool
}

// Adopted says that entries of another dispatcher are this process's now.
func (w *FanoutWorker) Adopted() { w.adopted.Store(true) }

// Run works until ctx ends, then finishes the batch it has in hand.
func (w *FanoutWorker) Run(ctx context.Context) error {
	work := context.WithoutCancel(ctx)
	var back medispatcher.Backoff
	own, ownAt := true, time.Time{} // first whatever a lost reply left to this process
	count := fanoutBatch
	for ctx.Err() == nil {
		own = own || w.adopted.Swap(false)
		if !own && !ownAt.IsZero() && time.Now().After(ownAt) {
			own, ownAt = true, time.Time{}
		}
		entries, err := w.Store.ReadIncoming(work, w.Partition, count, own)
		if err == nil {
			count = nextCount(entries)
			err = w.route(work, entries)
		}
		switch {
		case err != nil:
			if back.Failures() == 0 {
				w.Log.Warn("fan-out waits", "partition", w.Partition, "error", err)
			}
			// The reply may be lost and the entries ours: look there next. But if that is
			// where it failed, new entries must not wait for one that cannot be moved.
			if own {
				ownAt = time.Now().Add(time.Second)
			}
			own = !own
			back.Wait(ctx)
			continue
		case own && len(entries) == 0:
			own = false
		}
		if back.Failures() > 0 && ownAt.IsZero() {
			w.Log.Info("fan-out goes on", "partition", w.Partition)
			back.Reset()
		}
	}
	return nil
}

// nextCount is how many entries to read after these.
func nextCount(entries []Entry) int {
	size := 0
	for _, e := range entries {
		size += len(e.Fields["body"])
	}
	if size == 0 {
		return fanoutBatch
	}
	return min(max(1, fanoutBytes*len(entries)/size), fanoutBatch)
}

// route moves a batch.
func (w *FanoutWorker) route(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	// After the read: a subscription that was put before these entries were written is in it.
	subs, err := w.Registry.Latest(ctx)
	if err != nil {
		return err
	}
	routings := make([]Routing, len(entries))
	for i, e := range entries {
		routings[i] = w.decide(e, subs.Router)
	}
	routed, err := w.Store.Fanout(ctx, w.Partition, routings)
	w.report(entries, routings, routed)
	return err
}

// identified is m with the id that subscribers see.
func (w *FanoutWorker) identified(e Entry, m medispatcher.Message) medispatcher.Message {
	if m.ID == "" {
		src := e.Fields["~src"]
		if src == "" {
			src = e.ID
		}
		m.ID, m.Generated = generatedID(w.Partition, src), true
	}
	return m
}

// decide says where one entry belongs.
func (w *FanoutWorker) decide(e Entry, router *medispatcher.Router) (r Routing) {
	defer func() {
		if v := recover(); v != nil { // or else it would stop one dispatcher after another
			p := medispatcher.Recovered(v)
			w.Log.Error("medispatcher panicked at an incoming entry, which is a defect of ours: please report it",
				"partition", w.Partition, "entry", e.ID, "panic", p.Error(), "stack", string(p.Stack))
			r = Routing{EntryID: e.ID, Reason: "DECODERR " + p.Error()}
		}
	}()
	m, err := medispatcher.DecodeEntry(e.Fields, e.Time())
	r = Routing{EntryID: e.ID, Message: m, Released: e.Fields[released] != ""}
	switch {
	case err != nil:
		r.Reason = "DECODERR " + err.Error()
	case int64(len(m.Body)) > w.MaxBody:
		r.Reason = fmt.Sprintf("DECODERR body: is %d bytes long; the limit is %d (MEDIS_MAX_BODY)", len(m.Body), w.MaxBody)
	case m.Delay > 0:
		r.Due = w.Store.DelayedUntil(e.Time(), m.Delay)
	default:
		r.Subs = router.Route(m.Topic)
	}
	return r
}

func (w *FanoutWorker) report(entries []Entry, routings []Routing, routed []Routed) {
	var ready []string
	known := map[string]bool{}
	for i, r := range routed {
		if r.Result != "" && w.Events.Routed != nil {
			w.Events.Routed(w.Partition, w.identified(entries[i], routings[i].Message), r, routings[i].Subs)
		}
		for _, sub := range r.Failed {
			w.Events.CopyFailed(w.Partition, entries[i], w.identified(entries[i], routings[i].Message), sub)
		}
		switch r.Result {
		case RoutedQuarantined:
			w.Events.Quarantined(w.Partition, entries[i], routings[i].Reason)
		case RoutedDelayed:
			w.Events.Delayed(w.Partition, routings[i].Due)
		case RoutedCopied:
			for _, sub := range routings[i].Subs {
				if !known[sub] {
					known[sub] = true
					ready = append(ready, sub)
				}
			}
		case RoutedUnroutable:
			w.Events.Unroutable(w.Partition, entries[i], w.identified(entries[i], routings[i].Message))
		case RoutedDuplicate, RoutedVanished, RoutedGone: // counted by the step
		}
	}
	if len(ready) > 0 {
		w.Events.Ready(w.Partition, ready)
	}
}

// DelayWorker hands the due messages of one partition back to the fan-out.
type DelayWorker struct {
	Store     *Store
	Partition int
	Log       *slog.Logger
	// Wake gets the time at which a message that was just delayed is due, by the shared clock.
	Wake <-chan time.Time
}

const (
	delayedBatch = 100
	// delayedPoll bounds the wait for messages that another dispatcher delayed.
	delayedPoll = 500 * time.Millisecond
)

// Run works until ctx ends.
func (w *DelayWorker) Run(ctx context.Context) error {
	var back medispatcher.Backoff
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case due := <-w.Wake:
			if wait := due.Sub(w.Store.now()); wait < time.Until(next) {
				next = time.Now().Add(wait)
				timer.Reset(wait)
			}
			continue
		case <-timer.C:
		}
		moved, wait, err := w.Store.ReleaseDelayed(context.WithoutCancel(ctx), w.Partition, delayedBatch)
		if err != nil {
			if back.Failures() == 0 && !errors.Is(err, context.Canceled) {
				w.Log.Warn("delayed messages wait", "partition", w.Partition, "error", err)
			}
			back.Wait(ctx)
			wait = 0
		} else {
			back.Reset()
		}
		switch {
		case moved == delayedBatch:
			wait = 0
		case wait < 0 || wait > delayedPoll:
			wait = delayedPoll
		}
		next = time.Now().Add(wait)
		timer.Reset(wait)
	}
}
