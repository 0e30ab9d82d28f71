package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon"
	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
)

// bench is one load test of the command.
type bench struct {
	*state
	*loadtest.Test
	flags    benchFlags
	url      string                    // of the receiver, as dispatchers reach it
	others   []medispatcher.Dispatcher // alive when it began
	own      *daemon.Daemon            // nil: only others dispatch
	ownEnded chan error
}

// bench runs a load test and prints what it measured.
func (s *state) bench(ctx context.Context, f benchFlags) error {
	b := &bench{state: s, Test: loadtest.New(f.plan(), s.store, s.registry), flags: f, ownEnded: make(chan error, 1)}

	// Receiver and dispatcher outlive an interruption, so that the last deliveries end well.
	staying, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	listener, err := listenAt(ctx, f.listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	receiving := make(chan error, 1)
	go func() { receiving <- serveUntil(staying, listener, b.Receiver) }()
	if b.url = strings.TrimSuffix(f.url, "/"); b.url == "" {
		b.url = "http://" + listener.Addr().String()
	}
	report, err := b.measure(ctx, staying)
	stop()
	err = errors.Join(err, <-receiving)
	if report == nil {
		return err
	}
	return errors.Join(b.tell(report), err)
}

// measure subscribes, publishes, waits for the deliveries, and leaves nothing behind. Without a report nothing was
// measured.
func (b *bench) measure(ctx, staying context.Context) (report *loadtest.Report, err error) {
	if err := b.findDispatchers(ctx); err != nil {
		return nil, err
	}
	stopOwn, err := b.dispatch(ctx, staying)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stopOwn()) }()
	release, err := b.Hold(ctx, staying)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.clean(staying, release)) }()
	if hosts := b.remote(); len(hosts) > 0 {
		b.note("%s", b.unreachable(hosts))
	}
	if err := loadtest.Subscribe(ctx, b.registry, b.cfg.Rules(), b.Run, b.Plan, b.url); err != nil {
		return nil, err
	}
	bar := b.progress(int64(b.Plan.Messages*b.Plan.Subscribers), "delivered", progressbar.OptionShowIts(), progressbar.OptionSetItsString("deliveries"))
	began := b.Elapsed()
	err = b.explain(b.Deliver(ctx, b.ownEnded, func(n int64) { _ = bar.Set64(n) }))
	_ = bar.Finish()
	report = b.report(began)
	switch {
	case ctx.Err() != nil:
		report.Interrupted = true
		return report, ctx.Err()
	case errors.Is(err, loadtest.ErrStalled):
		return report, b.whatIsMissing(staying, report)
	}
	return report, err
}

// note prints a remark for a person, which is not a result.
func (b *bench) note(format string, args ...any) {
	if !b.json {
		_, _ = fmt.Fprintf(b.stderr, format+"\n", args...)
	}
}

// clean removes everything, however the test ended.
func (b *bench) clean(staying context.Context, release func()) error {
	b.Receiver.Close()
	release()
	if _, err := loadtest.Remove(staying, b.store, b.registry, b.Run); err != nil {
		return fmt.Errorf("%s is not removed completely; run medispatcher bench --clean in half a minute: %w", b.Run.Name(), b.explain(err))
	}
	return nil
}

// report is what was measured since publishing began, and who dispatched.
func (b *bench) report(began time.Duration) *loadtest.Report {
	r := b.Report(began)
	r.Own = b.own != nil
	for _, d := range b.others {
		r.Dispatchers = append(r.Dispatchers, d.ID)
	}
	return r
}

// tell prints the summary.
func (b *bench) tell(r *loadtest.Report) error {
	if b.json {
		return cli.WriteJSON(b.stdout, r, "")
	}
	ms := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) + " ms" }
	t := cli.Table{Header: []string{"LOAD TEST", ">" + b.Run.Name()}}
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	t.Add("messages", n(r.Messages))
	t.Add("deliveries", n(r.Deliveries))
	t.Add("seconds", fmt.Sprintf("%.2f", r.Seconds))
	t.Add("published/s", fmt.Sprintf("%.0f", r.Published))
	t.Add("delivered/s", fmt.Sprintf("%.0f", r.Delivered))
	t.Add("latency p50", ms(r.Latency.P50))
	t.Add("latency p90", ms(r.Latency.P90))
	t.Add("latency p99", ms(r.Latency.P99))
	t.Add("latency max", ms(r.Latency.Max))
	t.Add("failed answers", n(r.Failed))
	t.Add("duplicates", n(r.Duplicates))
	if r.Missing > 0 && !r.Interrupted {
		t.Add("missing", n(r.Missing))
	}
	return t.Write(b.stdout)
}

// whatIsMissing is an error that says what did not arrive, where it is, and what the likely cause is.
func (b *bench) whatIsMissing(ctx context.Context, report *loadtest.Report) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	lines := []string{fmt.Sprintf("%d of %d deliveries did not arrive, and none did for %s", report.Missing, report.Expected, b.Patience())}
	where, err := b.Where(ctx)
	if err != nil {
		return errors.Join(errors.New(lines[0]), b.explain(err))
	}
	report.Where = where
	lines[0] += fmt.Sprintf(": %d READY, %d BURIED (%d of them retrying), %d DEAD", where.Ready, where.Buried, where.Retrying, where.Dead)
	if where.Incoming > 0 {
		lines = append(lines, fmt.Sprintf("%s not fanned out yet: do the dispatchers have the same MEDIS_PARTITIONS=%d and MEDIS_KEY_PREFIX=%s? See medispatcher status",
			cli.Counted(where.Incoming, "message"), b.store.Spread(), b.cfg.KeyPrefix))
	}
	if where.LastError != "" {
		lines = append(lines, "a message failed last with: "+cli.Clean(where.LastError))
	}
	if len(where.HeldBy) > 0 {
		lines = append(lines, "held back by the breaker of "+cli.Clean(strings.Join(where.HeldBy, ", "))+": the receiver failed too often")
	}
	if hosts := b.remote(); len(hosts) > 0 {
		lines = append(lines, "the likely cause: "+b.unreachable(hosts))
	}
	return errors.New(strings.Join(lines, "\n"))
}
