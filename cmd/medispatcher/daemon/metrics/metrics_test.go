package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

// TestLatencyIsNeverNegative: a producer whose clock is ahead does not make a sum fall.
func TestLatencyIsNeverNegative(t *testing.T) {
	m, now := New(Sources{Most: 10_000}), time.Now()
	delivery := &medispatcher.Delivery{Message: medispatcher.Message{Time: now.Add(time.Hour)}}
	delivery.Subscription = "a"
	m.Apply(medispatcher.NewSubscriptions(medispatcher.Subscription{ID: "a"}).Since(nil))
	m.Settled(delivery, &medispatcher.Settlement{Outcome: medispatcher.Sent}, now)
	var got dto.Metric
	if err := m.latency.WithLabelValues("a").(prometheus.Histogram).Write(&got); err != nil {
		t.Fatal(err)
	}
	if h := got.GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() != 0 {
		t.Errorf("%v", h)
	}
}

// TestScrapeWaitsForRedisLessThanPrometheusDoes: a scrape that times out tells nothing, not even that Redis is away.
func TestScrapeWaitsForRedisLessThanPrometheusDoes(t *testing.T) {
	for timeout, want := range map[string]time.Duration{
		"": collectWithin, "x": collectWithin, "-1": collectWithin, "0": collectWithin, "NaN": collectWithin,
		"60": collectWithin, "1e300": collectWithin, "2": time.Second, "0.5": 250 * time.Millisecond,
	} {
		if got := collectTime(timeout); got != want {
			t.Errorf("%q: %s, want %s", timeout, got, want)
		}
	}
}

// TestSeriesFollowSubscriptions: however many topics producers invent and however many subscriptions there were,
// each subscription in force has series of its own, and one that was removed has none.
func TestSeriesFollowSubscriptions(t *testing.T) {
	m := New(Sources{Most: 10_000})
	registry := prometheus.NewRegistry() // that of m reads its sources as well
	registry.MustRegister(m.received, m.attempts, m.took, m.latency, m.batches)
	series := func() (text string) {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, s := range f.GetMetric() {
				for _, l := range s.GetLabel() {
					if l.GetName() == "subscription" || l.GetName() == "topic" {
						text += f.GetName() + " " + l.GetValue() + "\n"
					}
				}
			}
		}
		return text
	}
	settle := func(sub string) {
		m.Settled(&medispatcher.Delivery{Channel: medispatcher.Channel{Subscription: sub}}, &medispatcher.Settlement{Took: 1}, time.Now())
		m.Batch(sub, 2)
	}
	var list []medispatcher.Subscription
	for i := range 2000 {
		m.Routed(fmt.Sprint("topic", i), streams.RoutedUnroutable)
		list = append(list, medispatcher.Subscription{ID: fmt.Sprint("s", i)})
	}
	subs := medispatcher.NewSubscriptions(list...)
	m.Apply(subs.Since(nil))
	for sub := range subs.All() {
		settle(sub.ID)
	}
	more := subs.With([]*medispatcher.Subscription{{ID: "new"}}, nil)
	m.Apply(more.Since(subs))
	settle("new")
	text := series()
	if !strings.Contains(text, "attempts_total new\n") || !strings.Contains(text, "duration_seconds ~other\n") || !strings.Contains(text, "received_total ~other\n") {
		t.Error("no series of a subscription that is new, or none for the rest of topics and histograms")
	}
	if n := strings.Count(text, "received_total "); n != maxTopics+1 {
		t.Errorf("%d topics have series", n)
	}

	m.Apply(more.With(nil, subs.IDs()).Since(more))
	settle("s1") // it was in flight
	settle("new")
	for line := range strings.Lines(series()) {
		if strings.Contains(line, " s") {
			t.Errorf("of a removed subscription: %s", line)
		}
	}
	if !strings.Contains(series(), "duration_seconds new\n") {
		t.Error("removed subscriptions make no room")
	}
}

// TestListedSubscriptions: however many subscriptions there are, a scrape has gauges for so many, and none of their messages is left out.
func TestListedSubscriptions(t *testing.T) {
	var subs []medispatcher.ChannelStatus
	for i := range 100 {
		subs = append(subs, medispatcher.ChannelStatus{ID: fmt.Sprint("s", i)})
	}
	if own, other := listed(subs, 100); len(own) != 100 || other.ID != "" {
		t.Errorf("of few, %d have gauges, and %q", len(own), other.ID)
	}
	subs[50].Ready, subs[60].Dead, subs[70].Buried, subs[70].OldestMS = 5, 1, 3, 9
	own, other := listed(subs, 99)
	if len(own) != 3 || own[0].ID != "s50" || own[1].ID != "s60" || other.Ready+other.Buried+other.Dead != 0 {
		t.Errorf("of many: %v and %+v", own, other)
	}
	own, other = listed(subs, 1)
	if len(own) != 1 || own[0].ID != "s50" || other.ID != otherLabel || other.Dead != 1 || other.Buried != 3 || other.OldestMS != 9 {
		t.Errorf("of many that hold messages: %v and %+v", own, other)
	}
}

// TestCountersAreBounded: the first subscriptions have counters of their own, and one that is removed makes room.
func TestCountersAreBounded(t *testing.T) {
	m := New(Sources{Most: 2})
	subs := medispatcher.NewSubscriptions(medispatcher.Subscription{ID: "a"}, medispatcher.Subscription{ID: "b"}, medispatcher.Subscription{ID: "c"})
	m.Apply(subs.Since(nil))
	for _, id := range []string{"a", "b", "c", "c"} {
		m.Filtered(id, streams.FilterCounts{Failed: 1})
		m.Vanished(id, 1)
		m.Settled(&medispatcher.Delivery{Channel: medispatcher.Channel{Subscription: id}}, &medispatcher.Settlement{Outcome: medispatcher.Sent, Took: 1}, time.Now())
	}
	count := func(sub string) float64 {
		var got dto.Metric
		if err := m.attempts.WithLabelValues(sub, medispatcher.Sent.String()).Write(&got); err != nil {
			t.Fatal(err)
		}
		return got.GetCounter().GetValue()
	}
	if count("a") != 1 || count("b") != 1 || count(otherLabel) != 2 {
		t.Errorf("a %v, b %v, others %v", count("a"), count("b"), count(otherLabel))
	}
	m.Apply(subs.With(nil, []string{"a"}).Since(subs))
	m.Settled(&medispatcher.Delivery{Channel: medispatcher.Channel{Subscription: "c"}}, &medispatcher.Settlement{Outcome: medispatcher.Sent, Took: 1}, time.Now())
	if count("c") != 1 {
		t.Errorf("c has %v of its own after a was removed", count("c"))
	}
}
