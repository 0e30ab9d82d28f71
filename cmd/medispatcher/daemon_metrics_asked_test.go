package main

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	dashboardFile = "../../deploy/grafana/medispatcher.json"
	rulesFile     = "../../deploy/prometheus/medispatcher.rules.yml"
	ruleTestsFile = "../../deploy/prometheus/medispatcher.rules_test.yml"
)

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
	if asked, where, joined := strings.Cut(query, "and on (job)"); joined { // labels of its own
		return append(wrongWith(asked, shown, known), wrongWith(where, nil, known)...)
	}
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

// panelJSON has the parts of a panel that the tests check.
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
			t.Errorf("panel %d %q: another panel has its id, or its title, description, unit or targets are missing", p.ID, p.Title)
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
