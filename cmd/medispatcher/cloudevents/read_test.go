package cloudevents_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/cloudevents"
)

var reader = cloudevents.Reader{MaxBody: 100}

// header makes one of names and values in turn.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// TestModes: an event becomes the same message in each mode.
func TestModes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	for name, c := range map[string]struct {
		binary http.Header
		body   string
		json   string
		want   medispatcher.Message
	}{
		"the least": {
			header("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"), "",
			`{"specversion":"1.0","id":"1","source":"/s","type":"t"}`,
			medispatcher.Message{
				ID: "1-ryuv6mjnpzrnjwyk", Topic: "t", Sender: "/s", Type: "application/json", Body: []byte{},
				Headers: map[string]string{"ce-id": "1", "ce-time": "", "ce-datacontenttype": ""},
			},
		},
		"all of it": {
			header("CE-SpecVersion", "1.0", "ce-id", "order-42", "ce-source", "https://shop.example/a?b#c", "ce-type", "order.created", "ce-subject", "customer%207 %E2%82%AC 100%",
				"ce-time", "2026-01-02T03:04:05.678Z", "ce-dataschema", "https://shop.example/s", "ce-traceparent", "00-1", "ce-partitionkey", "7", "ce-exint", "-42", "ce-exbool", "true", "ce-exempty", "",
				"Content-Type", "application/vnd.order+json; v=1", "traceparent", "not an attribute"),
			`{"n": 12345678901234567890.10, "b":1, "a":2}`,
			`{"data":{"n": 12345678901234567890.10, "b":1, "a":2},"id":"order-42","source":"https://shop.example/a?b#c","type":"order.created","subject":"customer 7 € 100%","time":"2026-01-02T03:04:05.678Z",
			  "dataschema":"https://shop.example/s","traceparent":"00-1","partitionkey":"7","exint":-42,"exbool":true,"exempty":"","nothing":null,"data_base64":null,"datacontenttype":"application/vnd.order+json; v=1","specversion":"1.0"}`,
			medispatcher.Message{
				ID: "order-42-445wlqezjlmzhqcl", Topic: "order.created", Sender: "https://shop.example/a?b#c", Key: "customer 7 € 100%", Type: "application/vnd.order+json; v=1", Time: at,
				Body: []byte(`{"n": 12345678901234567890.10, "b":1, "a":2}`),
				Headers: map[string]string{
					"ce-id": "order-42", "ce-dataschema": "https://shop.example/s", "ce-traceparent": "00-1", "ce-partitionkey": "7", "ce-exint": "-42", "ce-exbool": "true", "ce-exempty": "",
				},
			},
		},
		"bytes": {
			header("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t", "ce-time", "2026-01-02T05:04:05.678123456+02:00", "Content-Type", "image/png"), "\x89P\xff",
			`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-01-02T05:04:05.678123456+02:00","datacontenttype":"image/png","data_base64":"iVD/"}`,
			medispatcher.Message{
				ID: "1-ryuv6mjnpzrnjwyk", Topic: "t", Sender: "/s", Type: "image/png", Body: []byte("\x89P\xff"), Time: at.Add(123456),
				Headers: map[string]string{"ce-id": "1", "ce-time": "2026-01-02T05:04:05.678123456+02:00"},
			},
		},
		"text, long ago": {
			header("ce-specversion", "1.0", "ce-id", "\"a \\\"b\\\" %C3%BC\"", "ce-source", "/s", "ce-type", "t", "ce-time", "1789-07-14T12:00:00Z", "Content-Type", "text/plain"), "one\n\"two\"",
			`{"specversion":"1.0","id":"a \"b\" ü","source":"/s","type":"t","time":"1789-07-14T12:00:00Z","datacontenttype":"text/plain","data":"one\n\"two\""}`,
			medispatcher.Message{
				ID: "a \"b\" ü-ryuv6mjnpzrnjwyk", Topic: "t", Sender: "/s", Type: "text/plain", Body: []byte("one\n\"two\""),
				Headers: map[string]string{"ce-id": `a "b" ü`, "ce-time": "1789-07-14T12:00:00Z"},
			},
		},
		"a JSON string": {
			header("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t", "ce-time", "2026-01-02T03:04:05.678Z", "Content-Type", "text/json"), `"x"`,
			`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-01-02T03:04:05.678Z","datacontenttype":"text/json","data":"x"}`,
			medispatcher.Message{
				ID: "1-ryuv6mjnpzrnjwyk", Topic: "t", Sender: "/s", Type: "text/json", Body: []byte(`"x"`), Time: at, Headers: map[string]string{"ce-id": "1"},
			},
		},
	} {
		same := func(mode string, got []medispatcher.Message, err error) {
			t.Helper()
			if err != nil || len(got) != 1 || !got[0].Time.Equal(c.want.Time) {
				t.Errorf("%s, %s: %v %+v", name, mode, err, got)
				return
			}
			got[0].Time = c.want.Time
			if !reflect.DeepEqual(got[0], c.want) {
				t.Errorf("%s, %s:\n got  %+v\n want %+v", name, mode, got[0], c.want)
			}
		}
		got, err := reader.Request(c.binary, []byte(c.body))
		same("binary", got, err)
		got, err = reader.Request(header("Content-Type", "application/cloudevents+json; charset=UTF-8"), []byte(c.json))
		same("structured", got, err)
		got, err = reader.Request(header("Content-Type", "Application/CloudEvents-Batch+JSON"), []byte("["+c.json+","+c.json+"]"))
		if len(got) != 2 {
			t.Fatalf("%s, batched: %v %+v", name, err, got)
		}
		same("batched", got[1:], err)
	}
}

