// Package metrics has the metrics of a dispatcher for Prometheus. docs/METRICS.md lists them.
//
// Counters and histograms are of this dispatcher. The gauges of channels are read from Redis for each scrape, so they
// are the same on every dispatcher. Only the daemon imports this package.
package metrics

import (
	"context"
	"runtime"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
	"github.com/solate/medispatcher/cmd/medispatcher/outlet"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/streams"
)

// Sources are where a scrape reads the gauges, and the counters that others keep.
type Sources struct {
	Version       string
	Scheduler     Scheduler
	Store         Store
	Subscriptions func() []string // ids
	Most          int             // subscriptions that have series of their own: MEDIS_METRICS_SUBSCRIPTIONS
	Peers         func() int64    // other dispatchers that are alive
	Ready         func() error
	Notices       *alert.Counters
	DataLog       *outlet.Outlet
	OwnLog        *outlet.Outlet // nil: there is none
}

// Scheduler is what is under way.
type Scheduler interface {
	Inflight() int
	Bodies() (bytes, limit int64)
	Held() []medispatcher.Breaker
	Shares() map[string]medispatcher.Share
}

// Store counts what is in Redis.
type Store interface {
	IncomingStatus(ctx context.Context) (medispatcher.IncomingStatus, error)
	ChannelStatus(ctx context.Context, ids []string) ([]medispatcher.ChannelStatus, error)
	Alerts(ctx context.Context) (medispatcher.Alerts, error)
}

// Metrics are the series of this dispatcher.
type Metrics struct {
	from     Sources
	registry *prometheus.Registry
	received *prometheus.CounterVec
	attempts *prometheus.CounterVec
	took     *prometheus.HistogramVec
	latency  *prometheus.HistogramVec
	batches  *prometheus.HistogramVec
	// shortages counts attempts that this machine could not make.
	shortages *prometheus.CounterVec
	vanished  *prometheus.CounterVec
	unowned   *prometheus.CounterVec
	filtered  *prometheus.CounterVec

	mu         sync.Mutex
	topics     labels
	histograms labels             // subscriptions
	counted    labels             // subscriptions whose counters are their own
	inForce    map[string]*series // subscriptions; others have no series of their own. nil: not used yet
}

// New makes the series. from is read at each scrape, and not before.
func New(from Sources) *Metrics {
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	m := &Metrics{
		from:       from,
		topics:     labels{},
		histograms: labels{},
		counted:    labels{},
		inForce:    map[string]*series{},
		registry:   prometheus.NewRegistry(),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "medispatcher_messages_received_total",
			Help: "Incoming entries this dispatcher took, by topic and by what became of them: copied, filtered (every filter refused it), unroutable, duplicate, quarantined, delayed, vanished (deleted by hand), gone (another dispatcher has them).",
		}, []string{"topic", "result"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "medispatcher_attempts_total",
			Help: "Attempts of this dispatcher that ended, by what became of their message: sent, failed (tried again), dead, dropped, released.",
		}, []string{"subscription", "outcome"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "medispatcher_attempt_duration_seconds", Help: "How long workers took to answer, failures included.", Buckets: seconds,
		}, []string{"subscription"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "medispatcher_delivery_latency_seconds", Help: "From the time of a message to its delivery; its delay and its retries are part of it.",
			Buckets: append(seconds, 60, 300, 1800, 7200),
		}, []string{"subscription"}),
		batches: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "medispatcher_batch_messages", Help: "How many messages the batches of this dispatcher had, for subscriptions with batches.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000},
		}, []string{"subscription"}),
		shortages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "medispatcher_shortages_total",
			Help: "Attempts of this dispatcher that were put off, uncounted, because its machine was short of file descriptors, local ports or memory.",
		}, []string{"of"}),
	}
	m.vanished = fromCounter("vanished", "Messages that this dispatcher found gone: somebody took them out of Redis by hand (XDEL, XTRIM, DEL). By where they were: a subscription, ~incoming, ~delayed.")
	m.unowned = fromCounter("unowned", "Messages that nobody owned and that this dispatcher gave back: a command typed by hand took them from their owner (XACK, XGROUP). By where they were: a subscription, ~incoming.")
	m.filtered = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "medispatcher_messages_filtered_total",
		Help: "Messages of its topic that the filter of a subscription refused (filtered), or at which it failed, so that they were copied (failed).",
	}, []string{"subscription", "result"})
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "medispatcher_build_info", Help: "1; the labels hold the version.",
		ConstLabels: prometheus.Labels{"version": from.Version, "goversion": runtime.Version()},
	})
	info.Set(1)
	for _, what := range push.Lacks {
		m.shortages.WithLabelValues(what)
	}
	m.registry.MustRegister(
		m.received, m.attempts, m.took, m.latency, m.batches, m.shortages, m.vanished, m.unowned, m.filtered, info, newLogsCollector(from.DataLog, from.OwnLog),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "medispatcher_in_flight", Help: "Requests that this dispatcher has under way, and outcomes that it has not written to Redis yet.",
		}, func() float64 { return float64(from.Scheduler.Inflight()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "medispatcher_panics_total", Help: "Panics that this dispatcher survived, each at one message, entry, request or notice. Each is a defect: the log has its stack.",
		}, func() float64 { return float64(medispatcher.Panics()) }),
		bodiesGauge("bytes", "Bytes of message bodies that this dispatcher holds or is about to read.", func() int64 { held, _ := from.Scheduler.Bodies(); return held }),
		bodiesGauge("limit_bytes", "Bytes of message bodies that this dispatcher may hold: MEDIS_MAX_INFLIGHT.", func() int64 { _, limit := from.Scheduler.Bodies(); return limit }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "medispatcher_ready", Help: "1 while this dispatcher can work, as /readyz says.",
		}, func() float64 { return oneIf(from.Ready() == nil) }),
		noticeCounter("sent", "Notices of alerts that reached one of their receivers.", from.Notices, func(c *alert.Counters) int64 { return c.Sent.Load() }),
		noticeCounter("failed", "Notices that could not be sent to a receiver; each try counts.", from.Notices, func(c *alert.Counters) int64 { return c.Failed.Load() }),
		noticeCounter("unsent", "Notices of alerts that were given up, or had no receiver.", from.Notices, func(c *alert.Counters) int64 { return c.Unsent.Load() }),
	)
	return m
}

func bodiesGauge(name, help string, read func() int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "medispatcher_in_flight_" + name, Help: help}, func() float64 { return float64(read()) })
}

// fromCounter counts messages by where they were.
func fromCounter(what, help string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "medispatcher_messages_" + what + "_total", Help: help}, []string{"from"})
	c.WithLabelValues(streams.FromIncoming) // so that an increase from nothing is seen
	return c
}

func noticeCounter(name, help string, c *alert.Counters, read func(*alert.Counters) int64) prometheus.Collector {
	opts := prometheus.CounterOpts{Name: "medispatcher_alert_notices_" + name + "_total", Help: help}
	return prometheus.NewCounterFunc(opts, func() float64 { return float64(read(c)) })
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
