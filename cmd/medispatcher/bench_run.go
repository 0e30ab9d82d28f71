package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

// bench is one load test.
type bench struct {
	*state
	flags     benchFlags
	run       medispatcher.BenchRun
	url       string // of the receiver, as dispatchers reach it
	recv      *benchReceiver
	publisher *benchPublisher
	others    []medispatcher.Dispatcher // that were alive at the start
	own       *daemon                   // nil: others dispatch alone
	ownEnded  chan error
}

// bench runs a load test and tells what it measured.
func (s *state) bench(ctx context.Context, f benchFlags) error {
	host, _ := os.Hostname()
	var random [benchRunSize / 2]byte
	_, _ = rand.Read(random[:])
	b := &bench{state: s, flags: f, ownEnded: make(chan error, 1)}
	b.run = medispatcher.BenchRun{Run: hex.EncodeToString(random[:]), Subscriptions: f.subscribers, Host: host, PID: os.Getpid()}
	b.recv = newBenchReceiver(b.run, f)
	b.publisher = &benchPublisher{state: s, flags: f, topic: b.run.Topic(), recv: b.recv}

	// Receiver and dispatcher outlive what interrupts the test: last deliveries end well.
	staying, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	listener, err := listenAt(ctx, f.listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	receiving := make(chan error, 1)
	go func() { receiving <- serveUntil(staying, listener, b.recv) }()
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

// measure does everything between a receiver that listens and a summary, and leaves nothing
// behind. Without a report nothing was measured.
func (b *bench) measure(ctx, staying context.Context) (report *benchReport, err error) {
	if err := b.findDispatchers(ctx); err != nil {
		return nil, err
	}
	stopOwn, err := b.dispatch(ctx, staying)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stopOwn()) }()
	release, err := b.hold(ctx, staying)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.clean(staying, release)) }()
	if hosts := b.remote(); len(hosts) > 0 {
		b.note("%s", b.unreachable(hosts))
	}
	if err := b.subscribe(ctx); err != nil {
		return nil, err
	}
	bar := b.progress(int64(b.flags.messages*b.flags.subscribers), "delivered", progressbar.OptionShowIts(), progressbar.OptionSetItsString("deliveries"))
	began := time.Since(b.recv.began)
	err = b.deliver(ctx, bar)
	_ = bar.Finish()
	report = b.report(began)
	switch {
	case ctx.Err() != nil:
		report.Interrupted = true
		return report, ctx.Err()
	case errors.Is(err, errBenchStalled):
		return report, b.whatIsMissing(staying, report)
	}
	return report, err
}

// hold notes the run in Redis, before it makes anything, and goes on noting that it is alive.
func (b *bench) hold(ctx, staying context.Context) (release func(), err error) {
	step, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	if b.run.Started, err = b.store.HoldBench(step, b.run); err != nil {
		return nil, err
	}
	holding, stop := context.WithCancel(staying)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			step, cancel := context.WithTimeout(holding, stepWithin)
			_, _ = b.store.HoldBench(step, b.run) // the next one is soon
			cancel()
			if !medispatcher.Sleep(holding, streams.BenchDeadAfter/10) {
				return
			}
		}
	}()
	return func() { stop(); <-ended }, nil
}

// note tells a person something that is no result.
func (b *bench) note(format string, args ...any) {
	if !b.json {
		_, _ = fmt.Fprintf(b.stderr, format+"\n", args...)
	}
}

func (b *bench) subscribe(ctx context.Context) error {
	for _, id := range b.run.IDs() {
		step, cancel := context.WithTimeout(ctx, stepWithin)
		_, _, _, err := b.registry.Put(step, id, b.benchDocument(b.run, b.flags, b.url+"/"+id), "")
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// errBenchStalled: nothing arrives any more.
var errBenchStalled = errors.New("nothing arrives any more")

// benchLook is how often arrivals are counted.
const benchLook = 20 * time.Millisecond

// deliver publishes everything and waits until it arrived.
func (b *bench) deliver(ctx context.Context, bar *progressbar.ProgressBar) error {
	publishing, stop := context.WithCancel(ctx)
	published, stopped, all := make(chan error, 1), make(chan struct{}), false
	go func() {
		defer close(stopped)
		published <- b.publisher.run(publishing)
	}()
	defer func() { stop(); <-stopped }() // what comes next needs the last message written
	tick := time.NewTicker(benchLook)
	defer tick.Stop()
	progress, since := int64(-1), time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-b.ownEnded:
			return errors.Join(errors.New("the dispatcher in this process ended"), err)
		case err := <-published:
			if err != nil {
				return err
			}
			all = true
		case <-tick.C:
		}
		arrived, written := b.recv.count().arrived, b.publisher.written.Load()
		_ = bar.Set64(arrived)
		switch {
		case all && arrived == written*int64(b.flags.subscribers):
			return nil
		case arrived+written != progress:
			progress, since = arrived+written, time.Now()
		case time.Since(since) > b.flags.wait+b.flags.delay:
			return errBenchStalled
		}
	}
}

// clean removes everything, however the test ended.
func (b *bench) clean(staying context.Context, release func()) error {
	close(b.recv.closing)
	release()
	if _, err := b.removeBench(staying, b.run); err != nil {
		return fmt.Errorf("%s is not removed whole; medispatcher bench --clean does it, half a minute from now: %w", b.run.Name(), b.explain(err))
	}
	return nil
}
