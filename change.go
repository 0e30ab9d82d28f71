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
	shownBefore, shownAfter := before.masked(), after.masked()
	changed := map[string]FieldChange{}
	for _, f := range fields {
		if f.Kind != KindObject && !f.same(before, after) {
			changed[f.Name] = FieldChange{From: f.json(shownBefore), To: f.json(shownAfter)}
		}
	}
	return kind, changed
}

// holds reports whether a subscription, nil for none, has a value to compare.
func (f Field) holds(s *Subscription) bool {
	return s != nil && (!f.omitEmpty || !f.value(s).IsZero())
}

func (f Field) same(a, b *Subscription) bool {
	if !f.holds(a) || !f.holds(b) {
		return f.holds(a) == f.holds(b)
	}
	return reflect.DeepEqual(f.value(a).Interface(), f.value(b).Interface())
}

// json is a value as JSON, nil where there is none.
func (f Field) json(s *Subscription) json.RawMessage {
	if !f.holds(s) {
		return nil
	}
	raw, err := json.Marshal(f.Value(s))
	if err != nil {
		panic(err) // strings, numbers and durations only
	}
	return raw
}

// masked is a copy as everybody may see it, nil of nil.
func (s *Subscription) masked() *Subscription {
	if s == nil {
		return nil
	}
	shown := s.Masked()
	return &shown
}
