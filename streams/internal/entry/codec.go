package entry

import (
	"encoding/json"
	"strings"

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
