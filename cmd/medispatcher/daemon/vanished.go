package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

// vanishedEvery spaces the log lines: an XTRIM of 100,000 messages is to be one line.
const vanishedEvery = 5 * time.Second

// vanished finds and counts the messages that commands typed by hand took out of Redis.
type vanished struct {
	version    string // of this dispatcher
	partitions int
	store      *streams.Store
	registry   *streams.Registry
	counter    interface{ Vanished(from string, n int64) }
	log        *slog.Logger

	told   time.Time
	looked time.Time // at backlogs
}

// tellNowAndThen is tell, at most every few seconds.
func (v *vanished) tellNowAndThen() {
	if time.Since(v.told) >= vanishedEvery {
		v.tell()
		v.told = time.Now()
	}
}

// tell logs and counts what this dispatcher found gone.
func (v *vanished) tell() {
	for _, gone := range v.store.TakeVanished() {
		args := []any{"partition", gone.Partition, "from", gone.From, "count", gone.Count}
		if gone.First != "" {
			args = append(args, "first_entry", gone.First, "last_entry", gone.Last)
		}
		v.log.Warn("messages were taken out of Redis by hand (XDEL, XTRIM, DEL) and are lost", args...)
		v.counter.Vanished(gone.From, gone.Count)
	}
}

// rest tells what is left when ctx ends: the last deliveries find what is gone after the healer has ended.
func (v *vanished) rest(ctx context.Context) error {
	<-ctx.Done()
	v.tell()
	return nil
}

// backlogsEvery spaces the looks at incoming streams that hold many entries: these move fast, and what a DEL of one takes is only known by the
// last look.
const backlogsEvery = time.Second

// lookAtBacklogs is look at the incoming streams whose fan-out is behind.
func (v *vanished) lookAtBacklogs(ctx context.Context, fanouts []*streams.FanoutWorker) {
	if time.Since(v.looked) < backlogsEvery {
		return
	}
	v.looked = time.Now()
	all, _ := v.store.LastDispatchers()
	if len(all) == 0 || v.mixed(all) {
		return
	}
	for _, w := range fanouts {
		if w.Behind() {
			_ = v.store.AuditIncoming(ctx, w.Partition, false) // the next look of all tells of an error
		}
	}
}

// mixed reports whether dispatchers of another version run, which may not count alike.
func (v *vanished) mixed(all []medispatcher.Dispatcher) bool {
	return slices.ContainsFunc(all, func(o medispatcher.Dispatcher) bool { return o.Alive && o.Version != v.version })
}

// look compares what left every stream with what was settled.
func (v *vanished) look(ctx context.Context, all []medispatcher.Dispatcher) {
	mixed := v.mixed(all)
	var errs []error
	for p := range v.partitions {
		errs = append(errs, v.store.AuditIncoming(ctx, p, mixed), v.store.AuditChannels(ctx, p, v.subs(ctx, p)))
	}
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		v.log.Warn("messages that commands typed by hand took out cannot be counted now", "error", err)
	}
	v.tell()
}

// subs are the subscriptions whose channels can have lost something since the last look.
func (v *vanished) subs(ctx context.Context, p int) []string {
	all := v.registry.Snapshot().Subs
	active, complete, err := v.store.Active(ctx, p)
	if err != nil || !complete {
		return all.IDs()
	}
	return slices.DeleteFunc(active, func(sub string) bool { return all.Get(sub) == nil })
}

// begin starts the audits of new subscriptions before their first messages.
func (v *vanished) begin(ctx context.Context, subs []string) {
	for p := range v.partitions {
		if v.store.BeginAudits(ctx, p, subs) != nil {
			return // the next look starts them
		}
	}
}
