package cloudevents_test

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/cloudevents"
	"github.com/solate/medispatcher/push"
)

// FuzzPushed: an event that is published and pushed is, published again, the same message.
func FuzzPushed(f *testing.F) {
	f.Add("1", "/s", "t", "", "", "", "ex", "", []byte(nil))
	f.Add("a b%", "https://h/a?b#c", "order.created", "ü \"x\"", "2026-01-02T03:04:05.123456789+02:00", "text/plain; charset=utf-8", "traceparent", " 00-1", []byte("\xff\n"))
	f.Add("1-1-1", "urn:x:y", "t", "s", "0001-01-01T00:00:00Z", "application/json", "dataschema", "a:b", []byte(`{"a":1}`))
	f.Fuzz(func(t *testing.T, id, source, typ, subject, at, contentType, ex, value string, data []byte) {
		h := http.Header{"Ce-Specversion": {"1.0"}}
		for name, v := range map[string]string{"id": id, "source": source, "type": typ, "subject": subject, "time": at, ex: value} {
			h["Ce-"+name] = []string{v}
		}
		h["Content-Type"] = []string{contentType}
		r := cloudevents.Reader{MaxBody: 1 << 20}
		first, err := r.Request(h, data)
		if err != nil {
			return
		}
		m := first[0]
		sub := medispatcher.DefaultSubscription()
		sub.ID, sub.URLs, sub.Encoding = "a", []string{"http://a/"}, medispatcher.EncodingCloudEvents
		d := &medispatcher.Delivery{Channel: medispatcher.Channel{Subscription: "a"}, Attempt: 1, Message: m}
		if m.Time.IsZero() {
			d.Message.Time = time.UnixMilli(1_700_000_000_000) // of its entry
		}
		req, err := push.Show(&sub, d, "", "agent", time.Now())
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		pushed := http.Header{}
		for _, field := range req.Headers {
			pushed.Add(field.Name, field.Value)
		}
		again, err := r.Request(pushed, req.Body)
		if err != nil {
			t.Fatalf("%+v\n%v: %v", m, pushed, err)
		}
		again[0].Time = m.Time // the header has it, if it is not in the message
		if !reflect.DeepEqual(again[0], m) {
			t.Errorf("\n got  %+v\n want %+v", again[0], m)
		}
	})
}
