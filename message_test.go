package medispatcher

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
)

var entryTime = time.UnixMilli(1_700_000_000_123)

// entry is a good incoming entry with some fields changed; "-" removes one.
func entry(changes ...string) map[string]string {
	fields := map[string]string{"topic": "order.created", "body": `{"order":42}`}
	for i := 0; i < len(changes); i += 2 {
		fields[changes[i]] = changes[i+1]
		if changes[i+1] == "-" {
			delete(fields, changes[i])
		}
	}
	return fields
}

func TestDecodeEntry(t *testing.T) {
	plain := Message{Topic: "order.created", Body: []byte(`{"order":42}`), Type: "application/json", Time: entryTime}
	with := func(change func(*Message)) Message {
		m := plain
		change(&m)
		return m
	}
	name255 := strings.Repeat("é", 127) + "x"
	for _, tc := range []struct {
		name   string
		fields map[string]string
		want   Message
	}{
		{"the least", entry(), plain},
		{"empty body", entry("body", ""), with(func(m *Message) { m.Body = []byte{} })},
		{"any bytes in the body", entry("body", "\x00\xff\n"), with(func(m *Message) { m.Body = []byte("\x00\xff\n") })},
		{"id, sender, key", entry("id", "a.b/c", "sender", "shop", "key", "customer 7"), with(func(m *Message) { m.ID, m.Sender, m.Key = "a.b/c", "shop", "customer 7" })},
		{"longest names", entry("id", name255, "sender", name255, "key", name255, "type", name255), with(func(m *Message) { m.ID, m.Sender, m.Key, m.Type = name255, name255, name255, name255 })},
		{"type", entry("type", "text/plain; charset=utf-8"), with(func(m *Message) { m.Type = "text/plain; charset=utf-8" })},
		{"headers", entry("headers", `{"traceparent":"00-1","X-A":"a\tb"}`), with(func(m *Message) { m.Headers = map[string]string{"traceparent": "00-1", "X-A": "a\tb"} })},
		{"no headers", entry("headers", `{}`), with(func(m *Message) { m.Headers = map[string]string{} })},
		{"time", entry("time", "1600000000001"), with(func(m *Message) { m.Time = time.UnixMilli(1600000000001) })},
		{"delay", entry("delay", "1m30s"), with(func(m *Message) { m.Delay = 90 * time.Second })},
		{"delay in ms", entry("delay", "1500"), with(func(m *Message) { m.Delay = 1500 * time.Millisecond })},
		{"empty optional fields", entry("id", "", "sender", "", "key", "", "type", "", "headers", "", "time", "", "delay", ""), plain},
		{"unknown field", entry("colour", "red"), plain},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := DecodeEntry(tc.fields, entryTime)
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, tc.want)
			}
		})
	}
}

// TestReasonsHoldNoValues: whoever puts the body into another field finds it in no reason, which people read who may see no bodies.
func TestReasonsHoldNoValues(t *testing.T) {
	for _, field := range EntryFields {
		for _, value := range []string{`{"card":"4111"}`, "card 4111\x00", "card 4111\xff", `{"a":{"card":"4111"}}`, "a..4111", `{"a":"4111\n"}`} {
			if _, err := DecodeEntry(entry(field, value), entryTime); err != nil && strings.Contains(err.Error(), "4111") {
				t.Errorf("%s %q: %v", field, value, err)
			}
		}
	}
}

func TestDecodeEntryNamesTheWrongField(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, tc := range []struct{ name, field, value, want string }{
		{"topic missing", "topic", "-", "is missing: give a dotted name such as order.created"},
		{"topic empty", "topic", "", "is missing"},
		{"topic is a pattern", "topic", "order.*", "may hold only"},
		{"body missing", "body", "-", "is missing: add a body field"},
		{"id too long", "id", long, "is 256 bytes long; the limit is 255"},
		{"id with a line break", "id", "a\r\nX-Evil: 1", "control character"},
		{"id not UTF-8", "id", "\xff", "is not UTF-8"},
		{"sender too long", "sender", long, "limit is 255"},
		{"sender with NUL", "sender", "\x00", "control character"},
		{"key too long", "key", long, "limit is 255"},
		{"key with DEL", "key", "a\x7f", "control character"},
		{"type with a line break", "type", "text/plain\n", "control character"},
		{"headers not JSON", "headers", "X-A: 1", "is not a JSON object of strings such as"},
		{"headers a list", "headers", `["a"]`, "is not a JSON object of strings"},
		{"headers with a number", "headers", `{"a":1}`, "is not a JSON object of strings"},
		{"header without a name", "headers", `{"":"x"}`, "is not an HTTP header name"},
		{"header name with a space", "headers", `{"X A":"x"}`, `"X A" is not an HTTP header name`},
		{"header name not ASCII", "headers", `{"X-Ä":"x"}`, "is not an HTTP header name"},
		{"header value with a line break", "headers", `{"X-A":"x\r\nX-B: y"}`, `the value of "X-A" has a control character or a line break`},
		{"headers too long", "headers", `{"a":"` + strings.Repeat("x", 16<<10) + `"}`, "the limit is 16384"},
		{"time not a number", "time", "2024-01-01", `time: is not a unix time in milliseconds`},
		{"time negative", "time", "-1", "is not a unix time in milliseconds"},
		{"time too large", "time", "9223372036854775808", "is not a unix time in milliseconds"},
		{"delay not a duration", "delay", "soon", `delay: is neither a duration such as 1m30s nor a number of milliseconds`},
		{"delay negative", "delay", "-5s", "is outside 0 to 8784h"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := DecodeEntry(entry(tc.field, tc.value), entryTime)
			wantError(t, err, tc.want)
			var fe FieldError
			if !errors.As(err, &fe) || fe.Field != tc.field || !strings.HasPrefix(err.Error(), tc.field+": ") {
				t.Errorf("error %q, want one of field %s", err, tc.field)
			}
		})
	}
}

