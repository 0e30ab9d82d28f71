package medispatcher

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// Change is one entry of the history: who changed what of a subscription, and when.
type Change struct {
	ID           string                 `json:"id"` // grows with time
	Time         time.Time              `json:"time"`
	Subscription string                 `json:"subscription"`
	By           string                 `json:"by"`   // "cli ann@host", "panel ann", "api 10.0.0.7" without names, "dispatcher host-1-4711"
	What         ChangeKind             `json:"what"` // created, changed, removed
	Fields       map[string]FieldChange `json:"fields,omitempty"`
}

type actorKey struct{}

// WithActor names who makes the changes of a context, as in Change.By.
func WithActor(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

// Actor is who makes the changes of a context; empty where WithActor did not name one.
func Actor(ctx context.Context) string {
	who, _ := ctx.Value(actorKey{}).(string)
	return who
}

// ChangeKind says what became of a subscription.
type ChangeKind string

// The kinds of changes.
const (
	Created ChangeKind = "created"
	Changed ChangeKind = "changed"
	Removed ChangeKind = "removed"
)

// FieldChange is a field's value before and after, in JSON, with secrets masked. It is empty where
// the field had none.
type FieldChange struct {
	From json.RawMessage `json:"from,omitempty"`
	To   json.RawMessage `json:"to,omitempty"`
}

// Shown are the values in words: a string without its quotes, and "none" where there was no value.
func (c FieldChange) Shown() (from, to string) { return shownValue(c.From), shownValue(c.To) }

// unescaped undoes what encoding/json does for HTML.
var unescaped = strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&")

func shownValue(raw json.RawMessage) string {
	text := unescaped.Replace(string(raw))
	switch {
	case text == "", text == "null", text == `""`:
		return "none"
	case text[0] == '"' && !strings.Contains(text, `\`):
		return strings.Trim(text, `"`)
	}
	return text
}

// ChangeOf compares two versions of a subscription, nil for none. Fields are named as in
// JSON, nested ones dotted: drop.action. A replaced secret shows its mask on both sides.
func ChangeOf(before, after *Subscription) (ChangeKind, map[string]FieldChange) {
	kind := Changed
	switch {
	case before == nil:
		kind = Created
	case after == nil:
		kind = Removed
	}
	old, shownOld := flatten(before)
	now, shownNow := flatten(after)
	fields := map[string]FieldChange{}
	for name := range now {
		if !reflect.DeepEqual(old[name], now[name]) {
			fields[name] = FieldChange{From: shownOld[name], To: shownNow[name]}
		}
	}
	for name := range old {
		if _, still := now[name]; !still {
			fields[name] = FieldChange{From: shownOld[name]}
		}
	}
	return kind, fields
}

// flatten is a subscription by field: the values to compare, and those to show.
func flatten(s *Subscription) (values, shown map[string]json.RawMessage) {
	if s == nil {
		return nil, nil
	}
	masked := s.Masked()
	return byField(s), byField(&masked)
}

func byField(s *Subscription) map[string]json.RawMessage {
	values := map[string]json.RawMessage{}
	for _, f := range fields {
		if f.Kind == KindObject || f.omitEmpty && f.value(s).IsZero() {
			continue
		}
		raw, err := json.Marshal(f.Value(s))
		if err != nil {
			panic(err) // strings, numbers and durations only
		}
		values[f.Name] = raw
	}
	return values
}
