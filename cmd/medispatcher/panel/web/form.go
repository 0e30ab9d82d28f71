package web

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
)

// Kinds of fields: how one is shown and how its text becomes JSON.
const (
	kindText    = "text"
	kindSecret  = "secret"
	kindNumber  = "number"
	kindLines   = "lines"   // a list of strings, one a line
	kindHeaders = "headers" // an object of strings, Name: value a line
	kindCheck   = "check"
	kindChoice  = "choice"
)

// field is a parameter of a subscription in the form. A value that is the default is shown as
// the placeholder of an empty field: what is left empty follows the default, also when the
// operator changes it.
type field struct {
	Name, Label, Kind, Help string
	Value, Default          string
	Min, Max                string // of a number
	Choices                 []string
	Required                bool
}

// ID is the id of the element.
func (f field) ID() string { return "f-" + strings.ReplaceAll(f.Name, ".", "-") }

type fieldGroup struct {
	Title  string
	Open   bool
	Fields []field
}

// fields are the parameters of a subscription as a form, by group in the order of their struct.
func (p *pages) fields(s *medispatcher.Subscription) []fieldGroup {
	var groups []fieldGroup
	for _, f := range medispatcher.Fields() {
		if f.Group == "" {
			continue
		}
		at := slices.IndexFunc(groups, func(g fieldGroup) bool { return g.Title == f.Group })
		if at < 0 {
			at = len(groups)
			groups = append(groups, fieldGroup{Title: f.Group, Open: at < openGroups})
		}
		groups[at].Fields = append(groups[at].Fields, p.field(f, s))
	}
	return groups
}

// openGroups is how many groups of the form are open at first.
const openGroups = 3

func (p *pages) field(f medispatcher.Field, s *medispatcher.Subscription) field {
	rules := &p.cfg.Rules
	shown := field{
		Name: f.Name, Label: f.Label, Kind: kindText, Help: f.Help, Required: f.Required, Choices: f.Choices,
		Value: valueText(f, s), Default: valueText(f, &rules.Defaults),
	}
	low, high := rules.Bounds(f)
	if f.MaxEnv != "" && high != math.MaxInt64 {
		shown.Help += " At most " + f.Show(high) + "."
	}
	switch f.Kind {
	case medispatcher.KindObject, medispatcher.KindDuration, medispatcher.KindSize:
	case medispatcher.KindBool:
		shown.Kind = kindCheck
		return shown
	case medispatcher.KindList:
		shown.Kind = kindLines
		shown.Help += " One a line."
		return shown
	case medispatcher.KindHeaders:
		shown.Kind = kindHeaders
		shown.Help += " Name: value, one a line."
		return shown
	case medispatcher.KindNumber:
		shown.Kind, shown.Min = kindNumber, f.Show(low)
		if high != math.MaxInt64 {
			shown.Max = f.Show(high)
		}
	case medispatcher.KindText:
		switch {
		case f.Choices != nil:
			shown.Kind = kindChoice
			return shown
		case f.Secret:
			shown.Kind = kindSecret
		}
	}
	if shown.Value == shown.Default {
		shown.Value = "" // the placeholder shows it
	}
	return shown
}

// valueText is the value of a field as the form has it.
func valueText(f medispatcher.Field, s *medispatcher.Subscription) string {
	v := f.Value(s)
	switch f.Kind { //nolint:exhaustive // the others are one text
	case medispatcher.KindHeaders:
		headers, _ := v.(map[string]string)
		return headerLines(headers)
	case medispatcher.KindList:
		var lines []string
		for _, entry := range reflect.ValueOf(v).Seq2() {
			lines = append(lines, fmt.Sprint(entry))
		}
		return strings.Join(lines, "\n")
	}
	return fmt.Sprint(v)
}

func headerLines(headers map[string]string) string {
	lines := make([]string, 0, len(headers))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		lines = append(lines, name+": "+headers[name])
	}
	return strings.Join(lines, "\n")
}
