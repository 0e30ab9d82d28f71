package streams

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	// fanoutBatch and fanoutBytes are the most entries of a batch, and the most bytes of their
	// fields. The read that reaches one of them is the last of the batch. One step takes so many small entries.
	fanoutBatch = 384
	fanoutBytes = 4 << 20
	// fanoutRead is the most entries of one read. The size of their bodies is not known before;
	// 16 of 1 MiB hold Redis for some milliseconds.
	fanoutRead = 16
	// finishWithin is how long after ctx ended another step may begin.
	finishWithin = 2 * time.Second
)

// FanoutEvents is told what the fan-out did. Its functions must not block.
type FanoutEvents struct {
	// Hand: a step is about to make so many copies for these channels (Max), with bodies of largest bytes at most.
	// It returns how many of them this dispatcher takes at once. took is then called once, with what it has got.
	// With an error it may own messages without knowing, as after Store.Read. Hand may be nil.
	Hand func(copies []medispatcher.Want, largest int) (wants []medispatcher.Want, took func(got []medispatcher.Delivery, err error))
	// Ready: channels of a partition have new messages, not counting those that Hand took.
	Ready func(p int, subs []string)
	// Delayed: a message of a partition was delayed until due, by the shared clock.
	Delayed func(p int, due time.Time)
	// Quarantined: an entry could not be decoded and is kept in the quarantine.
	Quarantined func(p int, e Entry, reason string)
	// CopyFailed: a channel with a key of a wrong type could not take its copy, which is in the quarantine.
	CopyFailed func(p int, e Entry, m medispatcher.Message, sub string)
	// Routed: r is what became of an entry, and subs are the subscriptions that it was routed to.
	// With RoutedQuarantined m is not reliable. Routed may be nil.
	Routed func(p int, m medispatcher.Message, r Routed, subs []string)
	// FilterFailed: the filter of a subscription failed at a message, which is delivered. It may be called
	// several times for one message. It may be nil.
	FilterFailed func(m *medispatcher.Message, sub string, err error)
	// Unready: the lines of some of these subscriptions have to be brought in order; see Store.Straighten.
	Unready func(p int, subs []string)
	// Unroutable: no subscription wants the topic; the message is among the unrouted. It is not
	// called if the reply was lost.
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

	adopted  atomic.Bool
	late     atomic.Bool // finishWithin is over: no further step may begin
	renewAt  time.Time   // when to check the ids of the stream
	nextRead int         // most entries of the next read; 0: fanoutRead
	fits     int         // entries that may be read at once; see arrivals
	more     bool        // the last read left entries, it seems: the next one asks what fits
	idle     bool        // the last read waited for nothing
	ahead    chan *batch // that is being read; nil: none
	ending   atomic.Bool // nothing more is read ahead
	reads    smaller
	behind   atomic.Bool // more, for other goroutines
	refused  atomic.Pointer[error]
}

// Refused is why nothing moves until somebody gives the user of Redis a right; nil: it is not for that.
func (w *FanoutWorker) Refused() error {
	if err := w.refused.Load(); err != nil {
		return *err
	}
	return nil
}

// Behind reports whether the last read left entries, it seems.
func (w *FanoutWorker) Behind() bool { return w.behind.Load() }

// Adopted says that this process now owns entries that another dispatcher left behind.
func (w *FanoutWorker) Adopted() { w.adopted.Store(true) }

// Run works until ctx ends, then finishes the batch it has in hand.
func (w *FanoutWorker) Run(ctx context.Context) error {
	work := context.WithoutCancel(ctx)
	defer context.AfterFunc(ctx, func() {
		w.ending.Store(true)
		time.AfterFunc(finishWithin, func() { w.late.Store(true) })
	})()
	var back medispatcher.Backoff
	own, ownAt := true, time.Time{} // first what this process already owns because of a lost reply
	for ctx.Err() == nil {
		own = own || w.adopted.Swap(false)
		if !own && !ownAt.IsZero() && time.Now().After(ownAt) {
			own, ownAt = true, time.Time{}
		}
		move := w.moveNew
		if own {
			move = w.moveOwn
		}
		if err := move(work); err != nil {
			if back.Failures() == 0 {
				w.Log.Warn("fan-out waits: it cannot move entries", "partition", w.Partition, "error", err)
			}
			if w.refused.Store(nil); rdb.IsRefused(err) {
				w.refused.Store(&err)
			}
			// The reply may be lost and the entries ours, so move our own next. If those
			// failed, move new ones next: they must not wait for one that cannot be moved.
			if own {
				ownAt = time.Now().Add(time.Second)
			}
			own = !own
			back.Wait(ctx)
			continue
		}
		own = false
		w.renew(work)
		if back.Failures() > 0 && ownAt.IsZero() {
			w.Log.Info("fan-out goes on", "partition", w.Partition)
			w.refused.Store(nil)
			back.Reset()
		}
	}
	if w.ahead != nil {
		_ = w.moveNew(work) // what it cannot move, others find pending
	}
	return nil
}

