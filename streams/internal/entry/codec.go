package entry

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Released marks an entry whose id was remembered when the message first arrived, such as a delayed
// message that is now due. Deduplication must not drop it.
const Released = "~released"

// Values are the fields and values of an incoming entry, in the order of medispatcher.EntryFields.
func Values(m medispatcher.Message) []any {
	values := []any{"topic", m.Topic, "body", m.Body}
	for _, f := range []struct{ name, value string }{{"id", m.ID}, {"sender", m.Sender}, {"key", m.Key}, {"type", m.Type}} {
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

// ChannelValues are the fields of a channel's entry, as fanout.lua writes them.
func ChannelValues(p int, m medispatcher.Message) []any {
	if !m.Generated {
		return Values(m)
	}
	src := strings.TrimPrefix(m.ID, rdb.GeneratedID(p, ""))
	m.ID = ""
	return append(Values(m), "~src", src)
}

// Delivery reads the fields of a channel's entry. Only Fanout writes those.
func Delivery(c medispatcher.Channel, entryID string, attempt int, fields rdb.Fields) (d medispatcher.Delivery) {
	d = medispatcher.Delivery{Channel: c, EntryID: entryID, Attempt: attempt}
	defer func() {
		if v := recover(); v != nil { // only its attempts fail; otherwise it would stop one dispatcher after another
			d.Broken = medispatcher.Recovered(v)
		}
	}()
	get := fields.Get
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
		m.Headers = Headers(h)
	}
	if ms, err := strconv.ParseInt(get("time"), 10, 64); err == nil {
		m.Time = time.UnixMilli(ms)
	}
	return d
}

// Headers reads the headers field of an entry after the fan-out.
func Headers(s string) map[string]string {
	var h map[string]string
	_ = json.Unmarshal([]byte(s), &h) // Fanout lets only valid ones through
	return h
}
