package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

const (
	// maxTopics bounds the topics that have series of their own: producers may invent any number. The first ones get them.
	maxTopics = 1000
	// maxHistograms bounds the subscriptions that have histograms of their own, about 35 series each.
	maxHistograms = 1000
	// otherLabel is the value of the label for all others.
	otherLabel = "~other"
)

// labels are the values of a label that have series of their own. The mutex of Metrics guards them.
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

// Routed counts an incoming entry.
func (m *Metrics) Routed(topic string, result streams.RoutedResult) {
	if result == streams.RoutedQuarantined {
		topic = "" // it may be anything
	}
	m.mu.Lock()
	topic = m.topics.of(topic, maxTopics)
	m.mu.Unlock()
	m.received.WithLabelValues(topic, string(result)).Inc()
}

// Settled counts an attempt that ended.
func (m *Metrics) Settled(d *medispatcher.Delivery, s *medispatcher.Settlement, now time.Time) {
	attempts, took, latency := m.seriesOf(d.Subscription, s.Outcome)
	attempts.Inc()
	if s.Took > 0 {
		took.Observe(s.Took.Seconds())
	}
	if s.Outcome == medispatcher.Sent {
		// A producer's clock may be ahead; a sum that falls would look like a restart.
		latency.Observe(max(0, now.Sub(d.Message.Time).Seconds()))
	}
}

// series are those of one subscription that its attempts change. Looking them up anew costs more than to count. What is
// counted after Apply removed them is seen by nobody.
type series struct {
	attempts      [medispatcher.Released + 1]prometheus.Counter // by outcome
	took, latency prometheus.Observer                           // nil: there is no room for histograms of its own
}

func (m *Metrics) seriesOf(sub string, outcome medispatcher.Outcome) (attempts prometheus.Counter, took, latency prometheus.Observer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if sub = m.labelLocked(sub); sub == otherLabel {
		return m.attempts.WithLabelValues(sub, outcome.String()), m.took.WithLabelValues(sub), m.latency.WithLabelValues(sub)
	}
	own := m.inForce[sub]
	if own == nil {
		own = &series{}
		m.inForce[sub] = own
	}
	if own.attempts[outcome] == nil {
		own.attempts[outcome] = m.attempts.WithLabelValues(sub, outcome.String())
	}
	if own.took != nil {
		return own.attempts[outcome], own.took, own.latency
	}
	timed := m.histograms.of(sub, maxHistograms)
	took, latency = m.took.WithLabelValues(timed), m.latency.WithLabelValues(timed)
	if timed == sub {
		own.took, own.latency = took, latency
	}
	return own.attempts[outcome], took, latency
}

// labelLocked is the label of a subscription: its id if it is in force and among the first from.Most that were counted.
func (m *Metrics) labelLocked(sub string) string {
	if _, inForce := m.inForce[sub]; !inForce {
		return otherLabel
	}
	return m.counted.of(sub, m.from.Most)
}

// Batch counts a batch that was pushed.
func (m *Metrics) Batch(sub string, messages int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if sub = m.labelLocked(sub); sub != otherLabel {
		sub = m.histograms.of(sub, maxHistograms)
	}
	m.batches.WithLabelValues(sub).Observe(float64(messages))
}

// Apply makes room for new subscriptions, and removes the series of those that were removed.
func (m *Metrics) Apply(changes []medispatcher.SubscriptionChange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range changes {
		id := c.ID()
		if c.Now != nil {
			if _, there := m.inForce[id]; !there {
				m.inForce[id] = nil
			}
			continue
		}
		delete(m.inForce, id)
		delete(m.histograms, id)
		delete(m.counted, id)
		for _, vec := range []interface {
			DeletePartialMatch(labels prometheus.Labels) int
		}{m.attempts, m.took, m.latency, m.batches, m.filtered} {
			vec.DeletePartialMatch(prometheus.Labels{"subscription": id})
		}
		m.vanished.DeleteLabelValues(id)
		m.unowned.DeleteLabelValues(id)
	}
}

// Vanished counts messages that somebody took out of Redis by hand.
func (m *Metrics) Vanished(from string, n int64) { m.add(m.vanished, from, n) }

// Unowned counts messages that nobody owned and this dispatcher gave back.
func (m *Metrics) Unowned(from string, n int64) { m.add(m.unowned, from, n) }

// Filtered counts what the filter of a subscription did.
func (m *Metrics) Filtered(sub string, c streams.FilterCounts) {
	m.mu.Lock()
	defer m.mu.Unlock() // to the end: as in add
	sub = m.labelLocked(sub)
	for result, n := range map[string]int64{"filtered": c.Filtered, "failed": c.Failed} {
		if n > 0 {
			m.filtered.WithLabelValues(sub, result).Add(float64(n))
		}
	}
}

// Short counts an attempt that this machine could not make because it was short of something.
func (m *Metrics) Short(of string) { m.shortages.WithLabelValues(of).Inc() }

func (m *Metrics) add(c *prometheus.CounterVec, from string, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock() // to the end: a series that Apply removes meanwhile must not come back
	if !strings.HasPrefix(from, "~") {
		from = m.labelLocked(from)
	}
	c.WithLabelValues(from).Add(float64(n))
}
