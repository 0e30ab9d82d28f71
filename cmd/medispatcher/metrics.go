package main

import (
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/streams"
)

// metrics are what this dispatcher tells Prometheus. Counters and histograms are its own;
// the gauges of channels are read from Redis when they are asked for, and every
// dispatcher tells the same.
type metrics struct {
	d        *daemon
	registry *prometheus.Registry
	received *prometheus.CounterVec
	attempts *prometheus.CounterVec
	took     *prometheus.HistogramVec
	latency  *prometheus.HistogramVec
	// shortages counts attempts that this machine could not make.
	shortages *prometheus.CounterVec
	vanished  *prometheus.CounterVec
	unowned   *prometheus.CounterVec

	mu         sync.Mutex
	topics     labels
	histograms labels          // subscriptions
	inForce    map[string]bool // subscriptions; others have no series of their own, or no more
}

const (
	// maxTopics bounds the topics that have series of their own, the first that come: producers make them up.
	maxTopics = 1000
	// maxHistograms bounds the subscriptions that have histograms of their own, some 35 series each.
	maxHistograms = 1000
	// otherLabel is what the others share.
	otherLabel = "~other"
)

// labels are the values of a label that have series of their own. Guarded by the mutex of metrics.
type labels map[string]bool

func (l labels) of(name string, most int) string {
	if !l[name] {
		if len(l) >= most {
			return otherLabel
		}
		l[name] = true
	}
	return name
}

func newMetrics(d *daemon) *metrics {
	seconds := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	m := &metrics{
		d:          d,
		topics:     labels{},
		histograms: labels{},
		registry:   prometheus.NewRegistry(),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "medispatcher_messages_received_total",
			Help: "Incoming entries this dispatcher took, by topic and by what became of them: copied, unroutable, duplicate, quarantined, delayed, vanished (deleted by hand), gone (another dispatcher has them).",
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
		shortages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "medispatcher_shortages_total",
			Help: "Attempts of this dispatcher that were put off, uncounted, because its machine was short of file descriptors, local ports or memory.",
		}, []string{"of"}),
	}
	m.vanished = fromCounter("vanished", "Messages that this dispatcher found gone: somebody took them out of Redis by hand (XDEL, XTRIM, DEL). By where from: a subscription, ~incoming, ~delayed.")
	m.unowned = fromCounter("unowned", "Messages that nobody owned and this dispatcher gave back: a command typed by hand took them from their owner (XACK, XGROUP). By where they were: a subscription, ~incoming.")
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "medispatcher_build_info", Help: "1; the version stands in the labels.",
		ConstLabels: prometheus.Labels{"version": d.info.Version, "goversion": runtime.Version()},
	})
	info.Set(1)
	for _, what := range push.Lacks {
		m.shortages.WithLabelValues(what)
	}
	m.registry.MustRegister(
		m.received, m.attempts, m.took, m.latency, m.shortages, m.vanished, m.unowned, info, newLogsCollector(d),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "medispatcher_in_flight", Help: "Requests of this dispatcher under way, and outcomes that Redis does not have yet.",
		}, func() float64 { return float64(d.scheduler.Inflight()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "medispatcher_panics_total", Help: "Panics of medispatcher at one message, entry, request or notice, which it survived. Each is a defect: its log has the stack.",
		}, func() float64 { return float64(medispatcher.Panics()) }),
		bodiesGauge("bytes", "Bytes of message bodies that this dispatcher holds or is about to read.", func() int64 { held, _ := d.scheduler.Bodies(); return held }),
		bodiesGauge("limit_bytes", "Bytes of message bodies that this dispatcher may hold: MEDIS_MAX_INFLIGHT.", func() int64 { _, limit := d.scheduler.Bodies(); return limit }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "medispatcher_ready", Help: "1 while this dispatcher can work, as /readyz says.",
		}, func() float64 { return oneIf(d.ready.check() == nil) }),
		noticeCounter("sent", "Notices of alerts that reached one of their receivers.", d, func(c *alert.Counters) int64 { return c.Sent.Load() }),
		noticeCounter("failed", "Tries at a receiver of a notice that failed.", d, func(c *alert.Counters) int64 { return c.Failed.Load() }),
		noticeCounter("unsent", "Notices of alerts that were given up, or had no receiver.", d, func(c *alert.Counters) int64 { return c.Unsent.Load() }),
	)
	return m
}