func TestParseDelay(t *testing.T) {
	const outside = "is outside 0 to 8784h"
	for _, tc := range []struct {
		s    string
		want time.Duration
		err  string
	}{
		{"", 0, ""},
		{"0", 0, ""},
		{"1", time.Millisecond, ""},
		{"1500", 1500 * time.Millisecond, ""},
		{"1h2m3.5s", time.Hour + 2*time.Minute + 3500*time.Millisecond, ""},
		{"250ms", 250 * time.Millisecond, ""},
		{"31622400000", 366 * 24 * time.Hour, ""},
		{"8784h", 366 * 24 * time.Hour, ""},
		{"31622400001", 0, outside},
		{"8784h1ns", 0, outside},
		{"-1", 0, outside},
		{"-1ns", 0, outside},
		{"9223372036854775807", 0, outside},  // × 1e6 overflows to a negative number of ns
		{"-9223372036854775808", 0, outside}, // and this one to 0
		{"18446744073710", 0, outside},       // and this one to a small positive one
		{"92233720368547758080", 0, "\"92233720368547758080\" is "},
		{"9999999h", 0, "is neither a duration such as 1m30s nor a number of milliseconds"},
		{"1d", 0, "is neither a duration"},
		{"1.5", 0, "is neither a duration"},
		{" 1", 0, "is neither a duration"},
		{strings.Repeat("9", 1000) + "\n", 0, "…"},
	} {
		got, err := ParseDelay(tc.s)
		if got != tc.want {
			t.Errorf("ParseDelay(%q) = %s, want %s", tc.s, got, tc.want)
		}
		wantError(t, err, tc.err)
		if err != nil && len(err.Error()) > 200 {
			t.Errorf("the error is %d bytes long", len(err.Error()))
		}
	}
}

func TestCheckReportsEveryProblem(t *testing.T) {
	m := Message{Topic: "a..b", ID: "\n", Sender: "\xff", Key: strings.Repeat("k", 256), Type: "\x00", Headers: map[string]string{"a b": ""}, Delay: -1}
	var p Problems
	if !errors.As(m.Check(), &p) || len(p) != 7 {
		t.Fatalf("%d problems, want 7: %v", len(p), p)
	}
	for i, field := range []string{"topic", "id", "sender", "key", "type", "headers", "delay"} {
		if p[i].Field != field {
			t.Errorf("problem %d is of %s, want %s", i, p[i].Field, field)
		}
	}
	if got := strings.Count(p.Error(), "\n"); got != 6 {
		t.Errorf("%d line breaks in %q, want a line for each problem", got, p.Error())
	}
	if err := (&Message{Topic: "a"}).Check(); err != nil {
		t.Errorf("a good message: %v", err)
	}
}

func TestPartition(t *testing.T) {
	// CRC32 (IEEE) of "123456789" is its check value, cbf43926; the others are by zlib.
	for _, tc := range []struct {
		key, id string
		n, want int
	}{
		{"123456789", "", 1 << 30, 0xcbf43926 % (1 << 30)},
		{"123456789", "", 10, 0xcbf43926 % 10},
		{"", "123456789", 10, 0xcbf43926 % 10},
		{"a", "", 16, 0xe8b7be43 % 16},
		{"a", "123456789", 1000, 0xe8b7be43 % 1000},
		{"é", "", 1000, 0x0e048d3e % 1000},
		{"a", "", 1, 0},
		{"", "", 1, 0},
		{"a", "", 0, 0},
	} {
		if got := Partition(tc.key, tc.id, tc.n); got != tc.want {
			t.Errorf("Partition(%q, %q, %d) = %d, want %d", tc.key, tc.id, tc.n, got, tc.want)
		}
	}
	seen := map[int]bool{}
	for range 1000 {
		seen[Partition("", "", 4)] = true
	}
	if !maps.Equal(seen, map[int]bool{0: true, 1: true, 2: true, 3: true}) {
		t.Errorf("neither key nor id: partitions %v, want all four", seen)
	}
}
