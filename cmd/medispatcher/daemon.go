package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/cmd/medispatcher/outlet"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/push/http1"
	"github.com/solate/medispatcher/streams"
)

var (
	_ push.Reader    = (*streams.Store)(nil)
	_ push.Settler   = (*streams.Store)(nil)
	_ panel.Store    = (*joined.Store)(nil)
	_ panel.Registry = registry{}
)

// registry is streams.Registry as the panel wants it.
type registry struct{ *streams.Registry }

func (r registry) Subscriptions(ctx context.Context) ([]medispatcher.Subscription, int64, error) {
	snapshot, err := r.Latest(ctx)
	if err != nil {
		return nil, 0, err
	}
	subs := make([]medispatcher.Subscription, 0, len(snapshot.Subs))
	for _, id := range snapshot.IDs() {
		subs = append(subs, snapshot.Subs[id])
	}
	return subs, snapshot.Revision, nil
}

// daemon is one running dispatcher.
type daemon struct {
	cfg       *config.Config
	log       *slog.Logger
	info      medispatcher.Dispatcher
	listener  net.Listener
	store     *joined.Store
	registry  *streams.Registry
	transport *http1.Transport
	scheduler *push.Scheduler
	ringer    *streams.Ringer
	data      *dataLog
	endData   func() // writes what waits for the DATA log, within a bound
	last      *lastCopies
	logs      *logWatcher
	parked    *streams.Store // where the recover lists are; the store itself, mostly
	stuck     *kickFails
	wakes     []chan time.Time // of each partition's delayed messages
	fanouts   []*streams.FanoutWorker
	times     *timesWriter
	recorder  *recorder
	metrics   *metrics
	tracer    *tracer // nil: tracing is off
	memory    memory
	alerts    alerts
	gone      *pauser
	breakers  chan struct{} // gets a value when a breaker opened or closed
	peers     atomic.Int64  // other dispatchers that are alive
	hearing   hearing
	beaten    chan struct{} // closed after the first heartbeat
	ready     *readiness
	fewFiles  bool // the limit of open files is too low for the subscriptions, and that was told
}

// newDaemon opens what a dispatcher needs. The address is taken first: two
// dispatchers with one configuration shall not both start.
func newDaemon(ctx context.Context, env *environment) (*daemon, error) {
	cfg := &env.cfg
	d := &daemon{cfg: cfg, log: env.log, beaten: make(chan struct{}), breakers: make(chan struct{}, 1)}
	var lc net.ListenConfig
	var err error
	if d.listener, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; set MEDIS_LISTEN to a free address", cfg.Listen, err)
	}
	var dataOut *outlet.Outlet
	if dataOut, d.endData, err = env.openDataLog(); err != nil {
		return nil, errors.Join(err, d.listener.Close())
	}
	d.data = &dataLog{dataOut, d.log}
	host, _ := os.Hostname()
	d.info = medispatcher.Dispatcher{
		ID: dispatcherID(host), Host: host, PID: os.Getpid(), Version: env.build.Version, Env: cfg.Env,
		Started: time.Now(), DeadAfter: cfg.DeadAfter,
	}
	storeConfig := cfg.Streams(d.info.ID)
	storeConfig.Readers = cfg.FanoutWorkers
	if d.store, err = joined.Open(storeConfig); err != nil {
		d.endData()
		return nil, errors.Join(err, d.listener.Close())
	}
	if d.parked, err = d.openParked(); err != nil {
		d.endData()
		return nil, errors.Join(err, d.listener.Close(), d.store.Close())
	}
	d.registry = streams.NewRegistry(d.store.Store, cfg.Rules(), func(id, problem string) {
		d.log.Warn("subscription needs attention", "subscription", id, "problem", problem)
	})
	d.last = newLastCopies(d.data, d.store.Store, d.registry, d.log)
	d.stuck = &kickFails{store: d.store.Store, dataLog: d.data, log: d.log}
	d.transport = http1.New(http1.Options{
		MaxIdlePerHost: cfg.MaxConcurrency + cfg.MaxRetryConcurrency,
		MaxIdle:        min(maxIdleConns, openFiles()/2),
		DialTimeout:    cfg.MaxTimeout,
		Guard:          cfg.Guard(),
		Log:            d.log,
	})
	d.memory = limitMemory(cfg, d.log)
	active := func() []string { return d.scheduler.Stirred() }
	if d.alerts, err = newAlerts(env, d.info, d.registry, d.store, active); err != nil {
		return nil, errors.Join(err, d.listener.Close(), d.close())
	}
	d.times = &timesWriter{store: d.store}
	d.recorder = &recorder{dispatcher: d.info.ID, messages: cfg.History, store: d.store, log: d.log}
	d.logs = &logWatcher{data: dataOut, alerts: d.alerts.events}
	if env.outlets != nil {
		d.logs.own = env.outlets.stderr
	}
	d.ready = &readiness{redis: config.RedisAt(cfg.RedisURL), probe: d.store.Probe, unread: d.registry.Problem, log: d.log}
	d.gone = newPauser(d.info.ID, d.registry, d.alerts.events, d.log)
	pushing := push.Config{
		MaxInflight: int64(d.memory.bodies), MaxBody: int64(cfg.MaxBody),
		Partitions: cfg.Partitions, Env: cfg.Env, UserAgent: "medispatcher/" + env.build.Version,
		Transport: d.transport, Log: d.log, ShutdownTimeout: cfg.ShutdownTimeout,
		Events: push.Events{Dropping: d.dropping, Settled: d.settled, Unsettled: d.unsettled, Gone: d.gone.Gone, Breaker: d.breaker, Short: d.short},
	}
	if d.tracer, err = newTracer(ctx, env, d.info); err != nil {
		return nil, errors.Join(err, d.listener.Close(), d.close())
	}
	if d.tracer != nil {
		pushing.Tracer = d.tracer
	}
	d.scheduler = push.New(pushing, d.store, d.store)
	d.metrics = newMetrics(d)
	d.ringer = &streams.Ringer{Store: d.store.Store, Alone: func() bool { return d.peers.Load() == 0 }}
	for range cfg.Partitions {
		d.wakes = append(d.wakes, make(chan time.Time, 64))
	}
	d.addFanouts()
	return d, nil
}

