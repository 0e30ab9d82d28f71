// Package amender gives back what crashed dispatchers, and commands typed by hand, left behind: entries that
// are owned by nobody who lives. The amender job and every dispatcher's own
// healing run the same code.
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
	// kickBatch is the most entries moved in one step.
	kickBatch = 200
	// lookBatch is the most channels looked at in one round trip.
	lookBatch = 500
	// ownerBuried owns the entries that wait for their next attempt.
	ownerBuried = "~buried"
	// Nobody stands for the owner of entries that had none.
	Nobody = "~nobody"
)

// Store is what amending needs of Redis; package streams has the real one.
type Store interface {
	Dispatchers(ctx context.Context) ([]medispatcher.Dispatcher, error)
	Owners(ctx context.Context, p int, subs []string) ([]medispatcher.Owned, error)
	IncomingOwners(ctx context.Context, p int) (map[string]int64, error)
	Kick(ctx context.Context, c medispatcher.Channel, consumer string, limit int) (moved int, more bool, err error)
	KickIncoming(ctx context.Context, p int, consumer string, limit int, adopt bool) (moved int, more bool, err error)
	Orphans(ctx context.Context, c medispatcher.Channel, all, dryRun bool) (int, error)
	Unowned(ctx context.Context, c medispatcher.Channel, dryRun bool) (int, error)
	UnownedIncoming(ctx context.Context, p int, adopt, dryRun bool) (int, error)
	// RingDue tells the dispatchers which channels have messages that became due.
	RingDue(ctx context.Context, p int, subs []string) error
}

// Options say what to amend.
type Options struct {
	Partitions int
	Subs       []string // subscriptions to look at
	DryRun     bool     // only count
	Force      bool     // messages that wait for their next attempt become due now, too
	Incoming   bool     // look at the incoming streams as well
	// Adopt names this dispatcher: entries of the incoming stream become its own, so
	// that its fan-out finds them. Empty: any dispatcher's.
	Adopt string
	// Dead are dispatchers that the caller found dead, whatever the age of those very heartbeats.
	Dead []medispatcher.Dispatcher
	// Listen is for a caller that has not heard the dispatchers for some time: before an owner is
	// declared dead for the first time, Run waits for half the longest dead-after limit, and whose
	// heartbeat changes meanwhile lives. Right after Redis was away, or its clock was set, the
	// heartbeats of all look old.
	Listen bool
}

// Row is what was done, or with DryRun would be, in one channel or incoming stream.
type Row struct {
	Partition    int    `json:"partition"`
	Subscription string `json:"subscription,omitempty"` // empty: the incoming stream
	// Owner is whose entries they were. Empty: entries that no due time would have woken. Nobody: entries that no
	// consumer owned and no read would have returned.
	Owner  string `json:"owner,omitempty"`
	Kicked int    `json:"kicked"`
	Error  string `json:"error,omitempty"`
}

// Report is the outcome of Run.
type Report struct {
	Rows []Row    `json:"rows"`
	Dead []string `json:"dead"` // dispatchers on the list whose heartbeat is too old
	// Vanished is how many entries were found gone that a command typed by hand took out. The caller fills it in.
	Vanished int64 `json:"vanished,omitempty"`
}

// Kicked is the number of entries given back.
func (r Report) Kicked() (n int) {
	for _, row := range r.Rows {
		n += row.Kicked
	}
	return n
}

