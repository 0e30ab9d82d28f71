package openapi_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"text/template"
)

const referenceFile = "../docs/API.md"

//go:embed reference.md.tmpl
var referenceTemplate string

// TestDocumentAsPage: docs/API.md is the document as a page.
func TestDocumentAsPage(t *testing.T) {
	raw, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	page := template.Must(template.New("").Funcs(template.FuncMap{
		"cell": cell, "lower": strings.ToLower, "indented": indented, "type": schema.name, "limits": schema.limits,
	}).Parse(referenceTemplate))
	var want bytes.Buffer
	if err := page.Execute(&want, &doc); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(referenceFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(referenceFile); err != nil || !bytes.Equal(kept, want.Bytes()) {
		t.Errorf("%s is not what %s says (read error: %v); to write it again, run go test -run TestDocument -update", referenceFile, documentFile, err)
	}
}

// document is what the page shows of an OpenAPI document.
type document struct {
	Info struct{ Description string }
	Tags []struct{ Name, Description string }
	// Paths are operations by path and lower-case method.
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	Method, Path         string
	Summary, Description string
	Tags                 []string
	Parameters           []struct {
		Name, In, Description string
		Required              bool
		Schema                schema
	}
	RequestBody *struct{ Content content }
	Responses   map[string]response
}

type response struct {
	Description string
	Content     content
}

type content map[string]struct {
	Schema   schema
	Example  json.RawMessage
	Examples map[string]struct{ Value json.RawMessage }
}

type schema struct {
	Ref                  string `json:"$ref"`
	Description, Format  string
	Type                 any // a string, or a list of them
	Items                *schema
	AdditionalProperties any
	Properties           map[string]schema
	Required             []string
	Enum                 []any
	Default              any
	Minimum, Maximum     *float64
	MinLength, MaxLength *int
}

// Of are the operations of a tag, by path and method.
func (d *document) Of(tag string) (list []operation) {
	for _, p := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[p])) {
			if o := d.Paths[p][method]; slices.Contains(o.Tags, tag) {
				o.Method, o.Path = strings.ToUpper(method), p
				list = append(list, o)
			}
		}
	}
	return list
}

// Everywhere are the problems that many routes may answer, by status.
func (d *document) Everywhere() map[string]string {
	said := map[string]map[string]int{}
	for _, methods := range d.Paths {
		for _, o := range methods {
			for status, r := range o.Responses {
				if said[status] == nil {
					said[status] = map[string]int{}
				}
				said[status][r.Description]++
			}
		}
	}
	found := map[string]string{}
	for status, by := range said {
		for text, n := range by {
			if status >= "4" && n > len(d.Paths)/3 {
				found[status] = text
			}
		}
	}
	return found
}

// Own are the answers of an operation but for those.
func (o operation) Own(everywhere map[string]string) map[string]response {
	own := maps.Clone(o.Responses)
	maps.DeleteFunc(own, func(status string, r response) bool { return everywhere[status] == r.Description })
	return own
}

// Shared are the statuses of its other answers.
func (o operation) Shared(everywhere map[string]string) string {
	var list []string
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		if everywhere[status] == o.Responses[status].Description {
			list = append(list, status)
		}
	}
	return strings.Join(list, ", ")
}

// Example is that of the answer when all went well.
func (o operation) Example() json.RawMessage {
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		if status < "3" {
			return o.Responses[status].Content.Example()
		}
	}
	return nil
}

// Name is the type of a body, or the media types of one that is not JSON.
func (c content) Name() string {
	var list []string
	for _, media := range slices.Sorted(maps.Keys(c)) {
		if len(list) == 0 && (media == "application/json" || media == "application/problem+json") {
			return c[media].Schema.name()
		}
		list = append(list, "`"+media+"`")
	}
	return strings.Join(list, ", ")
}

func (c content) Example() json.RawMessage {
	for _, media := range slices.Sorted(maps.Keys(c)) {
		if c[media].Example != nil {
			return c[media].Example
		}
		for _, name := range slices.Sorted(maps.Keys(c[media].Examples)) {
			return c[media].Examples[name].Value
		}
	}
	return nil
}

func (s schema) name() string {
	switch {
	case s.Ref != "":
		name := path.Base(s.Ref)
		return "[" + name + "](#" + strings.ToLower(name) + ")"
	case s.Items != nil:
		return "list of " + s.Items.name()
	}
	kind := fmt.Sprint(s.Type)
	if list, ok := s.Type.([]any); ok {
		var kinds []string
		for _, one := range list {
			kinds = append(kinds, fmt.Sprint(one))
		}
		kind = strings.Join(kinds, " or ")
	}
	if kind == "<nil>" {
		return "any"
	}
	if of, ok := s.AdditionalProperties.(map[string]any); ok && of["type"] != nil {
		return fmt.Sprintf("object of %ss", of["type"])
	}
	if s.Format != "" && !strings.HasPrefix(s.Format, "int") {
		kind += ", " + s.Format
	}
	return kind
}

// limits are the values that are allowed, and the one that is taken for a missing one.
func (s schema) limits() string {
	var list []string
	if len(s.Enum) > 0 {
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprintf("`%v`", v))
		}
		list = append(list, strings.Join(values, ", "))
	}
	number := func(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") }
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		list = append(list, number(*s.Minimum)+" – "+number(*s.Maximum))
	case s.Minimum != nil:
		list = append(list, "at least "+number(*s.Minimum))
	case s.Maximum != nil:
		list = append(list, "at most "+number(*s.Maximum))
	}
	if s.MaxLength != nil {
		list = append(list, fmt.Sprintf("at most %d characters", *s.MaxLength))
	}
	if s.Default != nil {
		list = append(list, fmt.Sprintf("default `%v`", s.Default))
	}
	return strings.Join(list, "; ")
}

// cell is text in a cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(text), "\n", " "), "|", `\|`)
}

func indented(raw json.RawMessage) (string, error) {
	var out bytes.Buffer
	if len(raw) > 0 && raw[0] == '"' {
		return string(raw), nil
	}
	err := json.Indent(&out, raw, "", "  ")
	return out.String(), err
}