// maxIdleConns bounds the keep-alive connections to all workers together.
const maxIdleConns = 4096

// dispatcherID is unique for each start: a new process must not take the entries of
// one before it for its own, whose requests may be under way still.
func dispatcherID(host string) string {
	var random [4]byte
	_, _ = rand.Read(random[:])
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(random[:]))
}

// run works until ctx ends, then stops in order: reading, deliveries, settling, and
// last what others see of this dispatcher. Nothing it owned stays buried.
func (d *daemon) run(ctx context.Context) error {
	// What has to go on while the deliveries end: heartbeat, readiness, HTTP.
	staying, stopStaying := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStaying()
	var stay errgroup.Group
	stay.Go(func() error { return d.heartbeats(staying) })
	stay.Go(func() error { return d.ready.Run(staying) })
	stay.Go(func() error { return d.logs.Run(staying) })
	stay.Go(func() error { return d.last.Run(staying) })
	stay.Go(func() error { return d.gone.Run(staying) })
	server := panel.Server(d.cfg.Listen, d.handler())
	server.ErrorLog = slog.NewLogLogger(d.log.Handler(), slog.LevelWarn)
	stay.Go(func() error {
		if err := server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	d.log.Info("medispatcher runs", "version", d.info.Version, "dispatcher", d.info.ID,
		"listen", d.listener.Addr().String(), "redis", config.RedisAt(d.cfg.RedisURL), "partitions", d.cfg.Partitions)

	g, working := errgroup.WithContext(ctx)
	d.work(working, g)
	<-working.Done()
	d.ready.stop()
	d.log.Info("stopping", "in_flight", d.scheduler.Inflight(), "deadline", d.cfg.ShutdownTimeout.String())
	err := g.Wait()

	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastStepsTimeout)
	defer cancel()
	stopStaying()
	err = errors.Join(err, d.store.LeaveIncoming(last), d.store.Leave(last), server.Shutdown(last))
	err = errors.Join(err, stay.Wait(), d.close())
	if err == nil {
		d.log.Info("stopped")
	}
	return err
}

// work starts every loop that ends with the dispatcher's first signal. Those that take
// messages wait for the first heartbeat: without one, others would take them back.
func (d *daemon) work(ctx context.Context, g *errgroup.Group) {
	g.Go(func() error { return d.registry.Follow(ctx) })
	g.Go(func() error { return d.applyChanges(ctx) })
	g.Go(func() error { return d.ringer.Run(ctx) })
	g.Go(func() error {
		return d.store.Listen(ctx, streams.Hints{Changed: d.registry.Poke, Ready: d.scheduler.Ring, Due: d.scheduler.RingDue})
	})
	g.Go(func() error { return d.heal(ctx) })
	g.Go(func() error { return d.times.Run(ctx) })
	g.Go(func() error { return d.recorder.Run(ctx) })
	g.Go(func() error { return d.watchRecoverLists(ctx) })
	afterBeat := func(loop func(context.Context) error) {
		g.Go(func() error {
			select {
			case <-d.beaten:
			case <-ctx.Done():
			}
			return loop(ctx)
		})
	}
	for _, w := range d.fanouts {
		afterBeat(w.Run)
	}
	for p := range d.cfg.Partitions {
		w := &streams.DelayWorker{Store: d.store.Store, Partition: p, Log: d.log, Wake: d.wakes[p]}
		afterBeat(w.Run)
	}
	afterBeat(d.scheduler.Run)
	d.alerts.run(ctx, g)
}

func (d *daemon) addFanouts() {
	for p := range d.cfg.Partitions {
		for range d.cfg.FanoutWorkers {
			d.fanouts = append(d.fanouts, &streams.FanoutWorker{
				Store: d.store.Store, Registry: d.registry, Partition: p, MaxBody: int64(d.cfg.MaxBody), Log: d.log,
				Events: streams.FanoutEvents{
					Ready: d.rang, Delayed: d.delayed, Quarantined: d.quarantined, CopyFailed: d.copyFailed,
					Unroutable: d.unroutable, Routed: d.routed,
				},
			})
		}
	}
}

// lastStepsTimeout bounds what comes after the deliveries: a few commands.
const lastStepsTimeout = 3 * time.Second

// outlive returns a context that ends so much later than ctx.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { medispatcher.Sleep(longer, by); cancel() })
	return longer, func() { stop(); cancel() }
}

