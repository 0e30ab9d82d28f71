package medispatcher

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// read lays a document over the defaults.
func (r Rules) read(d document) (Subscription, Problems) {
	s := r.Defaults
	s.URLs, s.Headers = []string{}, map[string]string{}
	s.Alert.URLs = slices.Clone(s.Alert.URLs)
	var p Problems
	readFields("", d, s.fields(), &p)
	return s, p
}

func readFields(prefix string, d document, into map[string]any, p *Problems) {
	for _, name := range sortedKeys(d) {
		raw, full := d[name], prefix+name
		target, known := into[name]
		switch nested, isNested := target.(map[string]any); {
		case !known:
			p.add(prefix+fieldName(name), "is not a field of a subscription; the fields are %s", strings.Join(sortedKeys(into), ", "))
		case string(raw) == "null": // the default
		case isNested:
			var inner document
			if err := json.Unmarshal(raw, &inner); err != nil {
				p.add(full, "must be a JSON object")
				continue
			}
			readFields(full+".", inner, nested, p)
		default:
			if err := json.Unmarshal(raw, target); err != nil {
				p.add(full, "%s", wantedType(target, raw, err))
			}
		}
	}
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
	case *map[string]string:
		want = "an object of strings"
	case *Duration:
		if raw[0] == '"' {
			return err.Error()
		}
		want = `a duration in quotes such as "500ms" or "1m30s"`
	}
	return fmt.Sprintf("%s is not %s", cut(raw), want)
}

// cut shows JSON on one line, cut short. It is valid, so the only control characters
// in it are those between its tokens.
func cut(raw []byte) string {
	shown := raw
	if len(raw) > 80 {
		shown = append(bytes.ToValidUTF8(raw[:80:80], nil), "…"...)
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, string(shown))
}

// fieldName shows the name of a field that somebody made up.
func fieldName(name string) string {
	if name == "" || len(name) > 80 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return quote(name)
	}
	return name
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
