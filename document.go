package medispatcher

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// document is a subscription as somebody wrote it. It has only the fields that they gave, so
// that a changed default reaches every subscription that relies on it.
type document map[string]json.RawMessage

// Fields that the dispatcher alone writes into a stored document.
const (
	fieldPreviousSecret = "previous_secret"
	fieldPreviousUntil  = "previous_secret_until"
	// fieldLater holds the true values of fields for which earlier versions find others; see document.veil.
	fieldLater = "later"
)

// earlierEncodings are those that every version can read.
var earlierEncodings = []string{EncodingJSON, EncodingForm}

// parseGiven reads a document as somebody writes it. encoding/json takes text that is none, and changes it.
func parseGiven(raw []byte) (document, error) {
	if at, problem := badText(raw); problem != "" {
		return nil, Problems{{"body", fmt.Sprintf("%s, at byte %d", problem, at)}}
	}
	return parseDocument(raw)
}

// badText finds text in JSON that encoding/json would read as U+FFFD, and says what it is; "" if there is none.
func badText(raw []byte) (at int, problem string) {
	for at < len(raw) {
		r, n := utf8.DecodeRune(raw[at:])
		switch {
		case r == utf8.RuneError && n == 1:
			return at, "is not UTF-8"
		case r == '\\' && utf16.IsSurrogate(escaped(raw[at:])):
			if n = 2 * len(`\u0000`); utf16.DecodeRune(escaped(raw[at:]), escaped(raw[min(at+n/2, len(raw)):])) == utf8.RuneError {
				return at, "has one half of a character alone, " + string(raw[at:at+n/2])
			}
		case r == '\\':
			n = 2
		}
		at += n
	}
	return 0, ""
}

// escaped is the character that raw begins with in the form \u0000; 0: none.
func escaped(raw []byte) rune {
	if len(raw) < len(`\u0000`) || raw[0] != '\\' || raw[1] != 'u' {
		return 0
	}
	r, _ := strconv.ParseUint(string(raw[2:6]), 16, 16)
	return rune(r)
}

func parseDocument(raw []byte) (document, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, Problems{{"body", "is not a JSON object: " + JSONProblem(err)}}
	}
	if d == nil {
		return nil, Problems{{"body", "is null; give a JSON object"}}
	}
	return d, nil
}

// parseStored reads a document as store left it.
func parseStored(raw []byte) (document, error) {
	d, err := parseDocument(raw)
	if err != nil || d[fieldLater] == nil {
		return d, err
	}
	var later document
	_ = json.Unmarshal(d[fieldLater], &later) // if somebody spoiled it by hand, the subscription is paused
	delete(d, fieldLater)
	if later == nil {
		return d, nil
	}
	for _, name := range veiled {
		if delete(d, name); later[name] != nil {
			d[name] = later[name]
		}
	}
	return d, nil
}

// veiled are the fields that veil replaces.
var veiled = []string{"encoding", "paused"}

// veil makes a document one that earlier versions can read, too. To them a subscription with an encoding of which they do not know is
// paused: they copy its messages, and push none. A document that they could not read would be no subscription to them, and what
// they fan out would never reach it.
func (d document) veil(encoding string) {
	if slices.Contains(earlierEncodings, encoding) {
		return
	}
	later := document{}
	for _, name := range veiled {
		if d[name] != nil {
			later[name] = d[name]
		}
	}
	d.set(fieldLater, later)
	d.set("encoding", EncodingJSON)
	d.set("paused", true)
}

func (d document) set(name string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and times only
	}
	d[name] = raw
}

// forget removes the fields that no subscription has, and returns their names. prefix is "", or that of the fields of an object.
func (d document) forget(prefix string) (names []string) {
	for _, name := range sortedKeys(d) {
		f, known := FieldNamed(prefix + name)
		var inner document
		switch {
		case !known || strings.Contains(name, "."):
			names = append(names, prefix+name)
			delete(d, name)
		case f.Kind == KindObject && json.Unmarshal(d[name], &inner) == nil && inner != nil:
			names = append(names, inner.forget(prefix+name+".")...)
			d.set(name, inner)
		}
	}
	return names
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
				old = document{} // not an object; nulls of the patch are dropped here too
			}
			old.merge(inner)
			d.set(name, old)
			continue
		}
		d[name] = raw
	}
}

// unmask replaces masked URLs in the list d[name] by the stored URLs that they stand for, in any
// order. A mask that stands for no stored URL, or for several, is a problem of the field.
func (d document) unmask(name, field string, stored []string, mask func(string) string, isMasked func(string) bool, p *Problems) {
	var given []string
	if json.Unmarshal(d[name], &given) != nil || !slices.ContainsFunc(given, isMasked) {
		return // anything but a list of strings is refused when the fields are read
	}
	same, times := map[string][]string{}, map[string]int{}
	for _, u := range stored {
		same[mask(u)] = append(same[mask(u)], u)
	}
	for _, u := range given {
		times[u]++
	}
	taken := map[string]int{}
	for i, u := range given {
		if !isMasked(u) {
			continue
		}
		switch kept := same[u]; {
		case len(kept) == 0:
			p.add(indexed(field, i), "%s is masked, and stands for no URL that is stored; write it whole", quote(u))
		case len(kept) != times[u] && len(slices.Compact(slices.Clone(kept))) > 1:
			p.add(indexed(field, i), "%s stands for %d stored URLs that differ only in what is masked; write it whole", quote(u), len(kept))
		default: // as many masks as stored URLs: in the stored order
			given[i] = kept[taken[u]%len(kept)]
			taken[u]++
		}
	}
	d.set(name, given)
}

// unmaskHeaders replaces masked values of headers by the stored ones.
func (d document) unmaskHeaders(stored map[string]string, p *Problems) {
	var given map[string]string
	if json.Unmarshal(d["headers"], &given) != nil || !slices.Contains(slices.Collect(maps.Values(given)), Mask) {
		return // anything but an object of strings is refused when the fields are read
	}
	for _, name := range sortedKeys(given) {
		if given[name] != Mask {
			continue
		}
		kept, known := "", false
		for other, value := range stored {
			if strings.EqualFold(other, name) {
				kept, known = value, true
			}
		}
		if !known {
			p.add("headers", "%s is masked, and there is no value of it to keep; write it whole", quote(name))
		}
		given[name] = kept
	}
	d.set("headers", given)
}

// NoRevision is the revision of a subscription that does not exist.
var NoRevision = Rev(nil)

// Rev identifies one version of a stored document; it is the ETag of the API.
func Rev(stored []byte) string {
	sum := sha256.Sum256(stored)
	return hex.EncodeToString(sum[:8])
}
