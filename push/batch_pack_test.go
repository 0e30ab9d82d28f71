package push

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/verify"
)

// packing makes the request of an attempt at messages.
func packing(t *testing.T, change func(*medispatcher.Subscription), tracer Tracer, list ...medispatcher.Message) (*batch, packed, *http.Request) {
	t.Helper()
	sub := subscription("a")
	sub.Batch = medispatcher.BatchPolicy{Size: 100, Bytes: 1 << 20, Format: medispatcher.BatchLines}
	if change != nil {
		change(&sub)
	}
	b := &batch{settings: newSettings(&sub, "")}
	for _, m := range list {
		b.jobs = append(b.jobs, &job{Delivery: medispatcher.Delivery{Attempt: 2, Message: m}})
	}
	p := &poster{log: slog.New(slog.DiscardHandler), tracer: tracer}
	req := &request{}
	done := p.pack(req, b, b.settings.ways().targets.urls[0])
	if err := req.buildBatch(b.settings, b.settings.ways().targets.urls[0], b, done.sent, "agent", time.Unix(1_700_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "http://a/", bytes.NewReader(req.Body))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(req.Head)), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return b, done, r
}

var packedOf = []medispatcher.Message{
	{
		ID: "order-1", Topic: "order.created", Time: time.UnixMilli(1_700_000_000_123), Type: medispatcher.DefaultType, Sender: "shop", Key: `k"1`,
		Headers: map[string]string{"traceparent": "00-1", "Country": "DE", "Webhook-Id": "evil"}, Body: []byte("{\"n\": 12345678901234567890.10,\r\n \"s\":\"a\\nb\"}"),
	},
	{ID: "0-1-0", Generated: true, Topic: "t", Time: time.UnixMilli(7), Type: "text/plain; charset=utf-8", Body: []byte("one\n\"two\"\té")},
	{ID: "0-2-0", Generated: true, Topic: "t", Time: time.UnixMilli(7), Type: "image/png", Body: []byte{0x89, 'P', 0xff}},
	{ID: "0-3-0", Generated: true, Topic: "t", Time: time.UnixMilli(7), Type: "application/vnd.x+json", Body: []byte("{half")},
}

// TestPackedReplay: a message of a batch says that it comes from the archive.
func TestPackedReplay(t *testing.T) {
	t.Parallel()
	line := string(appendPacked(nil, &medispatcher.Delivery{Attempt: 1, Replay: true, Message: packedOf[2]}, nil))
	if want := `{"id":"0-2-0","topic":"t","time":7,"attempt":1,"replay":true,"type":"image/png","body_base64":"iVD/"}`; line != want {
		t.Errorf("got %s, want %s", line, want)
	}
}