// TestTopicOfItsOwn: types that are no topics can be published all the same, and stay what they are.
func TestTopicOfItsOwn(t *testing.T) {
	t.Parallel()
	r := cloudevents.Reader{MaxBody: 100, Topic: "github.pull", Headers: map[string]string{"traceparent": "00-1"}}
	got, err := r.Request(header("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "com.github/pull_request"), nil)
	if err != nil || got[0].Topic != "github.pull" || got[0].Headers["ce-type"] != "com.github/pull_request" || got[0].Headers["traceparent"] != "00-1" {
		t.Errorf("%v %+v", err, got)
	}
	if e := got[0].CloudEvent(); e.Type != "com.github/pull_request" {
		t.Errorf("%+v", e)
	}
	r.Topic = "a b"
	if _, err = r.Request(header("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"), nil); err == nil || !strings.HasPrefix(err.Error(), `topic: "a b": level`) {
		t.Error(err)
	}
}

// TestIDs: events are the same if both source and id are.
func TestIDs(t *testing.T) {
	t.Parallel()
	id := func(source, id string) string {
		t.Helper()
		got, err := reader.Request(header("ce-specversion", "1.0", "ce-id", id, "ce-source", source, "ce-type", "t"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return got[0].ID
	}
	long := strings.Repeat("x", 1000)
	seen := map[string]string{}
	for _, e := range [][2]string{{"/a", "1"}, {"/b", "1"}, {"/a", "2"}, {"/a", long}, {"/a", long + "x"}, {"/b", long}, {"/a", long[:238]}, {"/a", long[:239]}} {
		got := id(e[0], e[1])
		if len(got) > 255 || seen[got] != "" || got != id(e[0], e[1]) {
			t.Errorf("%q: %s, which %q has", e, got, seen[got])
		}
		seen[got] = fmt.Sprint(e)
	}
}

// TestRefused: each problem names its attribute, and all of them are told at once.
func TestRefused(t *testing.T) {
	t.Parallel()
	const good = `"specversion":"1.0","id":"1","source":"/s","type":"t"`
	for _, c := range []struct{ name, body, want string }{
		{"no JSON", `{`, "body: is not a JSON object such as"},
		{"null", `null`, "body: is not a JSON object such as"},
		{"not UTF-8", "{\"\xff\"", "body: is not UTF-8"},
		{"nothing", `{}`, "specversion: is missing: give"},
		{"almost nothing", `{"specversion":"1.0","id":" "}`, "id: is missing: each event has one\nsource: is missing: each event has one\ntype: is missing: each event has one"},
		{"another version", `{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, `specversion: is "0.3"; this takes 1.0`},
		{"a type that is no topic", `{"specversion":"1.0","id":"1","source":"/s","type":"com.github/pull_request"}`,
			`type: cannot be a topic: "com.github/pull_request": level "github/pull_request" may hold only A-Z a-z 0-9 _ -; name a topic for it, by ?topic=NAME or the argument TOPIC of the command`},
		{"a source that is none", `{"specversion":"1.0","id":"1","source":"a b","type":"t"}`, `source: "a b" is not a URI-reference`},
		{"a long source", `{"specversion":"1.0","id":"1","source":"` + strings.Repeat("s", 256) + `","type":"t"}`, `source: is 256 bytes long; the limit is 255`},
		{"a long subject", `{` + good + `,"subject":"` + strings.Repeat("s", 256) + `"}`, `subject: is 256 bytes long; the limit is 255`},
		{"a control character", `{` + good + `,"subject":"a\nb"}`, "subject: has a control character"},
		{"a long attribute", `{` + good + `,"ex":"` + strings.Repeat("s", 16<<10) + `"}`, "attributes: hold 16"},
		{"time", `{` + good + `,"time":"yesterday"}`, `time: "yesterday" is not a time such as`},
		{"schema", `{` + good + `,"dataschema":"/s"}`, `dataschema: "/s" is not a URI such as`},
		{"content type", `{` + good + `,"datacontenttype":"a b"}`, `datacontenttype: "a b" is not a content type`},
		{"name", `{` + good + `,"Ex_1":"x"}`, `Ex_1: cannot be the name of an attribute`},
		{"an object", `{` + good + `,"ex":{"a":1},"ey":[1],"ez":1.5}`, "ex: must be a string, a whole number, true or false\ney: must be a string, a whole number, true or false\nez: must be"},
		{"a number for an id", `{"specversion":"1.0","id":{},"source":"/s","type":"t"}`, "id: must be a string"},
		{"data twice", `{` + good + `,"data":1,"data_base64":"AA=="}`, "data: stands beside data_base64"},
		{"base64", `{` + good + `,"data_base64":"?"}`, "data_base64: is not a string in base64"},
		{"base64 of numbers", `{` + good + `,"data_base64":[1]}`, "data_base64: is not a string in base64"},
		{"an object for a text", `{` + good + `,"data":{},"datacontenttype":"text/plain"}`, `data: must be a string, because the datacontenttype "text/plain" is not JSON`},
	} {
		_, err := reader.Request(header("Content-Type", cloudevents.Structured), []byte(c.body))
		if _, named := errors.AsType[medispatcher.Problems](err); !named || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		name, want string
		h          http.Header
	}{
		{"no event", "specversion: is missing: this is no CloudEvent", header("Content-Type", "application/json")},
		{"twice", "id: the header Ce-Id is given twice", header("ce-specversion", "1.0", "ce-id", "1", "ce-id", "2")},
		{"content type", "datacontenttype: the header Ce-Datacontenttype is not allowed", header("ce-specversion", "1.0", "ce-datacontenttype", "text/plain")},
		{"data", "data: the header Ce-Data is not allowed", header("ce-specversion", "1.0", "ce-data", "x")},
		{"not UTF-8", "subject: is not UTF-8 when", header("ce-specversion", "1.0", "ce-subject", "%FF")},
		{"name", "a-b: cannot be the name of an attribute", header("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t", "ce-a-b", "x")},
	} {
		if _, err := reader.Request(c.h, nil); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	for _, contentType := range []string{"application/cloudevents+xml", "application/cloudevents", "application/cloudevents+avro; x=y"} {
		if _, err := reader.Request(header("Content-Type", contentType), nil); !errors.As(err, new(cloudevents.UnsupportedError)) {
			t.Errorf("%s: %v", contentType, err)
		}
	}
	large := strings.Repeat("x", 101)
	if _, err := reader.Request(header("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"), []byte(large)); !errors.Is(err, medispatcher.ErrTooLarge) {
		t.Error(err)
	}
}

// TestBatchRefused: one wrong event, and none is taken. Each problem says which event it is.
func TestBatchRefused(t *testing.T) {
	t.Parallel()
	const good, batch = `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`, cloudevents.Batched
	for _, c := range []struct{ name, body, want string }{
		{"no array", good, "body: is not a JSON array of events"},
		{"null", "null", "body: is not a JSON array of events"},
		{"wrong ones", "[" + good + `,{"specversion":"1.0","id":"1","type":"a b"},` + good + `,7]`, "[1].source: is missing: each event has one\n[3].body: is not a JSON object"},
		{"many", "[" + strings.Repeat(good+",", cloudevents.MaxBatch) + good + "]", "body: holds 1001 events; give at most 1000"},
		{"a large one", "[" + good + `,{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"` + strings.Repeat("x", 100) + `"}]`, "[1].message body is too large"},
	} {
		got, err := reader.Request(header("Content-Type", batch), []byte(c.body))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || len(got) > 0 {
			t.Errorf("%s: %d, %v, want %s", c.name, len(got), err, c.want)
		}
	}
	if got, err := reader.Request(header("Content-Type", batch), []byte("[]")); err != nil || len(got) != 0 {
		t.Errorf("an empty batch: %v %v", got, err)
	}
	if got, err := reader.Request(header("Content-Type", batch), []byte("["+strings.Repeat(good+",", cloudevents.MaxBatch-1)+good+"]")); err != nil || len(got) != cloudevents.MaxBatch {
		t.Errorf("as many as may be: %d %v", len(got), err)
	}
}
