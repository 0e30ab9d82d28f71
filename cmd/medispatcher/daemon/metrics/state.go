package metrics

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// stateCollector reads gauges from Redis.
type stateCollector struct {
	from                                       *Sources
	within                                     time.Duration
	up, messages, oldest, incoming, incomingAt *prometheus.Desc
	dispatchers, breaker, alerts, share        *prometheus.Desc
	subscriptions, unlisted                    *prometheus.Desc
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
		subscriptions: desc("subscriptions", "Subscriptions in force in this dispatcher."),
		unlisted:      desc("channels_unlisted", "Subscriptions without gauges of their own, because there are more than MEDIS_METRICS_SUBSCRIPTIONS."),
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
	for _, d := range []*prometheus.Desc{c.up, c.messages, c.oldest, c.incoming, c.incomingAt, c.dispatchers, c.breaker, c.alerts, c.archived, c.archivedBytes, c.archivedAt, c.share, c.subscriptions, c.unlisted} {
		ch <- d
	}
}

// Collect is part of prometheus.Collector.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for i, b := range c.from.Scheduler.Held() {
		if i == c.from.Most {
			gauge(c.breaker, 1, otherLabel)
			break
		}
		gauge(c.breaker, 1, b.Subscription)
	}
	shares := c.from.Scheduler.Shares()
	for _, id := range first(slices.Sorted(maps.Keys(shares)), c.from.Most) {
		gauge(c.share, float64(shares[id].Pushes), id, "push")
		gauge(c.share, float64(shares[id].Retries), id, "retry")
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
	own, other := listed(subs, c.from.Most)
	gauge(c.subscriptions, float64(len(subs)))
	gauge(c.unlisted, float64(len(subs)-len(own)))
	if operate.Busy(&other) {
		own = append(own, other)
	}
	for _, s := range own {
		for state, n := range map[string]int64{"ready": s.Ready, "waiting": s.Waiting, "buried": s.Buried, "retrying": s.Retrying, "dead": s.Dead} {
			gauge(c.messages, float64(n), s.ID, state)
		}
		gauge(c.oldest, float64(s.OldestMS)/1000, s.ID)
	}
}

// listed are the subscriptions that have gauges of their own, and the others together. Of more than most, those that hold nothing
// have none, and if there are still more, those with the fewest messages.
func listed(subs []medispatcher.ChannelStatus, most int) (own []medispatcher.ChannelStatus, other medispatcher.ChannelStatus) {
	if len(subs) <= most {
		return subs, other
	}
	var busy []medispatcher.ChannelStatus
	for i := range subs {
		if operate.Busy(&subs[i]) {
			busy = append(busy, subs[i])
		}
	}
	if len(busy) > most {
		slices.SortStableFunc(busy, func(x, y medispatcher.ChannelStatus) int {
			return cmp.Compare(y.Ready+y.Buried+y.Dead, x.Ready+x.Buried+x.Dead)
		})
	}
	other.ID = otherLabel
	own = first(busy, most)
	for _, c := range busy[len(own):] {
		other.Ready, other.Waiting, other.Buried = other.Ready+c.Ready, other.Waiting+c.Waiting, other.Buried+c.Buried
		other.Retrying, other.Dead = other.Retrying+c.Retrying, other.Dead+c.Dead
		other.OldestMS = max(other.OldestMS, c.OldestMS)
	}
	return own, other
}

func first[T any](list []T, most int) []T { return slices.Clip(list[:min(most, len(list))]) }

func (c *stateCollector) read(ctx context.Context) (subs []medispatcher.ChannelStatus, in medispatcher.IncomingStatus, err error) {
	if in, err = c.from.Store.IncomingStatus(ctx); err != nil {
		return nil, in, err
	}
	subs, err = c.from.Store.ChannelStatus(ctx, c.from.Subscriptions())
	return subs, in, err
}
