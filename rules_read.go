package medispatcher

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// read lays a document over the defaults.
func (r *Rules) read(d document) (*Subscription, Problems) {
	s := new(r.Defaults)
	for _, f := range fields {
		f.own(s)
	}
	var p Problems
	s.readFields("", d, &p)
	return s, p
}

func (s *Subscription) readFields(prefix string, d document, p *Problems) {
	for _, name := range sortedKeys(d) {
		raw, full := d[name], prefix+name
		f, known := FieldNamed(full)
		switch {
		case !known || strings.Contains(name, "."):
			p.add(prefix+fieldName(name), "is not a field of a subscription; the fields are %s", strings.Join(namesUnder(prefix), ", "))
		case string(raw) == "null": // the default
		case f.Kind == KindObject:
			var inner document
			if err := json.Unmarshal(raw, &inner); err != nil {
				p.add(full, "must be a JSON object")
				continue
			}
			s.readFields(full+".", inner, p)
		default:
			target := f.value(s).Addr().Interface()
			if err := json.Unmarshal(raw, target); err != nil {
				p.wrongType(full, target, raw, err)
			}
		}
	}
}

// wrongType says what is wrong with a value. Of a list of durations it names the one that is none.
func (p *Problems) wrongType(field string, target any, raw []byte, err error) {
	var list []json.RawMessage
	if _, waits := target.(*[]Duration); waits && json.Unmarshal(raw, &list) == nil {
		for i, one := range list {
			var d Duration
			if err := json.Unmarshal(one, &d); err != nil {
				p.add(indexed(field, i), "%s", wantedType(&d, one, err))
			}
		}
		return
	}
	p.add(field, "%s", wantedType(target, raw, err))
}

// nulls finds those in the lists and headers of a document. Read as what they are in, they would be an empty text or no wait at all.
func (d document) nulls(prefix string) (p Problems) {
	const problem = "is null; leave it out"
	for _, name := range sortedKeys(d) {
		f, _ := FieldNamed(prefix + name)
		var list []json.RawMessage
		var inner document
		switch {
		case f.Kind == KindList && json.Unmarshal(d[name], &list) == nil:
			for i, one := range list {
				if string(one) == "null" {
					p.add(indexed(f.Name, i), problem)
				}
			}
		case f.Kind == KindHeaders && json.Unmarshal(d[name], &inner) == nil:
			for _, header := range sortedKeys(inner) {
				if string(inner[header]) == "null" {
					p.add(f.Name, "%s "+problem, quote(header))
				}
			}
		case f.Kind == KindObject && json.Unmarshal(d[name], &inner) == nil:
			p = append(p, inner.nulls(f.Name+".")...)
		}
	}
	return p
}

// namesUnder are the sorted names of the fields of an object: "drop.", or "" for the subscription.
func namesUnder(prefix string) []string {
	var names []string
	for _, f := range fields {
		if name, ok := strings.CutPrefix(f.Name, prefix); ok && !strings.Contains(name, ".") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func wantedType(target any, raw []byte, err error) string {
	want := ""
	switch target.(type) {
	case *string:
		want = "a string"
	case *bool:
		want = "true or false"
	case *int:
		want = "a whole number"
	case *[]string:
		want = "a list of strings"
	case *[]Duration:
		want = `a list of durations in quotes such as ["500ms","1m30s"]`
	case *map[string]string:
		want = "an object of strings"
	case *Size:
		if raw[0] == '"' {
			return err.Error()
		}
		want = `a size in quotes such as "512KiB" or "1MiB"`
	case *Duration:
		if raw[0] == '"' {
			return err.Error()
		}
		want = `a duration in quotes such as "500ms" or "1m30s"`
	}
	switch target.(type) {
	case *string, *[]string, *map[string]string: // what it is may be a secret
		if raw[0] == '"' {
			return "is a string, not " + want
		}
		return "is not " + want
	}
	return fmt.Sprintf("%s is not %s", cut(raw), want)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
