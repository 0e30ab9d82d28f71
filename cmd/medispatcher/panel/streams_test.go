package panel_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/streams"
)

// registry is what a command writes to join the two packages.
type registry struct{ *streams.Registry }

func (r registry) Subscriptions(ctx context.Context) ([]medispatcher.Subscription, int64, error) {
	snapshot, err := r.Latest(ctx)
	if err != nil {
		return nil, 0, err
	}
	subs := make([]medispatcher.Subscription, 0, len(snapshot.Subs))
	for _, s := range snapshot.Subs {
		subs = append(subs, s)
	}
	return subs, snapshot.Revision, nil
}

var (
	_ panel.Registry = registry{}
	_ panel.Store    = (*streams.Store)(nil)
)

// client talks to a panel on a real Store.
type client struct {
	t   *testing.T
	url string
}

func (c client) do(status int, method, path, body string, header ...string) (http.Header, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if res.StatusCode != status {
		c.t.Fatalf("%s %s: %d, want %d: %s", method, path, res.StatusCode, status, answer)
	}
	return res.Header, string(answer)
}

func TestOnRealStore(t *testing.T) {
	mr := miniredis.RunT(t)
	store, err := streams.Open(streams.Config{
		URL: "redis://" + mr.Addr(), Prefix: "medis", Partitions: 1, ID: "d1", DedupeWindow: time.Minute, Readers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	reg := registry{streams.NewRegistry(store, rules, func(id, problem string) { t.Errorf("%s: %s", id, problem) })}
	server := httptest.NewServer(panel.New(panel.Config{MaxBody: 1000, Rules: rules}, panel.Deps{
		Registry: reg, Store: store, Ready: func() error { return store.Ping(t.Context()) }, Log: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	c := client{t: t, url: server.URL}

	// A subscription comes to be, and changes.
	h, _ := c.do(201, "PUT", subs+"/billing", `{"topic":"order.*","urls":["http://127.0.0.1:1/"],"secret":"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"}`)
	first := h.Get("ETag")
	h, body := c.do(200, "GET", subs+"/billing", "")
	if h.Get("ETag") != first || !strings.Contains(body, medispatcher.SecretMask) {
		t.Errorf("%v %s", h, body)
	}
	c.do(200, "PUT", subs+"/billing", body) // what was answered can be written back
	if h, _ = c.do(200, "GET", subs+"/billing", ""); h.Get("ETag") == first {
		t.Error("every field was written, and the revision is the same")
	}
	c.do(412, "PATCH", subs+"/billing", `{"concurrency":9}`, "If-Match", first)
	_, body = c.do(200, "PATCH", subs+"/billing", `{"concurrency":9}`, "If-Match", h.Get("ETag"))
	if !strings.Contains(body, `"concurrency":9`) {
		t.Error(body)
	}
	c.do(200, "POST", subs+"/billing/pause", "")
	if sub, _, err := reg.Get(t.Context(), "billing"); err != nil || sub.Secret != "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz" || !sub.Paused {
		t.Errorf("%+v %v", sub, err)
	}

	_, body = c.do(200, "GET", subs+"/billing/history", "")
	if !strings.Contains(body, `"by":"api 127.0.0.1"`) || !strings.Contains(body, `"concurrency":{"from":8,"to":9}`) || !strings.Contains(body, `"paused":{"from":false,"to":true}`) {
		t.Error(body)
	}

	// Bytes arrive as they are.
	raw := "\x00\xff\xfe{\"é\xc3"
	c.do(202, "POST", "/api/v1/topics/order.created/messages", raw, "Idempotency-Key", "k-1", "medis-header-x", "1")
	entries, err := store.ReadIncoming(t.Context(), 0, 10, false) // the group is made by the first read
	if err == nil && len(entries) == 0 {
		entries, err = store.ReadIncoming(t.Context(), 0, 10, false)
	}
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	m, err := medispatcher.DecodeEntry(entries[0].Fields, entries[0].Time())
	if err != nil || !bytes.Equal(m.Body, []byte(raw)) || m.ID != "k-1" || m.Headers["x"] != "1" {
		t.Errorf("%+v %v", m, err)
	}
	if _, err := store.Fanout(t.Context(), 0, []streams.Routing{{EntryID: entries[0].ID, Message: m, Subs: []string{"billing"}}}); err != nil {
		t.Fatal(err)
	}

	var st medispatcher.Status
	_, body = c.do(200, "GET", "/api/v1/status", "")
	if err := json.Unmarshal([]byte(body), &st); err != nil || len(st.Subscriptions) != 1 || st.Dispatchers == nil || st.Revision < 1 {
		t.Fatal(body, err)
	}
	if s := st.Subscriptions[0]; s.State != "paused" || s.Ready != 1 || s.Topic != "order.*" {
		t.Errorf("%+v", s)
	}
	if _, body = c.do(200, "GET", subs+"?topic=order.created", ""); !strings.Contains(body, `"id":"billing"`) {
		t.Error(body)
	}

	// It goes only with its messages.
	if _, body = c.do(409, "DELETE", subs+"/billing", ""); !strings.Contains(body, "1 READY") {
		t.Error(body)
	}
	c.do(204, "DELETE", subs+"/billing?purge=true", "")
	c.do(404, "GET", subs+"/billing", "")
	if mr.Exists("medis:{0}:ch:billing") {
		t.Error("its channel is left")
	}

	// Redis goes away.
	c.do(200, "GET", "/readyz", "")
	mr.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	if _, body = c.do(503, "POST", "/api/v1/topics/a/messages", "x"); !strings.Contains(body, "OOM") {
		t.Error(body)
	}
	mr.Close()
	h, _ = c.do(503, "POST", "/api/v1/topics/a/messages", "x")
	if h.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	c.do(503, "GET", subs, "")
	c.do(503, "GET", "/api/v1/status", "")
	c.do(503, "GET", "/readyz", "")
	c.do(200, "GET", "/healthz", "")
}
