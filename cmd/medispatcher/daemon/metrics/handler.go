package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves /metrics.
func (m *Metrics) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A registry gives its collectors no context. So each scrape has a collector of its own, with a deadline.
		state := prometheus.NewRegistry()
		state.MustRegister(newStateCollector(&m.from, collectTime(r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"))))
		promhttp.HandlerFor(prometheus.Gatherers{m.registry, state}, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
	})
}

// collectTime is how long a scrape may wait for Redis, if Prometheus waits for the scrape for so many seconds. It is
// half of that, so that the answer arrives in time.
func collectTime(seconds string) time.Duration {
	if s, err := strconv.ParseFloat(seconds, 64); err == nil && s > 0 && s < 2*collectWithin.Seconds() {
		return time.Duration(s / 2 * float64(time.Second))
	}
	return collectWithin
}
