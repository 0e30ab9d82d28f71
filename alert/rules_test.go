package alert

import (
	"flag"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
)

var update = flag.Bool("update", false, "update the table of rules in docs/ALERTS.md")

// TestRulesAreWhole: each row holds all that the texts, the docs and the metric need, and what it names exists.
func TestRulesAreWhole(t *testing.T) {
	t.Parallel()
	prometheus := read(t, "../deploy/prometheus/medispatcher.rules.yml")
	variables := read(t, "../docs/configuration.md")
	seen := map[string]bool{}
	for _, r := range Rules {
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(r.Name) || seen[r.Name] {
			t.Errorf("%q is no name, or that of two rules", r.Name)
		}
		seen[r.Name] = true
		if r.About == "" || r.FiresWhen == "" || r.Title == "" || r.Name != ruleTest && (r.Recovered == "" || r.More == "") {
			t.Errorf("%s: its row has no About, FiresWhen, Title, Recovered or More", r.Name)
		}
		if (r.check == nil) == (r.causes == noCauses) && r.Name != ruleTest {
			t.Errorf("%s: either a check ends it, or its causes do", r.Name)
		}
		if r.wanted != nil && r.About != aSubscription {
			t.Errorf("%s: is wanted by subscriptions and about %s", r.Name, r.About)
		}
		for _, name := range regexp.MustCompile("`[^`]+`").FindAllString(r.Threshold, -1) {
			name = strings.Trim(name, "`")
			if field, of := strings.CutPrefix(name, "alert."); of && !slices.Contains(policyFields(), field) || !of && !strings.Contains(variables, "| `"+name+"` |") {
				t.Errorf("%s: there is no variable or field %s", r.Name, name)
			}
		}
		if r.Prometheus != "" && !strings.Contains(prometheus, "- alert: "+r.Prometheus+"\n") {
			t.Errorf("%s: there is no rule %s in deploy/prometheus", r.Name, r.Prometheus)
		}
	}
}

// policyFields lists the JSON names of the fields of AlertPolicy.
func policyFields() (names []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[medispatcher.AlertPolicy]()) {
		names = append(names, f.Tag.Get("json"))
	}
	return names
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestRulesInDocs: the table in docs/ALERTS.md is the one that the rules make.
func TestRulesInDocs(t *testing.T) {
	t.Parallel()
	const file = "../docs/ALERTS.md"
	text := read(t, file)
	head, rest, begins := strings.Cut(text, "-run TestRulesInDocs -update -->\n\n")
	_, tail, ends := strings.Cut(rest, "\n<!-- end of the table -->")
	if !begins || !ends {
		t.Fatalf("%s has no place for the table", file)
	}
	want := head + "-run TestRulesInDocs -update -->\n\n" + docsTable() + "\n<!-- end of the table -->" + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil { //nolint:gosec // as the others in docs
			t.Fatal(err)
		}
		return
	}
	if text != want {
		t.Errorf("the table in %s is not that of the rules; update it with: go test ./alert -run TestRulesInDocs -update", file)
	}
}

func docsTable() string {
	var b strings.Builder
	b.WriteString("| rule | about | fires when | threshold | the same in Prometheus |\n| --- | --- | --- | --- | --- |\n")
	orDash := func(s string) string {
		if s == "" {
			return "–"
		}
		return s
	}
	for _, r := range Rules {
		prometheus := orDash("")
		if r.Prometheus != "" {
			prometheus = "`" + r.Prometheus + "`"
		}
		b.WriteString("| `" + r.Name + "` | " + string(r.About) + " | " + r.FiresWhen + " | " + orDash(r.Threshold) + " | " + prometheus + " |\n")
	}
	return b.String()
}
