package medispatcher

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"
)

// EntryFields are the names of the fields of an incoming entry, in the order in
// which they are written. They are a public contract: producers write them with XADD.
var EntryFields = []string{"topic", "body", "id", "sender", "key", "type", "headers", "time", "delay"}

// DecodeEntry reads the fields of an incoming entry. at is the entry's own time.
// The ID stays empty where the producer gave none: only the stream knows it.
// The error names the field and says what to write instead. It does not quote what is there; see Unquoted.
func DecodeEntry(fields map[string]string, at time.Time) (Message, error) {
	var v EntryValues
	for name, value := range fields {
		v.Set(name, value)
	}
	return v.Checked(at)
}

// EncodeEntry are the fields and values of an incoming entry, in the order of EntryFields.
func EncodeEntry(m *Message) []any {
	values := []any{"topic", m.Topic, "body", m.Body}
	for _, f := range [...]struct{ name, value string }{{"id", m.ID}, {"sender", m.Sender}, {"key", m.Key}, {"type", m.Type}} {
		if f.value != "" {
			values = append(values, f.name, f.value)
		}
	}
	if len(m.Headers) > 0 {
		headers, err := json.Marshal(m.Headers)
		if err != nil {
			panic(err) // a map of strings
		}
		values = append(values, "headers", headers)
	}
	if !m.Time.IsZero() {
		values = append(values, "time", m.Time.UnixMilli())
	}
	if m.Delay > 0 {
		values = append(values, "delay", m.Delay.Milliseconds())
	}
	return values
}

// EntryValues are the values of an entry that make a message; "" where the entry has none.
type EntryValues struct {
	Topic, ID, Sender, Key, Type string

	Body    string
	HasBody bool   // the entry has a body, which may be empty
	Headers string // a JSON object of strings
	Time    string // unix ms
	Delay   string // see ParseDelay
}

// Set takes the value of a field, if it is one of EntryFields. If a field is repeated, its last value counts.
func (v *EntryValues) Set(name, value string) {
	switch name {
	case "topic":
		v.Topic = value
	case "body":
		v.Body, v.HasBody = value, true
	case "id":
		v.ID = value
	case "sender":
		v.Sender = value
	case "key":
		v.Key = value
	case "type":
		v.Type = value
	case "headers":
		v.Headers = value
	case "time":
		v.Time = value
	case "delay":
		v.Delay = value
	}
}

// Checked is DecodeEntry of these values. It shares their memory.
func (v *EntryValues) Checked(at time.Time) (Message, error) {
	m := Message{ID: v.ID, Topic: v.Topic, Sender: v.Sender, Key: v.Key, Type: v.Type, Time: at}
	if err := CheckTopic(m.Topic); err != nil {
		return m, FieldError{"topic", Unquoted(err).Error()}
	}
	if !v.HasBody {
		return m, FieldError{"body", "is missing: add a body field; it may be empty"}
	}
	m.Body = BodyOf(v.Body)
	for _, f := range [...]struct{ name, value string }{{"id", v.ID}, {"sender", v.Sender}, {"key", v.Key}, {"type", v.Type}} {
		if err := checkName(f.value); err != nil {
			return m, FieldError{f.name, Unquoted(err).Error()}
		}
	}
	if m.Type == "" {
		m.Type = DefaultType
	}
	var err error
	if m.Headers, err = decodeHeaders(v.Headers); err != nil {
		return m, FieldError{"headers", err.Error()}
	}
	if v.Time != "" {
		ms, err := strconv.ParseInt(v.Time, 10, 64)
		if err != nil || ms < 0 {
			return m, FieldError{"time", "is not a unix time in milliseconds"}
		}
		m.Time = time.UnixMilli(ms)
	}
	if m.Delay, err = ParseDelay(v.Delay); err != nil {
		return m, FieldError{"delay", Unquoted(err).Error()}
	}
	return m, nil
}

// Unchecked is the message of an entry that was checked before, as far as it can be read. It shares
// the memory of the values. Delay is not read.
func (v *EntryValues) Unchecked() Message {
	m := Message{ID: v.ID, Topic: v.Topic, Body: BodyOf(v.Body), Sender: v.Sender, Key: v.Key, Type: cmp.Or(v.Type, DefaultType)}
	if v.Headers != "" {
		m.Headers = uncheckedHeaders(v.Headers)
	}
	if v.Time != "" {
		if ms, err := strconv.ParseInt(v.Time, 10, 64); err == nil {
			m.Time = time.UnixMilli(ms)
		}
	}
	return m
}

func uncheckedHeaders(s string) (h map[string]string) {
	_ = json.Unmarshal([]byte(s), &h)
	return h
}
