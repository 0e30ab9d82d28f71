package rdb_test

import (
	"encoding/json"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// FuzzDelivery: a copy of the first layout is read as by the decoder of earlier versions, whatever is in it.
func FuzzDelivery(f *testing.F) {
	f.Add("topic", "order.created", "body", "{}", "~src", "1-0", "time", "1700000000000", "headers", `{"a":"b"}`)
	f.Add("body", "\xff", "id", "p", "body", "again", "type", "", "headers", "[]")
	f.Add("time", "x", "sender", "\r\n", "topic", "", "failure", "{}", "key", "$1\r\n")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2, n3, v3, n4, v4, n5, v5 string) {
		texts := []string{n1, v1, n2, v2, n3, v3, n4, v4, n5, v5}
		values := make([]any, len(texts))
		for i, text := range texts {
			if values[i] = text; i%2 == 0 && text == entry.Whole {
				return // of the second layout
			}
		}
		c := medispatcher.Channel{Partition: 3, Subscription: "s"}
		got, want := entry.Delivery(c, "1-0", 2, rdb.FieldsOf(texts...)), delivery(c, "1-0", 2, values)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n got  %+v\n want %+v", texts, got, want)
		}
	})
}

// delivery is the decoder of earlier versions, and knows only the first layout.
func delivery(c medispatcher.Channel, entryID string, attempt int, fields []any) (d medispatcher.Delivery) {
	d = medispatcher.Delivery{Channel: c, EntryID: entryID, Attempt: attempt}
	get := func(name string) string {
		for i := len(fields) - len(fields)%2 - 2; i >= 0; i -= 2 {
			if n, _ := fields[i].(string); n == name {
				value, _ := fields[i+1].(string)
				return value
			}
		}
		return ""
	}
	m := &d.Message
	m.ID, m.Topic, m.Sender, m.Key, m.Type = get("id"), get("topic"), get("sender"), get("key"), get("type")
	m.Body = medispatcher.BodyOf(get("body"))
	if m.ID == "" {
		m.ID, m.Generated = rdb.GeneratedID(c.Partition, get("~src")), true
	}
	if m.Type == "" {
		m.Type = medispatcher.DefaultType
	}
	if h := get("headers"); h != "" {
		_ = json.Unmarshal([]byte(h), &m.Headers)
	}
	if ms, err := strconv.ParseInt(get("time"), 10, 64); err == nil {
		m.Time = time.UnixMilli(ms)
	}
	return d
}
