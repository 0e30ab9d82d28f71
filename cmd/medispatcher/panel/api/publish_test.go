package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestPublish(t *testing.T) {
	t.Parallel()
	const messages = "/api/v1/topics/order.created/messages"
	long := strings.Repeat("x", 300)
	check(t, nil, []routeTest{
		{name: "publish", q: request{Method: "POST", Path: messages, Body: "x"}, status: 202, says: []string{`{"id":"0-1-0"}`}},
		{name: "publish with an id", q: request{Method: "POST", Path: messages, Header: []string{"Idempotency-Key", "k-1"}}, status: 202, says: []string{`{"id":"k-1"}`}},
		{name: "bad topic", q: request{Method: "POST", Path: "/api/v1/topics/a..b/messages"}, status: 422, says: []string{`"location":"topic"`, `"detail":"topic: `}},
		{name: "slash in a topic", q: request{Method: "POST", Path: "/api/v1/topics/a%2Fb/messages"}, status: 422, says: []string{`"location":"topic"`}},
		{name: "bad id", q: request{Method: "POST", Path: messages, Header: []string{"Idempotency-Key", long}}, status: 422, says: []string{`"location":"id"`, "id: the header Idempotency-Key is 300 bytes long"}},
		{name: "bad delay", q: request{Method: "POST", Path: messages + "?delay=soon"}, status: 422, says: []string{`"location":"delay"`, "1m30s"}},
		{name: "mistyped parameter", q: request{Method: "POST", Path: messages + "?dealy=5m"}, status: 422, says: []string{`"location":"dealy"`, "dealy: unknown query parameter"}},
		{name: "two ids", q: request{Method: "POST", Path: messages, Header: []string{"Idempotency-Key", "a", "idempotency-key", "a"}}, status: 422, says: []string{`"location":"Idempotency-Key"`, "Idempotency-Key: is given more than once"}},
		{name: "two delays", q: request{Method: "POST", Path: messages + "?delay=1s&delay=2s"}, status: 422, says: []string{"delay: is given more than once"}},
		{name: "two keys, senders and types", q: request{Method: "POST", Path: messages, Header: []string{"medis-key", "a", "medis-key", "b", "medis-sender", "a", "medis-sender", "b", "Content-Type", "a/b", "Content-Type", "a/c", "traceparent", "1", "traceparent", "2"}}, status: 422,
			says: []string{"medis-key: is", "medis-sender: is", "Content-Type: is", "traceparent: is"}},
		{name: "two codings", q: request{Method: "POST", Path: messages, Header: []string{"Content-Encoding", "identity", "Content-Encoding", "gzip"}}, status: 415},
		{name: "unreadable query", q: request{Method: "POST", Path: messages + "?delay=5m%zz"}, status: 422, says: []string{`"location":"query"`, "%zz"}},
		{name: "semicolons in a query", q: request{Method: "POST", Path: messages + "?x=1;delay=5m"}, status: 422, says: []string{`"location":"query"`}},
		{name: "two limits", q: request{Method: "GET", Path: subs + "?limit=1&limit=2"}, status: 422, says: []string{"limit: is given more than once"}},
		{name: "two purges", q: request{Method: "DELETE", Path: subs + "/billing?purge=false&purge=true"}, status: 422, says: []string{"purge: is given more than once"}},
		{name: "bad header name", q: request{Method: "POST", Path: messages, Header: []string{"medis-header-", "x"}}, status: 422, says: []string{`"location":"headers"`}},
		{name: "header not UTF-8", q: request{Method: "POST", Path: messages, Header: []string{"medis-header-x", "\xff"}}, status: 422, says: []string{`"location":"headers"`, "not UTF-8"}},
		{name: "several mistakes", q: request{Method: "POST", Path: "/api/v1/topics/a..b/messages?delay=soon", Header: []string{"medis-key", long}}, status: 422, says: []string{"topic: ", "delay: ", "key: "}},
		{name: "too large", q: request{Method: "POST", Path: messages, Body: long}, status: 413, says: []string{"100 bytes", "MEDIS_MAX_BODY", "Connection: close"}},
		{name: "Redis away", q: request{Method: "POST", Path: messages}, broken: "publish", status: 503, says: []string{"not accepted: redis: connection refused; repeat", "Retry-After: 1"}},
		{name: "a panic", q: request{Method: "POST", Path: messages}, broken: "panic", status: 500},
		{name: "purge, Redis away", q: request{Method: "POST", Path: subs + "/billing/purge"}, broken: "purge", status: 503, says: []string{"3 READY and 0 BURIED messages were purged, not all of them: redis: connection refused; repeat", "Retry-After: 1"}},
		{name: "kick, Redis away", q: request{Method: "POST", Path: subs + "/billing/kick"}, broken: "kick", status: 503, says: []string{"3 messages were kicked, not all of them"}},
	})
}

func TestPublishedMessage(t *testing.T) {
	f := paneltest.New()
	h := paneltest.Handler(f, panel.Config{MaxBody: 4})
	body := "\x00\xff\xfe\n" // exactly the limit
	w := paneltest.Do(t, h, request{Method: "POST", Path: "/api/v1/topics/a.b/messages?delay=1500", Body: body, Header: []string{
		"Idempotency-Key", "k", "Content-Type", "application/x-thing", "medis-sender", "shop", "medis-key", "c-7",
		"traceparent", "00-1", "tracestate", "a=1", "tracestate", "b=2", "medis-header-Owl_Context", "ü", "medis-header-traceparent", "00-2",
		"X-Other", "not forwarded", "Authorization", "Bearer not-forwarded"}})
	if w.Code != http.StatusAccepted || len(f.Published) != 1 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	m := f.Published[0]
	if string(m.Body) != body || m.Topic != "a.b" || m.ID != "k" || m.Sender != "shop" || m.Key != "c-7" ||
		m.Type != "application/x-thing" || m.Delay != 1500*time.Millisecond || !m.Time.IsZero() {
		t.Errorf("%+v", m)
	}
	want := map[string]string{"traceparent": "00-2", "tracestate": "a=1, b=2", "owl_context": "ü"}
	if fmt.Sprint(m.Headers) != fmt.Sprint(want) {
		t.Errorf("headers %q, want %q", m.Headers, want)
	}

	paneltest.Do(t, h, request{Method: "POST", Path: "/api/v1/topics/a.b/messages"})
	if m := f.Published[1]; m.Type != "application/json" || m.Headers != nil || len(m.Body) != 0 {
		t.Errorf("the least message: %+v", m)
	}
}

// endless is a body that counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	e.read += len(p)
	return len(p), nil
}

func TestTooLargeBodyIsNotReadWhole(t *testing.T) {
	const limit = 1000
	for _, announced := range []int64{-1, 1 << 40} {
		body := &endless{}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/api/v1/topics/a/messages", body)
		r.ContentLength = announced
		w := httptest.NewRecorder()
		paneltest.Handler(paneltest.New(), panel.Config{MaxBody: limit}).ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || body.read > limit+1 {
			t.Errorf("announced %d: %d after %d bytes", announced, w.Code, body.read)
		}
		if announced > 0 && body.read > 0 {
			t.Errorf("announced, and still %d bytes read", body.read)
		}
	}
}

func TestBrokenBody(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://[::1]/api/v1/topics/a/messages", io.MultiReader(
		strings.NewReader("half"), failing{io.ErrUnexpectedEOF}))
	w := httptest.NewRecorder()
	f := paneltest.New()
	paneltest.Handler(f, panel.Config{}).ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || len(f.Published) > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
