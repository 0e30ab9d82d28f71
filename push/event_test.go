package push

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
	"github.com/solate/medispatcher/verify"
)

// cloudEvents has a subscription push CloudEvents.
func cloudEvents(s *medispatcher.Subscription) { s.Encoding = medispatcher.EncodingCloudEvents }

// TestEventOnTheWire is what a worker gets of a message as a CloudEvent in binary mode, header by header.
func TestEventOnTheWire(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*medispatcher.Delivery)
		want    string // Ce-… and Content-Type
		ignored []string
	}{
		"the least": {
			nil,
			"Ce-Id: 0-1700000000123-0\nCe-Source: /medispatcher\nCe-Specversion: 1.0\nCe-Time: 2023-11-14T22:13:20.123Z\nCe-Type: order.created\nContent-Type: application/json\n", nil,
		},
		"its fields": {
			func(d *medispatcher.Delivery) {
				d.Message.ID, d.Message.Generated, d.Message.Sender, d.Message.Key, d.Message.Type = "a.b", false, "shop 1", "Köln \"7\" 100%", "text/plain"
			},
			"Ce-Id: a%252Eb\nCe-Source: shop%25201\nCe-Specversion: 1.0\nCe-Subject: K%C3%B6ln%20%227%22%20100%25\nCe-Time: 2023-11-14T22:13:20.123Z\nCe-Type: order.created\nContent-Type: text/plain\n", nil,
		},
		"published as an event": {
			func(d *medispatcher.Delivery) {
				d.Message.Headers = map[string]string{
					"ce-id": "42", "ce-time": "2026-01-02T03:04:05.123456789Z", "ce-traceparent": "00-1", "ce-dataschema": "a:b", "ce-empty": "", "traceparent": "00-2",
				}
			},
			"Ce-Dataschema: a:b\nCe-Empty: \nCe-Id: 42\nCe-Source: /medispatcher\nCe-Specversion: 1.0\nCe-Time: 2026-01-02T03:04:05.123456789Z\nCe-Traceparent: 00-1\nCe-Type: order.created\nContent-Type: application/json\n", nil,
		},
		"without time and type": {
			func(d *medispatcher.Delivery) {
				d.Message.Headers = map[string]string{"ce-time": "", "ce-datacontenttype": "", "ce-specversion": "1.0"}
			},
			"Ce-Id: 0-1700000000123-0\nCe-Source: /medispatcher\nCe-Specversion: 1.0\nCe-Type: order.created\n", nil,
		},
		"of nonsense": {
			func(d *medispatcher.Delivery) {
				d.Message.Headers = map[string]string{"Ce-A_b": "x", "ce-data": "x", "ce-datacontenttype": "x", "ce-specversion": "0.3", "ce-ex": "\xff"}
				d.Message.Time = time.UnixMilli(1 << 60)
			},
			"Ce-Ex: %FF\nCe-Id: 0-1700000000123-0\nCe-Source: /medispatcher\nCe-Specversion: 1.0\nCe-Type: order.created\nContent-Type: application/json\n", []string{"Ce-A_b", "Ce-Data"},
		},
	} {
		sub := subscription("a")
		cloudEvents(&sub)
		sub.Secret = vectorSecret
		d := delivery(c.change)
		req, body, ignored := arriving(t, sub, d)
		if body != `{"order":42}` {
			t.Errorf("%s: body %s", name, body)
		}
		v, err := verify.New(vectorSecret)
		if err != nil {
			t.Fatal(err)
		}
		v.Now = func() time.Time { return time.Unix(1_700_000_001, 0) }
		if err := v.Check(req.Header, []byte(body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if req.Header.Get("medis-topic") != "order.created" || req.Header.Get("medis-attempt") != "1" || req.Header.Get("webhook-id") != d.Message.WebhookID() ||
			req.Header.Get("traceparent") != d.Message.Headers["traceparent"] {
			t.Errorf("%s: %v", name, req.Header)
		}
		got := http.Header{}
		for name, values := range req.Header {
			if strings.HasPrefix(name, "Ce-") || name == "Content-Type" {
				got[name] = values
			}
		}
		if lines(got) != strings.TrimSuffix(c.want, "\n") {
			t.Errorf("%s:\n got  %s\n want %s", name, lines(got), c.want)
		}
		slices.Sort(ignored)
		if !slices.Equal(ignored, c.ignored) {
			t.Errorf("%s: %v is ignored, want %v", name, ignored, c.ignored)
		}
	}
}

// TestOtherEncodingsHaveNoEvents: the attributes are headers like any other.
func TestOtherEncodingsHaveNoEvents(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{medispatcher.EncodingJSON, medispatcher.EncodingForm} {
		sub := subscription("a")
		sub.Encoding = encoding
		req, _, _ := arriving(t, sub, delivery(func(d *medispatcher.Delivery) { d.Message.Headers = map[string]string{"ce-id": "ü 1"} }))
		if req.Header.Get("ce-id") != "ü 1" || req.Header.Get("ce-specversion") != "" {
			t.Errorf("%s: %v", encoding, req.Header)
		}
	}
}

// eventsOf are messages that make a batch of events.
var eventsOf = []medispatcher.Message{
	{
		ID: "order-1", Topic: "order.created", Time: time.UnixMilli(1_700_000_000_123), Type: medispatcher.DefaultType, Sender: "shop 1", Key: `k"1`,
		Headers: map[string]string{"traceparent": "00-1", "Country": "DE", "Webhook-Id": "evil", "x-y": "no name", "ce-country": "FR", "id": "no"}, Body: []byte("{\"n\": 12345678901234567890.10,\n \"s\":1}"),
	},
	{ID: "x", Topic: "t", Type: "text/plain", Headers: map[string]string{"ce-id": "1", "ce-time": "2026-01-02T03:04:05Z", "ce-source": "/s"}, Body: []byte("one\n")},
	{ID: "y", Topic: "t", Type: medispatcher.DefaultType, Headers: map[string]string{"ce-id": "1", "ce-time": "", "ce-datacontenttype": "", "ce-type": "u/v"}, Body: []byte{0xff}},
	{ID: "z", Topic: "t", Type: medispatcher.DefaultType, Headers: map[string]string{"ce-time": ""}},
	{ID: "o", Topic: "t", Type: "application/vnd.o+json", Headers: map[string]string{"ce-time": ""}, Body: []byte("{}")},
}

// TestEventBatchOnTheWire is what a worker gets of a batch of CloudEvents, byte by byte.
func TestEventBatchOnTheWire(t *testing.T) {
	t.Parallel()
	const want = `[{"specversion":"1.0","id":"order-1","source":"shop%201","type":"order.created","subject":"k\"1","time":"2023-11-14T22:13:20.123Z","datacontenttype":"application/json",` +
		`"country":"FR","traceparent":"00-1","data":{"n": 12345678901234567890.10,  "s":1}},` +
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2026-01-02T03:04:05Z","datacontenttype":"text/plain","data":"one\n"},` +
		`{"specversion":"1.0","id":"1","source":"/medispatcher","type":"u/v","data_base64":"/w=="},` +
		`{"specversion":"1.0","id":"z","source":"/medispatcher","type":"t","datacontenttype":"application/json"},` +
		`{"specversion":"1.0","id":"o","source":"/medispatcher","type":"t","datacontenttype":"application/vnd.o+json","data_base64":"e30="}]`
	for _, format := range []string{medispatcher.BatchLines, medispatcher.BatchArray} { // has no effect
		_, done, r := packing(t, func(s *medispatcher.Subscription) {
			cloudEvents(s)
			s.Batch.Format, s.Secret = format, vectorSecret
		}, nil, eventsOf...)
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != want || !json.Valid(body) || done.sent != 5 {
			t.Errorf("%v\n got %s\nwant %s", err, body, want)
		}
		for name, want := range map[string]string{"Content-Type": "application/cloudevents-batch+json", "Medis-Batch": "5", "Ce-Specversion": ""} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

// TestListedEventsAreRetriedAlone: a worker lists events by their own ids, with the source or without.
func TestListedEventsAreRetriedAlone(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string][]string{
		`{"failed":[{"id":"1","error":"x"}]}`:                    {"x", "y"},
		`{"failed":[{"id":"1","source":"/medispatcher"}]}`:       {"y"},
		`{"failed":[{"id":"1","source":"/s"},{"id":"order-1"}]}`: {"order-1", "x"},
		`{"failed":[{"id":"x"},{"id":"1","source":"/other"}]}`:   nil,
		`{"failed":[{"id":"z","source":7}]}`:                     {"z"},
	} {
		b, done, _ := packing(t, cloudEvents, nil, eventsOf...)
		r := result{batch: done.sent}
		unknown := r.judgeBatch(b, &http1.Answer{Status: 200, Body: []byte(answer)}, nil)
		var failed []string
		for _, j := range b.jobs {
			if j.own != nil {
				failed = append(failed, j.Message.ID)
			}
		}
		if !slices.Equal(failed, want) || (unknown != "") != (want == nil) {
			t.Errorf("%s: %v failed, %q is unknown", answer, failed, unknown)
		}
	}
}

// TestPushesEvents: what is published arrives as events, one by one and in batches.
func TestPushesEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBatches(t, cloudEvents)
		stop := b.run()
		b.put("a", 10)
		time.Sleep(time.Second)
		synctest.Wait()
		posts := b.got()
		if len(posts) != 1 || len(posts[0].ids) != 10 || posts[0].header.Get("Content-Type") != eventBatchType {
			t.Errorf("%+v", posts)
		}
		b.wantLeft("a", "map[]")
		b.ok(stop())
	})
}