func (d *daemon) close() error {
	d.transport.Close()
	err := errors.Join(d.tracer.close(), d.closeParked(), d.store.Close())
	d.endData()
	return err
}

func (d *daemon) handler() http.Handler {
	return panel.New(panel.Config{
		Token: d.cfg.AdminToken, MaxBody: int64(d.cfg.MaxBody), Version: d.info.Version, Rules: d.cfg.Rules(),
	}, panel.Deps{Registry: registry{d.registry}, Store: d.store, Kicker: kicker{d}, Alerts: alertBook{d}, Kept: keptBook{d.store.Store, d},
		Router: func() *medispatcher.Router { return d.registry.Snapshot().Router }, Ready: d.ready.check, Metrics: d.metrics.handler(), Log: d.log})
}

// applyChanges hands every change of the subscriptions to the scheduler.
func (d *daemon) applyChanges(ctx context.Context) error {
	var before map[string]medispatcher.Subscription
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.registry.Changed():
			subs := d.registry.Snapshot().Subs
			d.metrics.apply(subs)
			d.scheduler.Apply(subs)
			d.checkFiles(subs)
			d.log.Info("subscriptions in force", "count", len(subs), "revision", d.registry.Snapshot().Revision)
			d.beginLedgers(ctx, added(before, subs))
			before = subs
		}
	}
}

// heartbeats says that this dispatcher is alive and which breakers are open in it, and counts
// the others. A breaker that opens or closes is told at once.
func (d *daemon) heartbeats(ctx context.Context) error {
	tick := time.NewTicker(d.cfg.Heartbeat)
	defer tick.Stop()
	for {
		d.beat(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-d.breakers:
			medispatcher.Sleep(ctx, breakersGather)
		}
	}
}

// breakersGather lets breakers gather that open at the same time: many share a target.
const breakersGather = 100 * time.Millisecond

func (d *daemon) beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.DeadAfter/2)
	defer cancel()
	info, held := d.info, d.scheduler.Held()
	info.LogProblem = d.logs.problemNow()
	info.Held, info.HeldTotal = held[:min(len(held), medispatcher.MaxHeld)], len(held)
	info.Short, _ = d.scheduler.Shortage()
	before := d.store.ClockAhead()
	if err := d.store.Heartbeat(ctx, info); err != nil {
		return
	}
	first := d.hearing.heard(time.Now(), d.cfg.Heartbeat)
	if first {
		close(d.beaten)
	}
	if by := d.store.ClockAhead() - before; !first && by.Abs() > time.Second {
		d.log.Warn("the clock of Redis was set; what waits goes on waiting as long as it would have", "by", (-by).Round(time.Millisecond).String())
	}
	d.countPeers(ctx)
}

func (d *daemon) countPeers(ctx context.Context) {
	all, err := d.store.Dispatchers(ctx)
	if err != nil {
		return
	}
	n := int64(0)
	for _, other := range all {
		if other.Alive && other.ID != d.info.ID {
			n++
		}
	}
	if before := d.peers.Swap(n); before != n {
		d.log.Info("dispatchers on this Redis", "others", n)
	}
}
