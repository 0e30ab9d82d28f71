package medispatcher

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryFieldIsDeclared: the tags of a field say what the command line, the form and the OpenAPI
// document need, and say nothing that is wrong.
func TestEveryFieldIsDeclared(t *testing.T) {
	flags := map[string]bool{}
	s, rules := DefaultSubscription(), testRules()
	for _, f := range Fields() {
		if !strings.HasSuffix(f.Help, ".") || strings.Contains(f.Help, "`") {
			t.Errorf("%s: help %q; write sentences", f.Name, f.Help)
		}
		if f.Kind == KindObject || f.Name == "id" {
			continue
		}
		if f.Label == "" || f.Group == "" || f.Flag == "" || flags[f.Flag] {
			t.Errorf("%s: label %q, group %q, flag %q; none may be empty, and no flag given twice", f.Name, f.Label, f.Group, f.Flag)
		}
		flags[f.Flag] = true
		if (f.Arg == "") != (f.Kind == KindBool) {
			t.Errorf("%s: a bool flag has no value to name, any other has: flag:%q", f.Name, f.Flag+"="+f.Arg)
		}
		low, high := rules.Bounds(f)
		if n, ok := f.number(&s); ok && (n < low || n > high || low == math.MinInt64) {
			t.Errorf("%s: default %s is outside %s to %s", f.Name, f.Show(n), f.Show(low), f.Show(high))
		}
		if _, ok := f.number(&rules.Max); f.MaxEnv != "" && (!ok || f.value(&rules.Max).IsZero()) {
			t.Errorf("%s has a maximum of the configuration, and testRules has none", f.Name)
		}
		if f.Choices != nil && !slices.Contains(f.Choices, f.Default) {
			t.Errorf("%s: default %q is not one of %q", f.Name, f.Default, f.Choices)
		}
	}
	for name := range special {
		if _, known := FieldNamed(name); !known {
			t.Errorf("special has a check of %s, which is not a field", name)
		}
	}
	if topic, _ := FieldNamed("topic"); topic.high != MaxTopic {
		t.Errorf("topic: max is %d, MaxTopic is %d", topic.high, MaxTopic)
	}
}

// TestFieldsAreThoseOfTheStruct by the names that encoding/json gives them.
func TestFieldsAreThoseOfTheStruct(t *testing.T) {
	s := DefaultSubscription()
	s.Secret = secretA // left out when it is empty
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(prefix string, members map[string]any)
	walk = func(prefix string, members map[string]any) {
		for name, v := range members {
			n++
			f, known := FieldNamed(prefix + name)
			if !known {
				t.Errorf("%s%s is not among the fields", prefix, name)
			}
			if f.Kind == KindObject {
				walk(f.Name+".", v.(map[string]any))
			}
		}
	}
	walk("", doc)
	if n != len(Fields()) {
		t.Errorf("%d fields, %d in JSON", len(Fields()), n)
	}
}

