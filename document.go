package medispatcher

import (
	"encoding/json"
	"fmt"
)

// document is a subscription as somebody wrote it: only the fields they gave, so
// that a default changed later reaches every subscription that relies on it.
type document map[string]json.RawMessage

// Fields that the dispatcher alone writes into a stored document.
const (
	fieldPreviousSecret = "previous_secret"
	fieldPreviousUntil  = "previous_secret_until"
)

func parseDocument(raw []byte) (document, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, Problems{{"body", fmt.Sprintf("is not a JSON object: %v", err)}}
	}
	if d == nil {
		return nil, Problems{{"body", "is null; give a JSON object"}}
	}
	return d, nil
}

func (d document) set(name string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and times only
	}
	d[name] = raw
}

func (d document) secret() string {
	var s string
	_ = json.Unmarshal(d["secret"], &s) // anything else is refused when the fields are read
	return s
}

// merge applies an RFC 7396 merge patch: null removes a field, so its default
// holds again; objects merge; everything else replaces.
func (d document) merge(patch document) {
	for name, raw := range patch {
		if string(raw) == "null" {
			delete(d, name)
			continue
		}
		var inner, old document
		if json.Unmarshal(raw, &inner) == nil && inner != nil {
			if json.Unmarshal(d[name], &old) != nil || old == nil {
				old = document{} // not an object: the patch's nulls go all the same
			}
			old.merge(inner)
			d.set(name, old)
			continue
		}
		d[name] = raw
	}
}
