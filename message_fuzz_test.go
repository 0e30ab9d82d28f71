package medispatcher

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }

// FuzzDecodeEntry: whatever a producer wrote, the error names one of the fields, on one
// line; what decodes could have been published, and means the same when written again.
func FuzzDecodeEntry(f *testing.F) {
	f.Add(uint16(0x1ff), "order.created", "{}", "id-1", "shop", "k", "text/plain", `{"a":"b"}`, "1700000000000", "1m")
	f.Add(uint16(3), "a", "", "", "", "", "", "", "", "")
	f.Add(uint16(0x1ff), "a.b", "\xff", "0-1-2", "", "", "", "{}", "9223372036854775807", "1500")
	f.Add(uint16(0x1ff), "a.*", "", "a.b", "", "", "", `{"a":null}`, "-1", "-1")
	f.Add(uint16(0x1ff), "a", "", "", "", "", "", `{"a":{"b":"\u0000"}}`, "0", "1e9h")
	f.Fuzz(func(t *testing.T, given uint16, topic, body, id, sender, key, typ, headers, at, delay string) {
		fields := map[string]string{}
		for i, value := range []string{topic, body, id, sender, key, typ, headers, at, delay} {
			if given&(1<<i) != 0 {
				fields[EntryFields[i]] = value
			}
		}
		m, err := DecodeEntry(fields, entryTime)
		if old, oldErr := decodeByName(fields, entryTime); !reflect.DeepEqual(old, m) || !reflect.DeepEqual(oldErr, err) {
			t.Errorf("%+v, %v; earlier versions read %+v, %v", m, err, old, oldErr)
		}
		if err != nil {
			var fe FieldError
			if !errors.As(err, &fe) || !slices.Contains(EntryFields, fe.Field) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("error %q names no field, or is not one line", err)
			}
			return
		}
		if err := m.Check(); err != nil {
			t.Errorf("decoded, and cannot be published: %v", err)
		}
		again, err := DecodeEntry(encoded(t, m), time.Time{})
		m.Delay = m.Delay.Truncate(time.Millisecond)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
		if id := m.WebhookID(); (id == "") != (m.ID == "") || strings.ContainsAny(id, ". \r\n") || looksGenerated(id) {
			t.Errorf("webhook-id %q of %q", id, m.ID)
		}
	})
}

// encoded are the fields of an entry that holds m.
func encoded(t *testing.T, m Message) map[string]string {
	t.Helper()
	fields := map[string]string{
		"topic": m.Topic, "body": string(m.Body), "id": m.ID, "sender": m.Sender, "key": m.Key, "type": m.Type,
		"time": strconv.FormatInt(m.Time.UnixMilli(), 10), "delay": m.Delay.String(),
	}
	if m.Delay%time.Millisecond != 0 {
		fields["delay"] = utoa(uint64(m.Delay.Milliseconds()))
	}
	if m.Headers != nil {
		h, err := json.Marshal(m.Headers)
		if err != nil {
			t.Fatal(err)
		}
		fields["headers"] = string(h)
	}
	return fields
}

// decodeByName is DecodeEntry of earlier versions, but for values in errors.
func decodeByName(fields map[string]string, at time.Time) (Message, error) {
	m := Message{ID: fields["id"], Topic: fields["topic"], Sender: fields["sender"], Key: fields["key"], Type: fields["type"], Time: at}
	if err := CheckTopic(m.Topic); err != nil {
		return m, FieldError{"topic", Unquoted(err).Error()}
	}
	body, ok := fields["body"]
	if !ok {
		return m, FieldError{"body", "is missing: add a body field; it may be empty"}
	}
	m.Body = BodyOf(body)
	for _, name := range []string{"id", "sender", "key", "type"} {
		if err := checkName(fields[name]); err != nil {
			return m, FieldError{name, Unquoted(err).Error()}
		}
	}
	if m.Type == "" {
		m.Type = DefaultType
	}
	var err error
	if m.Headers, err = decodeHeaders(fields["headers"]); err != nil {
		return m, FieldError{"headers", err.Error()}
	}
	if s := fields["time"]; s != "" {
		ms, err := strconv.ParseInt(s, 10, 64)
		if err != nil || ms < 0 {
			return m, FieldError{"time", "is not a unix time in milliseconds"}
		}
		m.Time = time.UnixMilli(ms)
	}
	if m.Delay, err = ParseDelay(fields["delay"]); err != nil {
		return m, FieldError{"delay", Unquoted(err).Error()}
	}
	return m, nil
}
