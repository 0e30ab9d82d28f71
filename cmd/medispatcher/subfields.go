package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
)

// fieldKind says how the text of a flag or of key=value becomes JSON.
type fieldKind int

const (
	kindText     fieldKind = iota // also durations: JSON has them in quotes
	kindNumber                    // a whole number
	kindBool                      // true or false
	kindList                      // joined by commas, or a JSON list
	kindHeaders                   // headers.NAME, or a JSON object
	kindNested                    // drop, alert: drop.action, or a JSON object
	kindReadOnly                  // id
)

// subField is a field of a subscription as the command line names it.
type subField struct {
	name, flag string
	kind       fieldKind
	usage      string
}

// subFields are the fields of a subscription; a test keeps them complete.
var subFields = []subField{
	{"id", "", kindReadOnly, ""},
	{"topic", "topic", kindText, "`PATTERN` of topics: order.created, order.* (one level), order.> (the rest)"},
	{"urls", "url", kindList, "worker `URL`; may be repeated, several share the load"},
	{"paused", "paused", kindBool, "keep messages, push none"},
	{"concurrency", "concurrency", kindNumber, "`N` pushes at once, in each dispatcher"},
	{"retry_concurrency", "retry-concurrency", kindNumber, "`N` retries at once, beside them"},
	{"interval", "interval", kindText, "`PAUSE` between two pushes, such as 5ms"},
	{"timeout", "timeout", kindText, "`TIME` that a worker has to answer, such as 5s"},
	{"max_retries", "max-retries", kindNumber, "`N` retries before a message is dead"},
	{"retry_coefficient", "retry-coefficient", kindText, "the wait after attempt n is n² times this `DURATION`"},
	{"encoding", "encoding", kindText, "`NAME` of the protocol: json, or form for workers of earlier versions"},
	{"secret", "secret", kindText, "signing secret `SECRET` whsec_…; others see it in ps, --file - avoids that"},
	{"headers", "header", kindHeaders, "header `'NAME: VALUE'` of each push; may be repeated"},
	{"receive_bench", "receive-bench", kindBool, "have a pattern such as > cover the topics of load tests, bench.<12 hex digits>, too"},
	{"drop", "", kindNested, ""},
	{"drop.threshold", "drop-threshold", kindNumber, "`N` failures after which drop-action holds; 0 leaves it to max-retries"},
	{"drop.action", "drop-action", kindText, "`ACTION` on a message that failed for good: keep, log or drop"},
	{"alert", "", kindNested, ""},
	{"alert.enabled", "alert", kindBool, "send alerts (the default); --alert=false sends none"},
	{"alert.urls", "alert-url", kindList, "receiver `URL` of alerts; may be repeated"},
	{"alert.window", "alert-window", kindText, "`DURATION` in which failures are counted"},
	{"alert.failures", "alert-failures", kindNumber, "alert at `N` failures within the window; 0 switches it off"},
	{"alert.message_failures", "alert-message-failures", kindNumber, "alert when one message failed `N` times; 0 switches it off"},
	{"alert.backlog", "alert-backlog", kindNumber, "alert when `N` messages wait; 0 switches it off"},
	{"alert.every", "alert-every", kindText, "one notice per `DURATION` at most"},
}

func findField(name string) (subField, bool) {
	for _, f := range subFields {
		if f.name == name {
			return f, true
		}
	}
	return subField{}, false
}

// patch is a subscription document, or a part of one, under construction.
type patch map[string]any

// set puts the JSON of text in the place that a dotted name says. The error is a FieldError.
func (p patch) set(name, text string) error {
	into, last := p, name
	f, known := findField(name)
	if parent, rest, nested := strings.Cut(name, "."); nested && rest != "" {
		if parent == "headers" {
			f, known = subField{name: name, kind: kindText}, true // any name
		}
		if known {
			if p[parent] == nil {
				p[parent] = patch{}
			}
			inner, ok := p[parent].(patch)
			if !ok {
				return fieldError(name, parent+" is given as a whole, too; choose one")
			}
			into, last = inner, rest
		}
	}
	if !known {
		return fieldError(name, "is not a field of a subscription; "+fieldHint(name))
	}
	if _, twice := into[last]; twice {
		return fieldError(name, "is given twice")
	}
	v, err := f.value(text)
	into[last] = v
	return err
}

// value reads text the way the field wants it. Nothing, or null, means the default.
func (f subField) value(text string) (any, error) {
	if text == "" || text == "null" {
		return nil, nil
	}
	raw := json.RawMessage(text)
	switch f.kind {
	case kindReadOnly:
		return nil, fieldError(f.name, "cannot be changed; put a new subscription and remove this one")
	case kindNumber:
		if _, err := strconv.Atoi(text); err != nil {
			return nil, fieldError(f.name, strconv.QuoteToASCII(text)+" is not a whole number")
		}
		return raw, nil
	case kindBool:
		if text != "true" && text != "false" {
			return nil, fieldError(f.name, strconv.QuoteToASCII(text)+" is not true or false")
		}
		return raw, nil
	case kindList:
		if text[0] == '[' && json.Valid(raw) {
			return raw, nil
		}
		if f.name == "alert.urls" {
			return alert.SplitURLs(text), nil // URLs that hold commas
		}
		list := strings.Split(text, ",")
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
		return list, nil
	case kindHeaders, kindNested:
		if text[0] == '{' && json.Valid(raw) {
			return raw, nil
		}
		return nil, fieldError(f.name, fmt.Sprintf("write %s.NAME=VALUE, or a JSON object", f.name))
	case kindText:
		if text[0] == '"' && json.Valid(raw) {
			return raw, nil
		}
	}
	return text, nil
}

func fieldError(name, problem string) error {
	return medispatcher.Problems{{Field: name, Problem: problem}}
}

func fieldHint(name string) string {
	var names []string
	for _, f := range subFields {
		names = append(names, f.name)
	}
	if near := nearest(strings.ReplaceAll(name, "-", "_"), names); near != "" {
		return "did you mean " + near + "?"
	}
	return "medispatcher sub put --help names them"
}