// TestBatchOnTheWire is what a worker gets, byte by byte.
func TestBatchOnTheWire(t *testing.T) {
	t.Parallel()
	lines := []string{
		`{"id":"order-1","topic":"order.created","time":1700000000123,"attempt":2,"type":"application/json","sender":"shop","key":"k\"1",` +
			`"headers":{"Country":"DE","traceparent":"00-1"},"body":{"n": 12345678901234567890.10,   "s":"a\nb"}}`,
		`{"id":"0-1-0","topic":"t","time":7,"attempt":2,"type":"text/plain; charset=utf-8","body":"one\n\"two\"\té"}`,
		`{"id":"0-2-0","topic":"t","time":7,"attempt":2,"type":"image/png","body_base64":"iVD/"}`,
		`{"id":"0-3-0","topic":"t","time":7,"attempt":2,"type":"application/vnd.x+json","body_base64":"e2hhbGY="}`,
	}
	for format, want := range map[string]string{
		medispatcher.BatchLines: strings.Join(lines, "\n") + "\n",
		medispatcher.BatchArray: "[" + strings.Join(lines, ",") + "]",
	} {
		_, _, r := packing(t, func(s *medispatcher.Subscription) {
			s.Batch.Format, s.Secret, s.Headers = format, vectorSecret, map[string]string{"X-A": "1"}
		}, nil, packedOf...)
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != want {
			t.Errorf("%v\n got %s\nwant %s", err, body, want)
		}
		v, err := verify.New(vectorSecret)
		if err != nil {
			t.Fatal(err)
		}
		v.Now = func() time.Time { return time.Unix(1_700_000_000, 0) }
		if err := v.Check(r.Header, body); err != nil {
			t.Error(err)
		}
		r.Header.Del(verify.HeaderSignature)
		wantType := map[string]string{medispatcher.BatchLines: "application/x-ndjson", medispatcher.BatchArray: "application/json"}[format]
		for name, want := range map[string]string{
			"Content-Type": wantType, "Medis-Batch": "4", "Medis-Subscription": "a", "X-A": "1", "User-Agent": "agent",
			"Webhook-Id": "batch-2d2f366bb52fdaa17c22fe3a387528de", "Webhook-Timestamp": "1700000000", "Medis-Attempt": "", "Medis-Topic": "",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

// TestBatchID: the same messages in the same order have the same one at each attempt.
func TestBatchID(t *testing.T) {
	t.Parallel()
	id := func(list ...medispatcher.Message) string {
		_, _, r := packing(t, nil, nil, list...)
		return r.Header.Get("webhook-id")
	}
	if a, b := id(packedOf[:3]...), id(packedOf[:3]...); a != b {
		t.Errorf("%s and %s of the same messages", a, b)
	}
	if a, b := id(packedOf[0], packedOf[1]), id(packedOf[1], packedOf[0]); a == b {
		t.Errorf("%s in either order", a)
	}
}

// TestBatchIsCut: what does not fit into the bytes of a batch is left for another one. A message that is larger goes alone.
func TestBatchIsCut(t *testing.T) {
	t.Parallel()
	text := func(n int) medispatcher.Message {
		return medispatcher.Message{ID: "m", Topic: "t", Type: "text/plain", Body: bytes.Repeat([]byte{'"'}, n)} // twice as long as a string
	}
	for _, c := range []struct{ size, jobs int }{{100, 5}, {1000, 1}, {300, 2}} {
		for _, tracer := range []Tracer{nil, addsTrace{}} {
			b, done, r := packing(t, func(s *medispatcher.Subscription) { s.Batch.Bytes = 1500 }, tracer, text(c.size), text(c.size), text(c.size), text(c.size), text(c.size))
			if done.jobs != done.sent || done.jobs > c.jobs || tracer == nil && done.jobs != c.jobs {
				t.Errorf("%d bytes: %+v, want %d", c.size, done, c.jobs)
			}
			if r.ContentLength > 1500 && done.jobs > 1 {
				t.Errorf("%d bytes for %d messages", r.ContentLength, done.jobs)
			}
			if tracer != nil && len(done.spans) != done.jobs {
				t.Errorf("%d spans for %d messages", len(done.spans), done.jobs)
			}
			_ = b
		}
	}
}

// addsTrace is a Tracer that begins a trace.
type addsTrace struct{}

func (addsTrace) Attempt(d *medispatcher.Delivery, _ string, h http.Header) func(int, string) {
	h.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-"+d.Message.ID)
	return func(int, string) {}
}

// TestBatchIsTraced: each message has a span, and carries it on under the name that its producer gave the header.
func TestBatchIsTraced(t *testing.T) {
	t.Parallel()
	given := packedOf[1]
	given.Headers = map[string]string{"TraceParent": "00-old", "x": "y"}
	_, done, r := packing(t, nil, addsTrace{}, packedOf[2], given)
	body, _ := io.ReadAll(r.Body)
	list := unpacked(t, r.Header.Get("Content-Type"), body)
	if len(done.spans) != 2 || list[0].Headers["traceparent"] != "00-4bf92f3577b34da6a3ce929d0e0e4736-0-2-0" ||
		list[1].Headers["TraceParent"] != "00-4bf92f3577b34da6a3ce929d0e0e4736-0-1-0" || list[1].Headers["x"] != "y" || len(list[1].Headers) != 2 {
		t.Errorf("%d spans, %+v", len(done.spans), list)
	}
}

// FuzzPack: whatever a message holds, its line is JSON, one line, no longer than it counts for, and has all of it.
func FuzzPack(f *testing.F) {
	for i := range packedOf {
		m := &packedOf[i]
		f.Add(m.ID, m.Type, m.Sender, m.Key, "Country", "DE", m.Body)
	}
	f.Add("", "application/json", "\xff", "\x7f\u2028", "a", "\"\\", []byte("\"\xff\""))
	f.Add("a", "text/json", "<", "&", "a", "\t", []byte(" 1\n"))
	f.Add("a", "text/plain", "", "", "", "", []byte("\x01"))
	f.Add("a", "", "", "", "", "", []byte{})
	f.Fuzz(func(t *testing.T, id, typ, sender, key, name, value string, body []byte) {
		m := medispatcher.Message{ID: id, Topic: "t", Type: typ, Sender: sender, Key: key, Headers: map[string]string{name: value}, Body: body}
		line := appendPacked(nil, &medispatcher.Delivery{Attempt: 1, Message: m}, m.Headers)
		var got packedMessage
		if err := json.Unmarshal(line, &got); err != nil || !utf8.Valid(line) || bytes.ContainsAny(line, "\n\r") {
			t.Fatalf("%v in %q", err, line)
		}
		if got.ID != m.WebhookID() || got.Sender != strings.ToValidUTF8(sender, "\uFFFD") || got.Key != strings.ToValidUTF8(key, "\uFFFD") {
			t.Errorf("%q of %+v", line, m)
		}
		var text string
		switch {
		case got.BodyBase64 != nil:
			if !bytes.Equal(got.BodyBase64, body) {
				t.Errorf("body %q of %q", got.BodyBase64, body)
			}
		case medispatcher.JSONType(typ):
			if string(got.Body) != strings.NewReplacer("\n", " ", "\r", " ").Replace(strings.Trim(string(body), " \t\n\r")) {
				t.Errorf("body %q of %q", got.Body, body)
			}
		default:
			if err := json.Unmarshal(got.Body, &text); err != nil || text != string(body) {
				t.Errorf("body %q of %q", got.Body, body)
			}
		}
	})
}
