package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

const metricsFile = "../../docs/METRICS.md"

// scrapedAll is what /metrics says when every metric has a series: messages were delivered, a subscription is held
// back, and an alert fires because of that.
func scrapedAll(t *testing.T) string {
	t.Helper()
	env := streamstest.Mini(t)
	w := newWorker(t)
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("medis-subscription") == "down" {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}
	r := startServe(t, []string{"MEDIS_REDIS_URL=" + env.URL}, "serve")
	for _, id := range []string{"up", "down"} {
		r.put(id, fmt.Sprintf(`{"topic":"t","urls":[%q],"retry_coefficient":"10ms"}`, w.URL))
	}
	r.put("batches", fmt.Sprintf(`{"topic":"t","urls":[%q],"batch":{"size":5}}`, w.URL))
	r.put("shared", `{"topic":"s","urls":["http://127.0.0.1:1/"],"scope":"cluster","concurrency":3}`)
	for range 20 {
		xadd(t, env, "topic", "t", "body", "x")
	}
	var text string
	eventually(t, "every metric", func() bool {
		_, text = r.call(http.MethodGet, "/metrics", "")
		for _, line := range []string{
			`medispatcher_breaker_open{subscription="down"} 1`, `medispatcher_alerts_firing{rule="breaker"} 1`,
			`medispatcher_attempts_total{outcome="sent",subscription="up"} 20`,
			`medispatcher_attempts_total{outcome="sent",subscription="batches"} 20`, `medispatcher_batch_messages_sum{subscription="batches"} 20`,
			`medispatcher_share{kind="push",subscription="shared"} 3`, `medispatcher_share{kind="retry",subscription="shared"} 2`,
		} {
			if !strings.Contains(text, line) {
				return false
			}
		}
		return true
	})
	return text
}

// metric is a family of /metrics: its labels and their values.
type metric struct {
	family *dto.MetricFamily
	labels map[string]map[string]bool
}

func parseMetrics(t *testing.T, text string) map[string]metric {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]metric{}
	for name, f := range families {
		m := metric{f, map[string]map[string]bool{}}
		for _, series := range f.GetMetric() {
			for _, l := range series.GetLabel() {
				if m.labels[l.GetName()] == nil {
					m.labels[l.GetName()] = map[string]bool{}
				}
				m.labels[l.GetName()][l.GetValue()] = true
			}
		}
		if f.GetType() != dto.MetricType_HISTOGRAM {
			out[name] = m
			continue
		}
		out[name+"_sum"], out[name+"_count"] = m, m
		m.labels = maps.Clone(m.labels)
		m.labels["le"] = nil
		out[name+"_bucket"] = m
	}
	return out
}

// TestMetrics holds /metrics to the conventions of Prometheus, as promtool check metrics
// does, to docs/METRICS.md, and to what the dashboard and the rules ask of it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	text := scrapedAll(t)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	known := parseMetrics(t, text)
	// The values that a label has in the code, whether or not they happened here.
	for o := medispatcher.Sent; o <= medispatcher.Released; o++ {
		known["medispatcher_attempts_total"].labels["outcome"][o.String()] = true
	}
	for _, r := range []streams.RoutedResult{streams.RoutedUnroutable, streams.RoutedDuplicate, streams.RoutedQuarantined, streams.RoutedDelayed, streams.RoutedGone} {
		known["medispatcher_messages_received_total"].labels["result"][string(r)] = true
	}
	t.Run("documentation", func(t *testing.T) { checkMetricsDoc(t, known) })
	t.Run("dashboard", func(t *testing.T) { checkDashboard(t, known) })
	t.Run("rules", func(t *testing.T) { checkRules(t, known) })
	t.Run("a wrong query is noticed", func(t *testing.T) {
		for query, want := range map[string]string{
			`sum(medispatcher_no_such)`:                                         "no metric medispatcher_no_such",
			`medispatcher_channel_messages{stat="dead"}`:                        "no label stat",
			`medispatcher_channel_messages{state=~"ready|died"}`:                "state is never died",
			`sum by (topik) (rate(medispatcher_messages_received_total[5m]))`:   "no label topik",
			`sum by (le) (rate(medispatcher_delivery_latency_seconds_sum[1m]))`: "no label le",
		} {
			if got := strings.Join(wrongWith(query, nil, known), "; "); got != want {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
	})
}

const (
	tableBegin = "<!-- the table is made by go test ./cmd/medispatcher -run TestMetrics -update -->\n"
	tableEnd   = "<!-- end of the table -->\n"
)

func checkMetricsDoc(t *testing.T, known map[string]metric) {
	t.Helper()
	var table strings.Builder
	table.WriteString("\n| metric | type | labels | what it is |\n| --- | --- | --- | --- |\n")
	told := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(known)) {
		m := known[key]
		name := m.family.GetName()
		if told[name] || !strings.HasPrefix(name, "medispatcher_") {
			continue
		}
		told[name] = true
		var labels []string
		for _, l := range slices.Sorted(maps.Keys(m.labels)) {
			if l != "le" {
				labels = append(labels, "`"+l+"`")
			}
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(m.family.GetType().String()), strings.Join(labels, ", "), m.family.GetHelp())
	}
	table.WriteString("\n")
	file, err := os.ReadFile(metricsFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(file), tableBegin)
	got, tail, whole := strings.Cut(rest, tableEnd)
	switch {
	case !whole:
		t.Fatalf("%s has no table", metricsFile)
	case *update:
		if err := os.WriteFile(metricsFile, []byte(head+tableBegin+table.String()+tableEnd+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	case got != table.String():
		t.Errorf("%s is not current; make it again with: go test ./cmd/medispatcher -run TestMetrics -update", metricsFile)
	}
}
