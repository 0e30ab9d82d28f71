package daemon

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon/metrics"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/push/http1"
	"github.com/solate/medispatcher/streams"
)

// maxIdleConns bounds the keep-alive connections to all workers together.
const maxIdleConns = 4096

// wire makes the duties and gives each what it needs.
func (d *Daemon) wire(ctx context.Context, o Options) error {
	cfg, info, registry, log := d.cfg, d.info, d.registry, d.log
	all, store := d.store, d.store.Store
	parked, err := newParked(cfg, info.ID, store, d.dataLog, log)
	if err != nil {
		return err
	}
	d.onClose(parked.close)
	tracer, err := newTracer(ctx, o.Getenv, info)
	if err != nil {
		return err
	}
	d.onClose(tracer.close)
	pushed := &pushEvents{} // the scheduler comes first: most duties need it
	d.scheduler = d.newScheduler(pushed.hooks(), tracer)
	alerts, err := newAlerts(cfg, info, registry, all, d.scheduler, log)
	if err != nil {
		return err
	}

	logs := &logWatcher{data: d.dataLog.out, own: o.OwnLog, alerts: alerts.events}
	hearing := &hearing{every: cfg.Heartbeat, deadAfter: cfg.DeadAfter}
	d.heartbeat = newHeartbeat(info, cfg.Heartbeat, store, d.scheduler, logs, hearing, log)
	d.readiness = &readiness{redis: config.RedisAt(cfg.RedisURL), probe: store.Probe, unread: registry.Problem, log: log}
	series := metrics.New(metrics.Sources{
		Version: info.Version, Scheduler: d.scheduler, Store: all, Notices: alerts.notifier.Counters(),
		Subscriptions: func() []string { return registry.Snapshot().IDs() },
		Peers:         d.heartbeat.peers.Load, Ready: d.readiness.check, DataLog: d.dataLog.out, OwnLog: o.OwnLog,
	})
	times := &timesWriter{store: all}
	recorder := &recorder{dispatcher: info.ID, messages: cfg.History, store: all, log: log}
	lastCopies := newLastCopies(d.dataLog, store, registry, log)
	pauser := newPauser(info.ID, registry, alerts.events, log)
	*pushed = pushEvents{
		sentLog: cfg.SentLog, dataLog: d.dataLog, lastCopies: lastCopies, times: times, metrics: series,
		recorder: recorder, alerts: alerts.events, pauser: pauser, heartbeat: d.heartbeat,
	}

	ringer := &streams.Ringer{Store: store, Alone: d.heartbeat.alone}
	routed := &fanoutEvents{
		scheduler: d.scheduler, ringer: ringer, metrics: series, recorder: recorder, tracer: tracer,
		dataLog: d.dataLog, lastCopies: lastCopies, log: log,
	}
	var fanouts []*streams.FanoutWorker
	for p := range cfg.Partitions {
		wake := make(chan time.Time, 64)
		routed.wakes = append(routed.wakes, wake)
		delayed := &streams.DelayWorker{Store: store, Partition: p, Log: log, Wake: wake}
		d.taking = append(d.taking, delayed.Run)
		for range cfg.FanoutWorkers {
			w := &streams.FanoutWorker{Store: store, Registry: registry, Partition: p, MaxBody: int64(cfg.MaxBody), Log: log, Events: routed.hooks()}
			fanouts = append(fanouts, w)
			d.taking = append(d.taking, w.Run)
		}
	}
	d.taking = append(d.taking, d.scheduler.Run)

	vanished := &vanished{version: info.Version, partitions: cfg.Partitions, store: store, registry: registry, counter: series, log: log}
	healer := &healer{
		info: info, partitions: cfg.Partitions, store: store, registry: registry, scheduler: d.scheduler, fanouts: fanouts,
		hearing: hearing, vanished: vanished, unowned: series, alerts: alerts.events, log: log,
		kickFails: &kickFails{store: store, dataLog: d.dataLog, log: log},
	}
	files := &fileLimit{fanoutReads: len(fanouts), log: log}
	follower := &follower{
		registry: registry, vanished: vanished, log: log,
		apply: []func(map[string]medispatcher.Subscription){series.Apply, d.scheduler.Apply, files.apply},
	}
	hints := streams.Hints{Changed: registry.Poke, Ready: d.scheduler.Ring, Due: d.scheduler.RingDue}
	d.staying = []loop{d.heartbeat.Run, d.readiness.Run, logs.Run, lastCopies.Run, pauser.Run}
	d.working = []loop{
		registry.Follow, follower.Run, ringer.Run, func(ctx context.Context) error { return store.Listen(ctx, hints) },
		healer.Run, times.Run, recorder.Run, parked.Run, alerts.monitor.Run, alerts.events.Run, alerts.notifier.Run,
	}

	d.handler = panel.New(panel.Config{
		Token: cfg.AdminToken, MaxBody: int64(cfg.MaxBody), Version: info.Version, Rules: cfg.Rules(),
	}, panel.Deps{
		Registry: registry, Store: all, Kicker: kicker{cfg.Partitions, store, hearing, log},
		Alerts: alertBook{all, registry, alerts.notifier, info}, Kept: keptBook{store, registry, cfg},
		Router: func() *medispatcher.Router { return registry.Snapshot().Router },
		Ready:  d.readiness.check, Metrics: series.Handler(), Log: log,
	})
	return nil
}

func (d *Daemon) newScheduler(events push.Events, tracer *tracer) *push.Scheduler {
	transport := http1.New(http1.Options{
		MaxIdlePerHost: d.cfg.MaxConcurrency + d.cfg.MaxRetryConcurrency,
		MaxIdle:        min(maxIdleConns, OpenFiles()/2),
		DialTimeout:    d.cfg.MaxTimeout,
		Guard:          d.cfg.Guard(),
		Log:            d.log,
	})
	d.onClose(func() error { transport.Close(); return nil })
	pushing := push.Config{
		MaxInflight: int64(limitMemory(d.cfg, d.log).bodies), MaxBody: int64(d.cfg.MaxBody),
		Partitions: d.cfg.Partitions, Env: d.cfg.Env, UserAgent: "medispatcher/" + d.info.Version,
		Transport: transport, Log: d.log, ShutdownTimeout: d.cfg.ShutdownTimeout, Events: events,
	}
	if tracer != nil {
		pushing.Tracer = tracer
	}
	return push.New(pushing, d.store, d.store)
}
