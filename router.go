package medispatcher

import (
	"slices"
	"strings"
	"sync"
)

// maxRoutes bounds the memory of a router against producers that make up topics.
const maxRoutes = 10_000

// Router finds the subscriptions of a topic. A new one is made for every set of
// subscriptions and is safe for concurrent use.
type Router struct {
	exact    map[string][]string
	patterns []route

	mu    sync.RWMutex
	known map[string][]string
	near  map[string]string // by topics that nobody wants
}

type route struct {
	pattern, id string
	bench       bool // receive_bench
}

// NewRouter makes a router for valid subscriptions.
func NewRouter(subs []Subscription) *Router {
	r := &Router{exact: map[string][]string{}, known: map[string][]string{}, near: map[string]string{}}
	for _, s := range subs {
		if strings.ContainsAny(s.Topic, "*>") {
			r.patterns = append(r.patterns, route{s.Topic, s.ID, s.ReceiveBench})
		} else {
			r.exact[s.Topic] = append(r.exact[s.Topic], s.ID)
		}
	}
	for _, ids := range r.exact {
		slices.Sort(ids)
	}
	return r
}

// Route returns the sorted ids of the subscriptions that want a valid topic. The caller
// must not change the slice.
func (r *Router) Route(topic string) []string {
	if len(r.patterns) == 0 {
		return r.exact[topic]
	}
	r.mu.RLock()
	ids, ok := r.known[topic]
	r.mu.RUnlock()
	if ok {
		return ids
	}
	ids = slices.Clone(r.exact[topic])
	for _, p := range r.patterns {
		if wants(p.pattern, p.bench, topic) {
			ids = append(ids, p.id)
		}
	}
	slices.Sort(ids)
	r.mu.Lock()
	if len(r.known) >= maxRoutes {
		clear(r.known)
	}
	r.known[topic] = ids
	r.mu.Unlock()
	return ids
}

// wants reports whether a subscription's pattern covers a topic. Topics of load tests need more, so
// that a load test does not flood every catch-all subscription.
func wants(pattern string, receiveBench bool, topic string) bool {
	return matchTopic(pattern, topic) && (receiveBench || !isBench(topic) || strings.HasPrefix(pattern, benchLevel+"."))
}

// Wants reports whether a valid subscription gets the messages of a valid topic.
func (s *Subscription) Wants(topic string) bool { return wants(s.Topic, s.ReceiveBench, topic) }
