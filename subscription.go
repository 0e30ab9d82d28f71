package medispatcher

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Encodings of a push.
const (
	EncodingJSON = "json" // the body's bytes unchanged, Standard Webhooks headers
	EncodingForm = "form" // the protocol of earlier versions
)

// Actions of a drop policy.
const (
	DropKeep = "keep" // exhausted messages become dead letters
	DropLog  = "log"  // they are written to the DATA log and removed
	DropNow  = "drop" // they are counted and removed
)

// SecretMask stands for a secret in every answer; written back, it keeps the secret.
const SecretMask = "whsec_********"

// Duration is a time.Duration that is a string such as "1m30s" in JSON.
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the duration as Go writes it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a Go duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%s is not a duration such as 500ms or 1m30s", quote(string(text)))
	}
	*d = Duration(v)
	return nil
}

// Subscription says who wants a topic and how to push to them, every field in force.
type Subscription struct {
	ID               string            `json:"id"`
	Topic            string            `json:"topic"`
	URLs             []string          `json:"urls"`
	Paused           bool              `json:"paused"`
	Concurrency      int               `json:"concurrency"`
	RetryConcurrency int               `json:"retry_concurrency"`
	Interval         Duration          `json:"interval"`
	Timeout          Duration          `json:"timeout"`
	MaxRetries       int               `json:"max_retries"`
	RetryCoefficient Duration          `json:"retry_coefficient"`
	Encoding         string            `json:"encoding"`
	Secret           string            `json:"secret,omitempty"`
	Headers          map[string]string `json:"headers"`
	ReceiveBench     bool              `json:"receive_bench"`
	Drop             DropPolicy        `json:"drop"`
	Alert            AlertPolicy       `json:"alert"`

	// PreviousSecret signs beside Secret until PreviousUntil. Never shown.
	PreviousSecret string    `json:"-"`
	PreviousUntil  time.Time `json:"-"`
}

// DropPolicy says what becomes of a message whose attempts are exhausted: after
// max_retries, or when Threshold is not 0, once it failed so many times.
type DropPolicy struct {
	Threshold int    `json:"threshold"`
	Action    string `json:"action"`
}

// AlertPolicy holds the alert thresholds of a subscription; 0 switches a rule off.
type AlertPolicy struct {
	Enabled         bool     `json:"enabled"`
	URLs            []string `json:"urls"`
	Window          Duration `json:"window"`
	Failures        int      `json:"failures"`
	MessageFailures int      `json:"message_failures"`
	Backlog         int      `json:"backlog"`
	Every           Duration `json:"every"`
}

// DefaultAlert is the alert policy of a subscription that says nothing of it.
func DefaultAlert() AlertPolicy {
	return AlertPolicy{
		Enabled: true, URLs: []string{}, Window: Duration(3 * time.Minute), Failures: 120,
		MessageFailures: 7, Backlog: 5000, Every: Duration(3 * time.Minute),
	}
}

// AtOnce is how many requests a dispatcher has in flight at most for the subscription.
func (s *Subscription) AtOnce() int {
	if s.Paused {
		return 0
	}
	return s.Concurrency + s.RetryConcurrency
}

// Masked is the subscription as it may be shown, without its secret, the passwords in its worker URLs,
// the values of headers that carry credentials, and of its alert URLs all but where they go. Written
// back, each mask keeps what it stands for.
func (s Subscription) Masked() Subscription {
	if s.Secret != "" {
		s.Secret = SecretMask
	}
	s.URLs, s.Alert.URLs = maskAll(s.URLs, MaskURL), maskAll(s.Alert.URLs, MaskAlertURL)
	s.Headers = maskHeaders(s.Headers)
	return s
}

// fields maps the JSON names to where their values go.
func (s *Subscription) fields() map[string]any {
	return map[string]any{
		"id": &s.ID, "topic": &s.Topic, "urls": &s.URLs, "paused": &s.Paused,
		"concurrency": &s.Concurrency, "retry_concurrency": &s.RetryConcurrency,
		"interval": &s.Interval, "timeout": &s.Timeout, "max_retries": &s.MaxRetries,
		"retry_coefficient": &s.RetryCoefficient, "encoding": &s.Encoding, "secret": &s.Secret,
		"headers": &s.Headers, "receive_bench": &s.ReceiveBench,
		"drop": map[string]any{"threshold": &s.Drop.Threshold, "action": &s.Drop.Action},
		"alert": map[string]any{
			"enabled": &s.Alert.Enabled, "urls": &s.Alert.URLs, "window": &s.Alert.Window,
			"failures": &s.Alert.Failures, "message_failures": &s.Alert.MessageFailures,
			"backlog": &s.Alert.Backlog, "every": &s.Alert.Every,
		},
	}
}

// Rev identifies one version of a stored document; it is the ETag of the API.
func Rev(stored []byte) string {
	sum := sha256.Sum256(stored)
	return hex.EncodeToString(sum[:8])
}

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