func bodiesGauge(name, help string, read func() int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "medispatcher_in_flight_" + name, Help: help}, func() float64 { return float64(read()) })
}

// fromCounter counts messages by where they were.
func fromCounter(what, help string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "medispatcher_messages_" + what + "_total", Help: help}, []string{"from"})
	c.WithLabelValues(fromIncoming) // so that an increase from nothing is seen
	return c
}

// add counts n messages of a place in one of those counters.
func (m *metrics) add(c *prometheus.CounterVec, from string, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock() // all of it: what was removed meanwhile must not come back
	if !strings.HasPrefix(from, "~") && !m.inForce[from] {
		from = otherLabel
	}
	c.WithLabelValues(from).Add(float64(n))
}

func noticeCounter(name, help string, d *daemon, read func(*alert.Counters) int64) prometheus.Collector {
	opts := prometheus.CounterOpts{Name: "medispatcher_alert_notices_" + name + "_total", Help: help}
	return prometheus.NewCounterFunc(opts, func() float64 { return float64(read(d.alerts.notifier.Counters())) })
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// routed counts an incoming entry.
func (m *metrics) routed(topic string, result streams.RoutedResult) {
	if result == streams.RoutedQuarantined {
		topic = "" // it may be anything
	}
	m.mu.Lock()
	topic = m.topics.of(topic, maxTopics)
	m.mu.Unlock()
	m.received.WithLabelValues(topic, string(result)).Inc()
}

// settled counts an attempt.
func (m *metrics) settled(d *medispatcher.Delivery, s *medispatcher.Settlement, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock() // all of it: what was removed meanwhile must not come back
	sub, timed := otherLabel, otherLabel
	if m.inForce[d.Subscription] {
		sub, timed = d.Subscription, m.histograms.of(d.Subscription, maxHistograms)
	}
	m.attempts.WithLabelValues(sub, s.Outcome.String()).Inc()
	if s.Took > 0 {
		m.took.WithLabelValues(timed).Observe(s.Took.Seconds())
	}
	if s.Outcome == medispatcher.Sent {
		// A producer's clock may be ahead; a sum that falls would look like a restart.
		m.latency.WithLabelValues(timed).Observe(max(0, now.Sub(d.Message.Time).Seconds()))
	}
}

// apply has the series of subscriptions that were removed go.
func (m *metrics) apply(subs map[string]medispatcher.Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.inForce
	m.inForce = make(map[string]bool, len(subs))
	for id := range subs {
		m.inForce[id] = true
		delete(was, id)
	}
	for id := range was {
		delete(m.histograms, id)
		for _, vec := range []interface {
			DeletePartialMatch(labels prometheus.Labels) int
		}{m.attempts, m.took, m.latency} {
			vec.DeletePartialMatch(prometheus.Labels{"subscription": id})
		}
		m.vanished.DeleteLabelValues(id)
		m.unowned.DeleteLabelValues(id)
	}
}

func (m *metrics) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A registry hands no context to its collectors, so the one with a deadline is made anew.
		state := prometheus.NewRegistry()
		state.MustRegister(newStateCollector(m.d, collectTime(r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"))))
		promhttp.HandlerFor(prometheus.Gatherers{m.registry, state}, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
	})
}

// collectTime is how long a scrape may wait for Redis when Prometheus waits for it so many
// seconds: half of that, so that what it tells then arrives.
func collectTime(seconds string) time.Duration {
	if s, err := strconv.ParseFloat(seconds, 64); err == nil && s > 0 && s < 2*collectWithin.Seconds() {
		return time.Duration(s / 2 * float64(time.Second))
	}
	return collectWithin
}