// moveOwn moves entries that this process owns without knowing. One that cannot be moved does not stop those behind it.
func (w *FanoutWorker) moveOwn(ctx context.Context) error {
	var errs []error
	for from := "0"; !w.late.Load(); {
		most := w.reads.of(fanoutRead)
		entries, err := w.Store.ownIncoming(ctx, w.Partition, most, from)
		w.reads.note(most, err)
		if err != nil || len(entries) == 0 {
			return errors.Join(append(errs, err)...)
		}
		from = entries[len(entries)-1].ID
		errs = append(errs, w.route(ctx, entries, nil))
	}
	return errors.Join(errs...)
}

// route moves entries, in as many steps as their copies need. asked is the version of the subscriptions after
// the entries were read; nil: it is not known.
func (w *FanoutWorker) route(ctx context.Context, entries []Entry, asked *versionReply) error {
	hand := make([]inHand, len(entries))
	for i, e := range entries {
		hand[i] = newInHand(e)
		w.look(e)
	}
	var router *medispatcher.Router
	var errs []error
	early := 0 // steps in a row after which an entry waited for older ones
	archives, fresh := w.Store.archiveMost() > 0, false
	latest := func() (*Snapshot, error) { return w.latest(ctx, asked) }
	for len(hand) > 0 && !w.late.Load() {
		subs, err := latest()
		if err != nil {
			return err
		}
		if subs.Router() != router {
			router = subs.Router()
			reroute(hand, archives, func(e Entry) Routing { return w.decide(e, router) })
		}
		step := nextStep(hand, archives, func(e Entry) Routing { return w.decide(e, router) })
		if err := w.order(ctx, subs.Subs, step); err != nil {
			return err
		}
		if last := len(step) - 1; last < len(hand)-1 || step[last].More {
			latest = w.askLatest(ctx) // the next step needs them
		} else {
			latest = func() (*Snapshot, error) { return w.Registry.Latest(ctx) }
		}
		routed, taken, err := w.move(ctx, RoutedBy{Revision: subs.Revision, Fresh: fresh}, step)
		if routed == nil {
			return err
		}
		if fresh = routed[0].Result == RoutedOutdated; fresh {
			latest = func() (*Snapshot, error) { return w.Registry.Latest(ctx) }
		}
		errs = append(errs, err)
		w.report(hand, step, routed, taken)
		hand = after(hand, step, routed)
		if len(hand) == 0 || !hand[0].early {
			early = 0
			continue
		}
		latest = func() (*Snapshot, error) { return w.Registry.Latest(ctx) }
		if slices.ContainsFunc(routed, func(r Routed) bool { return r.Result.final() }) {
			early = min(early, 1)
		}
		if early++; err != nil || early > earlyTries {
			return errors.Join(append(errs, errEarly)...) // they stay pending, and are read again
		}
		if hand, err = w.older(ctx, hand, early); err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(errs...)
}

// latest returns subscriptions as of a time after the read, so that they hold every one that was put before
// the entries were written.
func (w *FanoutWorker) latest(ctx context.Context, asked *versionReply) (*Snapshot, error) {
	if asked == nil {
		return w.Registry.Latest(ctx)
	}
	v, err := asked.version()
	return w.Registry.asOf(ctx, v, err)
}

// askLatest asks for the subscriptions while a step is under way.
func (w *FanoutWorker) askLatest(ctx context.Context) func() (*Snapshot, error) {
	type answer struct {
		subs *Snapshot
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		subs, err := w.Registry.Latest(ctx)
		answered <- answer{subs, err}
	}()
	return func() (*Snapshot, error) { a := <-answered; return a.subs, a.err }
}

// identified is the message of a routing with the id that subscribers see.
func (w *FanoutWorker) identified(r *Routing) medispatcher.Message {
	m := r.Message
	if m.ID == "" {
		m.ID, m.Generated = rdb.GeneratedID(w.Partition, r.Src), true
	}
	return m
}

// decide says where one entry belongs.
func (w *FanoutWorker) decide(e Entry, router *medispatcher.Router) (r Routing) {
	defer func() {
		if v := recover(); v != nil { // otherwise this entry would stop one dispatcher after another
			p := medispatcher.Recovered(v)
			w.Log.Error("medispatcher panicked at an incoming entry, which is a defect of ours: please report it",
				"partition", w.Partition, "entry", e.ID, "panic", p.Error(), "stack", string(p.Stack))
			r = Routing{EntryID: e.ID, follows: e.follows, Src: e.ID, Reason: "DECODERR " + p.Error()}
		}
	}()
	f := entry.FieldsOf(e.fields)
	m, err := f.Checked(e.Time())
	r = Routing{EntryID: e.ID, follows: e.follows, Message: m, Src: cmp.Or(f.Src, e.ID), Released: f.Released != ""}
	switch {
	case err != nil:
		r.Reason = "DECODERR " + err.Error()
	case int64(len(m.Body)) > w.MaxBody:
		r.Reason = fmt.Sprintf("DECODERR body: is %d bytes long; the limit is %d (MEDIS_MAX_BODY)", len(m.Body), w.MaxBody)
	case m.Delay > 0:
		r.Due = w.Store.db.DelayedUntil(e.Time(), m.Delay)
	default:
		want := router.Wanted(m.Topic)
		r.Subs, r.verdicts = want.Verdicts(&m, w.filterFailed(&m, r.Src))
		if r.verdicts != nil {
			r.wanted, r.Filtered = want.IDs, len(r.Subs) == 0
		}
	}
	return r
}

// filterFailed tells of the filters that fail at a message.
func (w *FanoutWorker) filterFailed(m *medispatcher.Message, src string) func(sub string, err error) {
	return func(sub string, err error) {
		if w.Events.FilterFailed != nil {
			named := w.identified(&Routing{Message: *m, Src: src})
			w.Events.FilterFailed(&named, sub, err)
		}
	}
}

// report calls Events with what a step did with the first entries in hand. taken is how many copies were handed
// over, by subscription.
func (w *FanoutWorker) report(hand []inHand, step []Routing, routed []Routed, taken map[string]int) {
	var ready []string
	made := map[string]int{}
	for i, r := range routed {
		e, m := hand[i].Entry, w.identified(&step[i])
		if r.Result.final() && w.Events.Routed != nil {
			r.Wanted, r.Verdicts = hand[i].routing.wanted, hand[i].routing.verdicts
			w.Events.Routed(w.Partition, m, r, hand[i].routing.Subs)
		}
		if r.Unready && w.Events.Unready != nil {
			w.Events.Unready(w.Partition, step[i].Ordered)
		}
		for _, sub := range r.Failed {
			w.Events.CopyFailed(w.Partition, e, m, sub)
		}
		switch r.Result {
		case RoutedQuarantined:
			w.Events.Quarantined(w.Partition, e, step[i].Reason)
		case RoutedDelayed:
			w.Events.Delayed(w.Partition, step[i].Due)
		case RoutedCopied, RoutedMore:
			for _, sub := range step[i].Subs {
				if made[sub]++; made[sub] == taken[sub]+1 {
					ready = append(ready, sub)
				}
			}
		case RoutedUnroutable:
			w.Events.Unroutable(w.Partition, e, m)
		case RoutedFiltered: // Routed has heard of it
		case RoutedDuplicate, RoutedVanished, RoutedGone: // counted by the step
		case RoutedBehind, RoutedWait, RoutedEarly, RoutedOutdated: // nothing was done
		}
	}
	if len(ready) > 0 {
		w.Events.Ready(w.Partition, ready)
	}
}
