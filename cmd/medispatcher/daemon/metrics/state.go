package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/solate/medispatcher"
)

// stateCollector reads gauges from Redis.
type stateCollector struct {
	from                                       *Sources
	within                                     time.Duration
	up, messages, oldest, incoming, incomingAt *prometheus.Desc
	dispatchers, breaker, alerts, share        *prometheus.Desc
	archived, archivedBytes, archivedAt        *prometheus.Desc
}

// collectWithin bounds what a scrape waits for Redis, whatever Prometheus allows.
const collectWithin = 5 * time.Second

func newStateCollector(from *Sources, within time.Duration) *stateCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("medispatcher_"+name, help, labels, nil)
	}
	return &stateCollector{
		from:          from,
		within:        within,
		up:            desc("redis_up", "1 if Redis answered everything that this scrape asked."),
		messages:      desc("channel_messages", "Messages of a subscription, over all partitions: ready (waiting included), waiting behind others of their key, buried (retrying included), retrying, dead.", "subscription", "state"),
		oldest:        desc("channel_oldest_age_seconds", "Age of a subscription's oldest message that is not settled.", "subscription"),
		incoming:      desc("incoming_messages", "Messages before their fan-out: ready, buried, delayed, and kept for an operator: quarantine, unrouted.", "state"),
		incomingAt:    desc("incoming_oldest_age_seconds", "Age of the oldest message before its fan-out."),
		archived:      desc("archive_messages", "Messages in the archive, over all partitions."),
		archivedBytes: desc("archive_bytes", "Bytes of messages in the archive, over all partitions."),
		archivedAt:    desc("archive_oldest_age_seconds", "Age of the oldest message in the archive."),
		dispatchers:   desc("dispatchers", "Dispatchers that are alive on this Redis."),
		alerts:        desc("alerts_firing", "Alerts that fire now, by rule.", "rule"),
		share:         desc("share", "Pushes and retries that this dispatcher may have in flight of a subscription whose scope is the cluster.", "subscription", "kind"),
		breaker:       desc("breaker_open", "1 while this dispatcher holds a subscription back because its worker is down.", "subscription"),
	}
}

// Describe is part of prometheus.Collector.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.messages, c.oldest, c.incoming, c.incomingAt, c.dispatchers, c.breaker, c.alerts, c.archived, c.archivedBytes, c.archivedAt, c.share} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, b := range c.from.Scheduler.Held() {
		gauge(c.breaker, 1, b.Subscription)
	}
	for id, s := range c.from.Scheduler.Shares() {
		gauge(c.share, float64(s.Pushes), id, "push")
		gauge(c.share, float64(s.Retries), id, "retry")
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.within)
	defer cancel()
	subs, in, err := c.read(ctx)
	var alerts medispatcher.Alerts
	if err == nil {
		alerts, err = c.from.Store.Alerts(ctx)
	}
	gauge(c.up, oneIf(err == nil))
	gauge(c.dispatchers, float64(c.from.Peers()+1))
	if err != nil {
		return
	}
	for state, n := range map[string]int64{"ready": in.Ready, "buried": in.Buried, "delayed": in.Delayed, "quarantine": in.Quarantine, "unrouted": in.Unrouted} {
		gauge(c.incoming, float64(n), state)
	}
	if a := in.Archive; a != nil {
		gauge(c.archived, float64(a.Messages))
		gauge(c.archivedBytes, float64(a.Bytes))
		if !a.Oldest.IsZero() {
			gauge(c.archivedAt, time.Since(a.Oldest).Seconds())
		}
	}
	firing := map[string]int{}
	for _, f := range alerts.Firing {
		firing[string(f.Rule)]++
	}
	for rule, n := range firing {
		gauge(c.alerts, float64(n), rule)
	}
	gauge(c.incomingAt, float64(in.OldestMS)/1000)
	for _, s := range subs {
		for state, n := range map[string]int64{"ready": s.Ready, "waiting": s.Waiting, "buried": s.Buried, "retrying": s.Retrying, "dead": s.Dead} {
			gauge(c.messages, float64(n), s.ID, state)
		}
		gauge(c.oldest, float64(s.OldestMS)/1000, s.ID)
	}
}

func (c *stateCollector) read(ctx context.Context) (subs []medispatcher.ChannelStatus, in medispatcher.IncomingStatus, err error) {
	if in, err = c.from.Store.IncomingStatus(ctx); err != nil {
		return nil, in, err
	}
	subs, err = c.from.Store.ChannelStatus(ctx, c.from.Subscriptions())
	return subs, in, err
}
