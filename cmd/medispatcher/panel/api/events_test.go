package api_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

const (
	events    = "/api/v1/events"
	eventJSON = "application/cloudevents+json"
	batchJSON = "application/cloudevents-batch+json"
	goodEvent = `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`
)

// event is the header of an event in binary mode, with more pairs.
func event(more ...string) []string {
	return append([]string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"}, more...)
}

func TestPublishEvents(t *testing.T) {
	t.Parallel()
	const id = "1-ryuv6mjnpzrnjwyk"
	long := strings.Repeat("x", 1000<<10)
	check(t, nil, []routeTest{
		{name: "binary", q: request{Method: "POST", Path: events, Header: event(), Body: "x"}, status: 202, says: []string{`"ids":["` + id + `"]`, "no subscription wants the topic t now"}},
		{name: "structured", q: request{Method: "POST", Path: events, Header: []string{"Content-Type", eventJSON}, Body: goodEvent}, status: 202, says: []string{`"ids":["` + id + `"]`}},
		{name: "batch", q: request{Method: "POST", Path: events, Header: []string{"Content-Type", batchJSON}, Body: "[" + goodEvent + "," + goodEvent + "]"}, status: 202, says: []string{`"ids":["` + id + `","` + id + `"]`}},
		{name: "empty batch", q: request{Method: "POST", Path: events, Header: []string{"Content-Type", batchJSON}, Body: "[]"}, broken: "publish", status: 202, says: []string{`"ids":[]`}},
		{name: "a message", q: request{Method: "POST", Path: events, Body: "x"}, status: 422, says: []string{`"location":"specversion"`, "this is no CloudEvent"}},
		{name: "a type that is no topic", q: request{Method: "POST", Path: events, Header: []string{"Content-Type", eventJSON}, Body: strings.Replace(goodEvent, `"t"`, `"com.github/pull_request"`, 1)}, status: 422, says: []string{`"location":"type"`, `level \"github/pull_request\" may hold only A-Z a-z 0-9 _ -`, "?topic=NAME"}},
		{name: "one of a batch is wrong", q: request{Method: "POST", Path: events, Header: []string{"Content-Type", batchJSON}, Body: "[" + goodEvent + `,{"id":"2"}]`}, status: 422, says: []string{`"location":"[1].specversion"`}},
		{name: "XML", q: request{Method: "POST", Path: events, Header: []string{"Content-Type", "application/cloudevents+xml"}}, status: 415, says: []string{"application/cloudevents+xml", eventJSON, batchJSON}},
		{name: "gzip", q: request{Method: "POST", Path: events, Header: event("Content-Encoding", "gzip")}, status: 415},
		{name: "bad delay", q: request{Method: "POST", Path: events + "?delay=soon", Header: event()}, status: 422, says: []string{`"location":"delay"`}},
		{name: "bad topic", q: request{Method: "POST", Path: events + "?topic=a..b", Header: event()}, status: 422, says: []string{`"location":"topic"`}},
		{name: "mistyped parameter", q: request{Method: "POST", Path: events + "?topics=a", Header: event()}, status: 422, says: []string{`"location":"topics"`}},
		{name: "large data", q: request{Method: "POST", Path: events, Header: event(), Body: long[:101]}, status: 413, says: []string{"MEDIS_MAX_BODY allows 100"}},
		{name: "large request", q: request{Method: "POST", Path: events, Header: event(), Body: long}, status: 413, says: []string{"the limit of a request with events", "Connection: close"}},
		{name: "Redis away", q: request{Method: "POST", Path: events, Header: event()}, broken: "publish", status: 503, says: []string{"0 of 1 events are known to be accepted: redis: connection refused; repeat", "Retry-After: 1"}},
	})
}

// TestPublishedEvent: what a message is made of, beside what package cloudevents tests.
func TestPublishedEvent(t *testing.T) {
	t.Parallel()
	f := paneltest.New()
	h := paneltest.Handler(f, panel.Config{MaxBody: 4})
	w := paneltest.Do(t, h, request{Method: "POST", Path: events + "?topic=a.b&delay=1500", Body: "\x00\xff\xfe\n", Header: event(
		"traceparent", "00-1", "tracestate", "a=1", "tracestate", "b=2", "ce-traceparent", "00-2", "medis-header-x", "not forwarded", "Authorization", "Bearer not-forwarded")})
	if w.Code != http.StatusAccepted || len(f.Published) != 1 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	m := f.Published[0]
	want := map[string]string{"traceparent": "00-1", "tracestate": "a=1, b=2", "ce-traceparent": "00-2", "ce-id": "1", "ce-type": "t", "ce-time": "", "ce-datacontenttype": ""}
	if string(m.Body) != "\x00\xff\xfe\n" || m.Topic != "a.b" || m.Sender != "/s" || m.Delay != 1500*time.Millisecond || !reflect.DeepEqual(m.Headers, want) {
		t.Errorf("%+v", m)
	}
}
