package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

const (
	metricsFile   = "../../docs/METRICS.md"
	dashboardFile = "../../deploy/grafana/medispatcher.json"
	rulesFile     = "../../deploy/prometheus/medispatcher.rules.yml"
	ruleTestsFile = "../../deploy/prometheus/medispatcher.rules_test.yml"
)

// scrapedAll is what /metrics says when every metric has a series: messages were
// delivered, and a subscription is held back, of which an alert tells.
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
	for range 20 {
		xadd(t, env, "topic", "t", "body", "x")
	}
	var text string
	eventually(t, "every metric", func() bool {
		_, text = r.call(http.MethodGet, "/metrics", "")
		for _, line := range []string{
			`medispatcher_breaker_open{subscription="down"} 1`, `medispatcher_alerts_firing{rule="breaker"} 1`,
			`medispatcher_attempts_total{outcome="sent",subscription="up"} 20`,
		} {
			if !strings.Contains(text, line) {
				return false
			}
		}
		return true
	})
	return text
}

// metric is what a family of /metrics can be asked for: its labels and their values.
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
		t.Errorf("%s is not current; make it anew with: go test ./cmd/medispatcher -run TestMetrics -update", metricsFile)
	}
}

var (
	metricName = regexp.MustCompile(`\b(?:medispatcher|process|go)_[a-z_]+`)
	matcher    = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	grouping   = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	legend     = regexp.MustCompile(`{{\s*(\w+)\s*}}`)
	ofAlert    = regexp.MustCompile(`\$labels\.(\w+)`)
)

// wrongWith lists what a query asks for that /metrics does not give. Each label that it names, or
// that is shown beside its result, must be one of every metric in it, or one that Prometheus adds.
func wrongWith(query string, shown [][]string, known map[string]metric) (wrong []string) {
	names := metricName.FindAllString(query, -1)
	values := map[string][]string{} // label → values
	for _, m := range matcher.FindAllStringSubmatch(query, -1) {
		values[m[1]] = nil
		if !strings.Contains(m[2], "$") {
			values[m[1]] = strings.Split(m[2], "|")
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(query, -1) {
		for l := range strings.SplitSeq(g[1], ",") {
			if l = strings.TrimSpace(l); l != "" && values[l] == nil {
				values[l] = nil
			}
		}
	}
	for _, m := range shown {
		if values[m[1]] == nil {
			values[m[1]] = nil
		}
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		m, ok := known[name]
		if !ok {
			wrong = append(wrong, "no metric "+name)
			continue
		}
		for _, label := range slices.Sorted(maps.Keys(values)) {
			if label == "job" || label == "instance" {
				continue
			}
			if _, ok := m.labels[label]; !ok {
				wrong = append(wrong, "no label "+label)
				continue
			}
			for _, v := range values[label] {
				if !m.labels[label][v] {
					wrong = append(wrong, label+" is never "+v)
				}
			}
		}
	}
	if len(names) == 0 {
		wrong = append(wrong, "asks for no metric")
	}
	return wrong
}

// panelJSON is what is checked of a panel.
type panelJSON struct {
	ID                       int
	Title, Description, Type string
	Datasource               struct{ Type, UID string }
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct{ Expr, LegendFormat string }
}

func checkDashboard(t *testing.T, known map[string]metric) {
	t.Helper()
	file, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UID           string
		SchemaVersion int
		Templating    struct {
			List []struct{ Name, Type, Definition string }
		}
		Panels []panelJSON
	}
	if err := json.Unmarshal(file, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID != "medispatcher" || d.SchemaVersion == 0 || len(d.Panels) == 0 {
		t.Errorf("uid %q, schemaVersion %d, %d panels", d.UID, d.SchemaVersion, len(d.Panels))
	}
	asked := map[string]bool{}
	check := func(where, query, shown string) {
		for _, wrong := range wrongWith(query, legend.FindAllStringSubmatch(shown, -1), known) {
			t.Errorf("%s: %s: %s", where, query, wrong)
		}
		for _, name := range metricName.FindAllString(query, -1) {
			if m, ok := known[name]; ok {
				asked[m.family.GetName()] = true
			}
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			metric, label, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(v.Definition, "label_values("), ")"), ", ")
			check("variable "+v.Name, metric, "{{"+label+"}}")
		}
	}
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] || p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q: its id is not its own, or its title, description, unit or targets are missing", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Datasource.Type != "prometheus" || p.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q asks %v", p.Title, p.Datasource)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies on %q or beyond the edge", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			check(p.Title, target.Expr, target.LegendFormat)
			if strings.Count(target.Expr, `job=~"$job"`) != len(metricName.FindAllString(target.Expr, -1)) {
				t.Errorf("panel %q: %s: a metric is not that of the chosen job", p.Title, target.Expr)
			}
		}
	}
	for _, m := range known {
		name := m.family.GetName()
		if strings.HasPrefix(name, "medispatcher_") && !asked[name] &&
			name != "medispatcher_build_info" && !strings.HasPrefix(name, "medispatcher_alert_notices_") {
			t.Errorf("no panel shows %s", name)
		}
	}
}

func checkRules(t *testing.T, known map[string]metric) {
	t.Helper()
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(ruleTestsFile)
	if err != nil {
		t.Fatal(err)
	}
	comment := regexp.MustCompile(`(?m)^\s*#.*$`)
	alerts := strings.Split(comment.ReplaceAllString(string(rules), ""), "- alert: ")[1:]
	if len(alerts) == 0 {
		t.Fatal("no alerts")
	}
	for _, a := range alerts {
		name, body, _ := strings.Cut(a, "\n")
		query, shown, ok := strings.Cut(body, "labels: {severity:")
		if !ok {
			t.Errorf("%s has no severity", name)
		}
		for _, wrong := range wrongWith(query, ofAlert.FindAllStringSubmatch(shown, -1), known) {
			t.Errorf("%s: %s", name, wrong)
		}
		if !regexp.MustCompile(`alertname: ` + name + `\n(?:.*\n)*?\s+exp_alerts:`).Match(tests) {
			t.Errorf("no test sees %s fire", name)
		}
	}
}

// TestLatencyIsNeverNegative: a producer whose clock is ahead does not make a sum fall.
func TestLatencyIsNeverNegative(t *testing.T) {
	m, now := newMetrics(&daemon{}), time.Now()
	delivery := &medispatcher.Delivery{Message: medispatcher.Message{Time: now.Add(time.Hour)}}
	delivery.Subscription = "a"
	m.settled(delivery, &medispatcher.Settlement{Outcome: medispatcher.Sent}, now)
	var got dto.Metric
	if err := m.latency.WithLabelValues("a").(prometheus.Histogram).Write(&got); err != nil {
		t.Fatal(err)
	}
	if h := got.GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() != 0 {
		t.Errorf("%v", h)
	}
}

// TestScrapeWaitsForRedisLessThanPrometheusDoes: a scrape that ran into the timeout of
// Prometheus would tell nothing, not even that Redis is away.
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