// TestFieldKinds: what a field of a subscription may be.
func TestFieldKinds(t *testing.T) {
	type inner struct {
		Size int `json:"size" min:"1"`
	}
	got := fieldsOf(reflect.TypeFor[struct {
		Text     string            `json:"text,omitempty" oneof:"a,b" flag:"text=NAME"`
		Number   int               `json:"number" min:"-1" max:"7"`
		Bool     bool              `json:"bool"`
		Duration Duration          `json:"duration" min:"1ms"`
		List     []string          `json:"list" max:"3"`
		Waits    []Duration        `json:"waits"`
		Bytes    Size              `json:"bytes" min:"1KiB" max:"1MiB"`
		Headers  map[string]string `json:"headers"`
		Object   inner             `json:"object"`
		Hidden   string            `json:"-"`
	}](), "", nil)
	want := []Field{
		{Name: "text", Kind: KindText, Flag: "text", Arg: "NAME", Choices: []string{"a", "b"}, omitEmpty: true, index: []int{0}, low: math.MinInt64, high: math.MaxInt64},
		{Name: "number", Kind: KindNumber, index: []int{1}, low: -1, high: 7},
		{Name: "bool", Kind: KindBool, index: []int{2}, low: math.MinInt64, high: math.MaxInt64},
		{Name: "duration", Kind: KindDuration, index: []int{3}, low: 1e6, high: math.MaxInt64},
		{Name: "list", Kind: KindList, index: []int{4}, low: math.MinInt64, high: 3},
		{Name: "waits", Kind: KindList, index: []int{5}, low: math.MinInt64, high: math.MaxInt64},
		{Name: "bytes", Kind: KindSize, index: []int{6}, low: 1 << 10, high: 1 << 20},
		{Name: "headers", Kind: KindHeaders, index: []int{7}, low: math.MinInt64, high: math.MaxInt64},
		{Name: "object", Kind: KindObject, Schema: "inner", index: []int{8}, low: math.MinInt64, high: math.MaxInt64},
		{Name: "object.size", Kind: KindNumber, index: []int{8, 0}, low: 1, high: math.MaxInt64},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for _, tag := range []reflect.StructTag{`json:"x" min:"1s"`, `json:"x" max:"a"`} {
		typ := reflect.StructOf([]reflect.StructField{{Name: "X", Type: reflect.TypeFor[int](), Tag: tag}})
		if Guard(func() { fieldsOf(typ, "", nil) }) == nil {
			t.Errorf("%s is taken", tag)
		}
	}
	if Guard(func() { kindOf(reflect.TypeFor[float64]()) }) == nil {
		t.Error("a field of a kind that nothing else knows is taken")
	}
}

// TestEveryFieldIsRead: another value than the default is read, kept, shown and noted as a change; one of
// another type, and one outside the bounds, is a problem of the field.
func TestEveryFieldIsRead(t *testing.T) {
	rules := testRules()
	_, plain := mustReplace(t, rules, nil, least)
	others := map[string]string{"filter": `"key == 'a'"`, "topic": `"a.b"`, "urls": `["http://other/"]`, "secret": `"` + secretA + `"`, "alert.urls": `["a://b"]`}
	for _, f := range Fields() {
		if f.Kind == KindObject || f.Name == "id" {
			continue
		}
		value, wrong := others[f.Name], []string{"[1]"}
		low, high := rules.Bounds(f)
		switch f.Kind { //nolint:exhaustive // objects were skipped above
		case KindNumber, KindDuration, KindSize:
			at := low
			if n, _ := f.number(&plain); n == low {
				at++
			}
			value = asJSON(t, f, at)
			wrong = append(wrong, asJSON(t, f, low-1))
			if high < math.MaxInt64 {
				wrong = append(wrong, asJSON(t, f, high+1))
			}
		case KindBool:
			value = strconv.FormatBool(f.Default == "false")
		case KindText:
			for _, choice := range f.Choices {
				if choice != f.Default {
					value = strconv.Quote(choice)
				}
			}
		case KindHeaders:
			value = `{"X-A":"1"}`
		case KindList:
			if value == "" {
				value = `["1m0s"]` // a list of durations
			}
		}
		patch := func(value string) string {
			if outer, inner, nested := strings.Cut(f.Name, "."); nested {
				return `{"` + outer + `":{"` + inner + `":` + value + `}}`
			}
			return `{"` + f.Name + `":` + value + `}`
		}
		_, got := mustMerge(t, rules, []byte(least), patch(value))
		raw, err := json.Marshal(f.Value(&got))
		if err != nil || string(raw) != value {
			t.Errorf("%s: %s is read as %s, %v", f.Name, value, raw, err)
		}
		if _, changes := ChangeOf(&plain, &got); len(changes) != 1 || changes[f.Name].To == nil {
			t.Errorf("%s: changes %v", f.Name, changes)
		}
		for _, value := range wrong {
			_, _, err := rules.Merge("billing", []byte(least), []byte(patch(value)), ruleTime)
			if problems, ok := errors.AsType[Problems](err); !ok || problems[0].Field != f.Name && problems[0].Field != indexed(f.Name, 0) {
				t.Errorf("%s: %s is taken: %v", f.Name, value, err)
			}
		}
	}
}

func asJSON(t *testing.T, f Field, n int64) string {
	t.Helper()
	var v any = n
	switch f.Kind { //nolint:exhaustive // the others are numbers
	case KindDuration:
		v = Duration(n)
	case KindSize:
		v = Size(n)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
