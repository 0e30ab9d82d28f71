package daemon

import (
	"context"
	"slices"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon/metrics"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/internal/filter"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/streams"
)

// wire makes the duties and gives each what it needs.
func (d *Daemon) wire(ctx context.Context, o Options) error {
	cfg, info, registry, log := d.cfg, d.info, d.registry, d.log
	all, store := d.store, d.store.Store
	lists, err := newParked(cfg, info.ID, store, d.dataLog, log)
	if err != nil {
		return err
	}
	d.closers.add(lists.close)
	spans, err := newTracer(ctx, o.Getenv, info)
	if err != nil {
		return err
	}
	d.closers.add(spans.close)
	client, err := newClient(cfg, log)
	if err != nil {
		return err
	}
	d.closers.add(func() error { client.Close(); return nil })
	onPush := &pushEvents{} // filled in below: most of the duties that hear of the events need the scheduler
	ringer := streams.NewRinger(store)
	pushing := pushConfig(cfg, info, client, onPush, spans, log)
	others := func() int64 { return d.heartbeat.peers.Load() } // made below, and asked once Run runs
	pushing.Others = others
	d.scheduler = push.New(pushing, store, store)
	alerting, err := newAlerts(cfg, info, registry, all, d.scheduler, log)
	if err != nil {
		return err
	}

	logs := &logWatcher{data: d.dataLog.out, own: o.OwnLog, alerts: alerting.events}
	heard := &hearing{every: cfg.Heartbeat, deadAfter: cfg.DeadAfter}
	divides := newDivider(info, d.scheduler, func() *medispatcher.Subscriptions { return registry.Snapshot().Subs })
	d.closers.add(divides.close)
	ringer.Divide(divides.shares)
	d.heartbeat = newHeartbeat(info, cfg.Heartbeat, store, ringer, d.scheduler, logs, heard, divides, log)
	d.readiness = &readiness{redis: config.RedisAt(cfg.RedisURL), probe: store.Probe, unread: registry.Problem, read: registry.Read, log: log}
	series := metrics.New(metrics.Sources{
		Version: info.Version, Scheduler: d.scheduler, Store: all, Notices: alerting.notifier.Counters(),
		Subscriptions: func() []string { return registry.Snapshot().Subs.IDs() }, Most: cfg.MetricsSubscriptions,
		Peers: d.heartbeat.peers.Load, Ready: d.readiness.check, DataLog: d.dataLog.out, OwnLog: o.OwnLog,
	})
	took := &timesWriter{store: all}
	attempts := &deliveries{
		dispatcher: info.ID, subs: func() *medispatcher.Subscriptions { return registry.Snapshot().Subs }, peers: d.heartbeat.peers.Load, store: all,
	}
	judges := &filters{store: all, metrics: series, log: log}
	stories := &recorder{dispatcher: info.ID, messages: cfg.History, store: all, log: log}
	copies := newLastCopies(d.dataLog, store, registry, log)
	gone := newPauser(info.ID, registry, alerting.events, log)
	*onPush = pushEvents{
		sentLog: cfg.SentLog, dataLog: d.dataLog, lastCopies: copies, times: took, deliveries: attempts, metrics: series,
		recorder: stories, alerts: alerting.events, pauser: gone, heartbeat: d.heartbeat, ringer: ringer,
	}
	onFanout := &fanoutEvents{
		scheduler: d.scheduler, ringer: ringer, metrics: series, recorder: stories, tracer: spans, filters: judges,
		dataLog: d.dataLog, lastCopies: copies, log: log,
	}
	onFanout.lines = streams.NewLineWorker(store, registry, info.Partitions, onFanout.ready, log)
	store.OnNext(onFanout.ready)
	fanouts := d.addFanouts(onFanout)
	d.readiness.refused = func() error {
		for _, w := range fanouts {
			if err := w.Refused(); err != nil {
				return err
			}
		}
		return nil
	}
	taken := &vanished{version: info.Version, partitions: info.Partitions, store: store, registry: registry, counter: series, log: log}
	heals := &healer{
		info: info, partitions: info.Partitions, store: store, registry: registry, scheduler: d.scheduler, fanouts: fanouts,
		hearing: heard, vanished: taken, unowned: series, alerts: alerting.events, forgot: d.heartbeat.forgot, log: log,
		kickFails: &kickFails{store: store, dataLog: d.dataLog, log: log},
	}
	checks := &rechecker{partitions: info.Partitions, store: store, registry: registry, scheduler: d.scheduler, others: d.heartbeat.peers.Load, log: log}
	files := &fileLimit{fanoutReads: len(fanouts), log: log}
	follows := &follower{
		registry: registry, vanished: taken, log: log,
		apply: []func([]medispatcher.SubscriptionChange){series.Apply, d.scheduler.Apply, judges.apply, onFanout.lines.Apply, d.heartbeat.apply}, files: files,
	}
	hints := streams.Hints{
		Changed: registry.Poke, Ready: d.scheduler.Ring, Due: d.scheduler.RingDue, Free: ringer.Free,
		Rung: func(from string, channels []medispatcher.Channel) {
			ringer.Full(from, channels)
			d.scheduler.Ring(channels)
		},
		Listed: d.heartbeat.listed, Left: d.heartbeat.gone,
	}

	archives := newArchivist(cfg.Retention, store, registry, info.ID, log)
	count := &partitionWatcher{info: info, store: store, log: log}
	d.heartbeat.heard = append(d.heartbeat.heard, count.heard, onFanout.lines.Heard, archives.heard)
	folds := func(ctx context.Context) error { return store.FoldCounts(ctx, others) }
	d.staying = []loop{
		folds, took.Run, ringer.Run, attempts.Run, d.heartbeat.Run, d.readiness.Run, logs.Run, copies.Run, gone.Run, judges.Run, stories.Run,
		alerting.events.Run, taken.rest,
	}
	d.working = []loop{
		registry.Follow, follows.Run, func(ctx context.Context) error { return store.Listen(ctx, hints) },
		heals.Run, checks.Run, archives.Run, onFanout.lines.Run, lists.Run, alerting.monitor.Run, alerting.notifier.Run,
	}
	d.taking = append(d.taking, d.scheduler.Run)
	d.handler = panel.New(panel.Config{
		Tokens: cfg.AccessTokens(), Proxies: cfg.Proxies(), MaxBody: int64(cfg.MaxBody), Version: info.Version, BasePath: cfg.BasePath, Rules: filter.In(cfg.Rules()),
	}, panel.Deps{
		Registry: registry, Store: all, Kicker: kicker{store, heard, log},
		Alerts: alertBook{all, registry, alerting.notifier, info, cfg}, Kept: keptBook{store, registry, cfg}, Pusher: Pusher{Config: cfg, Client: client, Version: info.Version, tries: make(chan struct{}, triesAtOnce)}, Sessions: all,
		Archive: archiveBook{store, registry, archives},
		Router:  func() *medispatcher.Router { return registry.Snapshot().Router() },
		Ready:   d.readiness.check, Metrics: series.Handler(), Log: log,
	})
	return nil
}

// addFanouts makes the workers between publishing and the channels: those of the fan-out, and those that release delayed
// messages.
func (d *Daemon) addFanouts(on *fanoutEvents) (workers []*streams.FanoutWorker) {
	for _, group := range d.store.Together() {
		wake := make(chan streams.Delay, 64)
		on.wakes = append(on.wakes, slices.Repeat([]chan streams.Delay{wake}, len(group))...)
		delayed := &streams.DelayWorker{Store: d.store.Store, Partitions: group, Log: d.log, Wake: wake}
		d.taking = append(d.taking, delayed.Run)
	}
	for p := range d.info.Partitions {
		for range d.cfg.FanoutWorkers {
			w := &streams.FanoutWorker{
				Store: d.store.Store, Registry: d.registry, Partition: p, MaxBody: int64(d.cfg.MaxBody), Log: d.log, Events: on.hooks(),
			}
			workers = append(workers, w)
			d.taking = append(d.taking, w.Run)
		}
	}
	return workers
}
