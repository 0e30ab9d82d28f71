// Package amender gives back what crashed dispatchers, and commands typed by hand, left behind: entries that no
// living dispatcher owns. The amender job and the healing of every dispatcher run this code. The package imports
// the domain alone; cmd hands it the store.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
package amender

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// stepEntries is the most entries given back in one step.
	stepEntries = 200
	// lookChannels is the most channels looked at in one round trip.
	lookChannels = 500
	// Nobody stands for the owner of entries that have none.
	Nobody = "~nobody"
)

// Store is what this package asks of Redis. Package streams has the real one.
type Store interface {
	Dispatchers(ctx context.Context) ([]medispatcher.Dispatcher, error)
	// Active lists the subscriptions of a partition whose channels may hold something. complete: no other channel does.
	Active(ctx context.Context, p int) (subs []string, complete bool, err error)
	Owners(ctx context.Context, p int, subs []string) ([]medispatcher.Owned, error)
	IncomingOwners(ctx context.Context, p int) (map[string]int64, error)
	GiveBack(ctx context.Context, c medispatcher.Channel, consumer string, limit int) (moved int, more bool, err error)
	GiveBackIncoming(ctx context.Context, p int, consumer string, limit int, adopt bool) (moved int, more bool, err error)
	Orphans(ctx context.Context, c medispatcher.Channel, all, dryRun bool) (int, error)
	Unowned(ctx context.Context, c medispatcher.Channel, dryRun bool) (int, error)
	UnownedIncoming(ctx context.Context, p int, adopt, dryRun bool) (int, error)
	// RingDue tells the dispatchers which channels have messages that became due.
	RingDue(ctx context.Context, p int, subs []string) error
}

// Options say where to look and what to do.
type Options struct {
	Partitions int
	Subs       []string // subscriptions to look at
	Idle       bool     // look at their idle channels, too: a dead dispatcher may be a consumer there
	DryRun     bool     // only count
	Force      bool     // messages that wait for their next attempt become due now, too
	Incoming   bool     // look at the incoming streams as well
	// Adopt names this dispatcher: entries of the incoming stream become its own, so
	// that its fan-out finds them. Empty: any dispatcher's.
	Adopt string
	// Dead are dispatchers that the caller found dead. They count as dead while their heartbeat is the one given here,
	// however recent it is.
	Dead []medispatcher.Dispatcher
	// Listen is for a caller that has not heard the dispatchers for some time. Before Run declares the first owner
	// dead, it waits for half the longest dead-after limit; a dispatcher whose heartbeat changes meanwhile lives.
	// Right after Redis was away, or after its clock was set, every heartbeat looks old.
	Listen bool
}

// Row is what was done, or with DryRun would be, in one channel or incoming stream.
type Row struct {
	Partition    int    `json:"partition"`
	Subscription string `json:"subscription,omitempty"` // empty: the incoming stream
	// Owner is whose entries they were. Empty: entries that waited without a due time, so nothing would have tried them
	// again. Nobody: entries that no consumer owned, so no read would have returned them.
	Owner     string `json:"owner,omitempty"`
	GivenBack int    `json:"kicked"`
	Error     string `json:"error,omitempty"`
}

// Report is the outcome of Run.
type Report struct {
	Rows []Row    `json:"rows"`
	Dead []string `json:"dead"` // dispatchers on the list whose heartbeat is too old
	// Vanished is how many pending entries were gone from their stream: a command typed by hand took them out.
	// The caller fills it in.
	Vanished int64 `json:"vanished,omitempty"`
}

// GivenBack is the number of entries given back.
func (r Report) GivenBack() (n int) {
	for _, row := range r.Rows {
		n += row.GivenBack
	}
	return n
}

// Run gives back every entry that no living dispatcher owns. It never touches what a living one has in flight. It
// goes on after an error; the one it returns joins them all.
func Run(ctx context.Context, store Store, o Options) (Report, error) {
	report := Report{Rows: []Row{}, Dead: []string{}}
	all, err := store.Dispatchers(ctx)
	if err != nil {
		return report, fmt.Errorf("nobody can be declared dead: %w", err)
	}
	r := &run{store: store, o: o, report: &report, first: map[string]time.Time{}, alive: map[string]bool{}, dead: map[string]bool{}}
	for _, d := range all {
		r.first[d.ID] = d.Heartbeat
		r.listenFor = max(r.listenFor, d.DeadAfter/2)
	}
	r.note(all)
	for p := range o.Partitions {
		if o.Incoming {
			r.incoming(ctx, p)
		}
		for chunk := range slices.Chunk(r.subs(ctx, p), lookChannels) {
			r.channels(ctx, p, chunk)
		}
	}
	for _, d := range all {
		if !r.alive[d.ID] {
			report.Dead = append(report.Dead, d.ID)
		}
	}
	return report, errors.Join(r.errs...)
}

// subs lists the subscriptions to look at in a partition. If Redis does not say which are active, all of them are.
func (r *run) subs(ctx context.Context, p int) []string {
	if r.o.Idle {
		return r.o.Subs
	}
	active, complete, err := r.store.Active(ctx, p)
	if err != nil || !complete {
		return r.o.Subs
	}
	if r.asked == nil {
		r.asked = make(map[string]bool, len(r.o.Subs))
		for _, sub := range r.o.Subs {
			r.asked[sub] = true
		}
	}
	return slices.DeleteFunc(active, func(sub string) bool { return !r.asked[sub] })
}

type run struct {
	store     Store
	o         Options
	report    *Report
	first     map[string]time.Time // heartbeats at the beginning
	listenFor time.Duration        // 0: nobody is on the list
	listened  bool
	alive     map[string]bool
	dead      map[string]bool // owners that were not alive after they were seen to own something
	asked     map[string]bool // subscriptions; nil: not needed yet
	errs      []error
}

func (r *run) add(row Row, err error) {
	if err != nil {
		row.Error = err.Error()
		r.errs = append(r.errs, err)
	}
	if row.GivenBack > 0 || err != nil {
		r.report.Rows = append(r.report.Rows, row)
	}
}