// Run gives back every entry that no living dispatcher owns. What a living one has in
// flight is never touched. It does what it can: the error joins what it could not.
func Run(ctx context.Context, store Store, o Options) (Report, error) {
	var report Report
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
		for chunk := range slices.Chunk(o.Subs, lookBatch) {
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

type run struct {
	store     Store
	o         Options
	report    *Report
	first     map[string]time.Time // heartbeats at the beginning
	listenFor time.Duration        // 0: nobody is on the list
	listened  bool
	alive     map[string]bool
	dead      map[string]bool // owners that were not alive after they were seen to own something
	errs      []error
}

// note adds who lives, by a list that was just read.
func (r *run) note(all []medispatcher.Dispatcher) {
	for _, d := range all {
		first, known := r.first[d.ID]
		changed := !known || !first.Equal(d.Heartbeat)
		found := slices.ContainsFunc(r.o.Dead, func(dead medispatcher.Dispatcher) bool {
			return dead.ID == d.ID && dead.Heartbeat.Equal(d.Heartbeat)
		})
		if d.Alive && !found || r.o.Listen && changed {
			r.alive[d.ID] = true
		}
	}
}

// defaultListen is for a list that is empty: whoever lives and is not on it any more, for Redis lost it, has
// the default limit.
const defaultListen = 5 * time.Second

// listen waits until every dispatcher that lives was heard.
func (r *run) listen(ctx context.Context) error {
	r.listened = true
	d := r.listenFor
	if d == 0 {
		d = defaultListen
	}
	if !medispatcher.Sleep(ctx, d) {
		return ctx.Err()
	}
	return nil
}

// lives reports whether an owner that was just seen is a living dispatcher. One that is not known to live may
// have started since the list was read. It takes nothing before its first heartbeat, so a list that
// is read now has it.
func (r *run) lives(ctx context.Context, owner string) (bool, error) {
	if r.alive[owner] || r.dead[owner] {
		return r.alive[owner], nil
	}
	for {
		all, err := r.store.Dispatchers(ctx)
		if err == nil {
			r.note(all)
			if r.alive[owner] || r.listened || !r.o.Listen {
				break
			}
			err = r.listen(ctx)
		}
		if err != nil {
			return false, fmt.Errorf("%s cannot be declared dead: %w", owner, err)
		}
	}
	r.dead[owner] = !r.alive[owner]
	return r.alive[owner], nil
}

func (r *run) add(row Row, err error) {
	if err != nil {
		row.Error = err.Error()
		r.errs = append(r.errs, err)
	}
	if row.Kicked > 0 || err != nil {
		r.report.Rows = append(r.report.Rows, row)
	}
}

func (r *run) incoming(ctx context.Context, p int) {
	owners, err := r.store.IncomingOwners(ctx, p)
	if err != nil {
		r.add(Row{Partition: p}, err)
		return
	}
	for _, owner := range sorted(owners) {
		if owner == r.o.Adopt || owner == ownerBuried && r.o.Adopt == "" {
			continue
		}
		row := Row{Partition: p, Owner: owner}
		if lives, err := r.lives(ctx, owner); lives || err != nil {
			r.add(row, err)
			continue
		}
		row.Kicked, err = r.drain(int(owners[owner]), func() (int, bool, error) {
			return r.store.KickIncoming(ctx, p, owner, kickBatch, r.o.Adopt != "")
		})
		r.add(row, err)
	}
	n, err := r.store.UnownedIncoming(ctx, p, r.o.Adopt != "", r.o.DryRun)
	r.add(Row{Partition: p, Owner: Nobody, Kicked: n}, err)
}

func (r *run) channels(ctx context.Context, p int, subs []string) {
	owners, err := r.store.Owners(ctx, p, subs)
	if err != nil {
		r.add(Row{Partition: p}, err)
		return
	}
	var due []string
	for i, sub := range subs {
		c := medispatcher.Channel{Partition: p, Subscription: sub}
		before := len(r.report.Rows)
		r.channel(ctx, c, &owners[i])
		if len(r.report.Rows) > before {
			due = append(due, sub)
		}
	}
	if len(due) > 0 && !r.o.DryRun {
		_ = r.store.RingDue(ctx, p, due) // a hint: sweeps repair a lost one
	}
}

// channel gives back what nobody who lives owns in one. What had no owner comes first: it is ~buried's then, and
// with Force due now.
func (r *run) channel(ctx context.Context, c medispatcher.Channel, owned *medispatcher.Owned) {
	if owned.Err != nil {
		r.add(Row{Partition: c.Partition, Subscription: c.Subscription}, owned.Err)
		return
	}
	given := 0
	if owned.Length > 0 {
		row := Row{Partition: c.Partition, Subscription: c.Subscription, Owner: Nobody}
		var err error
		if row.Kicked, err = r.store.Unowned(ctx, c, r.o.DryRun); !r.o.DryRun {
			given = row.Kicked
		}
		r.add(row, err)
		owned.Pending[ownerBuried] += int64(given)
	}
	for _, owner := range sorted(owned.Pending) {
		row, err := r.owner(ctx, c, owner, owned.Pending[owner])
		if owner == ownerBuried && r.o.Force {
			row.Kicked = max(0, row.Kicked-given) // they are told already
		}
		r.add(row, err)
	}
}

// owner gives back what an owner of entries of a channel has, unless it lives.
func (r *run) owner(ctx context.Context, c medispatcher.Channel, owner string, pending int64) (row Row, err error) {
	row = Row{Partition: c.Partition, Subscription: c.Subscription, Owner: owner}
	if owner == ownerBuried {
		row.Owner = ""
		if pending > 0 {
			row.Kicked, err = r.store.Orphans(ctx, c, r.o.Force, r.o.DryRun)
		}
		return row, err
	}
	if lives, err := r.lives(ctx, owner); lives || err != nil {
		return row, err
	}
	row.Kicked, err = r.drain(int(pending), func() (int, bool, error) {
		return r.store.Kick(ctx, c, owner, kickBatch)
	})
	return row, err
}

// drain repeats a kick until nothing is left. pending is what a dry run reports.
func (r *run) drain(pending int, kick func() (int, bool, error)) (total int, err error) {
	if r.o.DryRun {
		return pending, nil
	}
	for {
		moved, more, err := kick()
		total += moved
		if err != nil || !more || moved == 0 {
			return total, err
		}
	}
}

func sorted(owners map[string]int64) []string {
	names := make([]string, 0, len(owners))
	for name := range owners {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
