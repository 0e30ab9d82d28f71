package panel_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
)

const subs = "/api/v1/subscriptions"

var errRedis = errors.New("redis: connection refused")

type request struct {
	method, path, body string
	header             []string // name, value, …
}

func handler(f *fake, cfg panel.Config) http.Handler {
	return panel.New(cfg, panel.Deps{
		Registry: f, Store: f, Kicker: f, Alerts: f, Kept: f, Router: f.router, Ready: func() error { return f.fails("ready") }, Log: slog.New(slog.DiscardHandler),
	})
}

func do(t *testing.T, h http.Handler, q request) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), q.method, q.path, strings.NewReader(q.body))
	r.Host = "localhost:5601"
	for i := 0; i < len(q.header); i += 2 {
		r.Header.Add(q.header[i], q.header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s: headers %v", q.method, q.path, w.Header())
	}
	if w.Code >= 400 {
		var p struct {
			Title, Detail string
			Status        int
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Title == "" || p.Detail == "" ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: no problem document: %d %q %s", q.method, q.path, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	}
	return w
}

func TestRoutes(t *testing.T) {
	rev := medispatcher.Rev([]byte(newFake("billing").docs["billing"]))
	doc := `{"topic":"a.b","urls":["http://h/"]}`
	full := medispatcher.ChannelStatus{Ready: 12, Buried: 3, Dead: 2}
	long := strings.Repeat("x", 300)
	const messages = "/api/v1/topics/order.created/messages"
	tests := []struct {
		name   string
		q      request
		broken string
		err    error
		counts medispatcher.ChannelStatus
		status int

		arriving     int64
		held, paused bool

		says  []string // in the body, or "Header: value"
		steps string   // changes, joined by commas
	}{
		{name: "publish", q: request{method: "POST", path: messages, body: "x"}, status: 202, says: []string{`{"id":"0-1-0"}`}},
		{name: "publish with an id", q: request{method: "POST", path: messages, header: []string{"Idempotency-Key", "k-1"}}, status: 202, says: []string{`{"id":"k-1"}`}},
		{name: "bad topic", q: request{method: "POST", path: "/api/v1/topics/a..b/messages"}, status: 422, says: []string{`"location":"topic"`, `"detail":"topic: `}},
		{name: "slash in a topic", q: request{method: "POST", path: "/api/v1/topics/a%2Fb/messages"}, status: 422, says: []string{`"location":"topic"`}},
		{name: "bad id", q: request{method: "POST", path: messages, header: []string{"Idempotency-Key", long}}, status: 422, says: []string{`"location":"id"`, "id: the header Idempotency-Key is 300 bytes long"}},
		{name: "bad delay", q: request{method: "POST", path: messages + "?delay=soon"}, status: 422, says: []string{`"location":"delay"`, "1m30s"}},
		{name: "mistyped parameter", q: request{method: "POST", path: messages + "?dealy=5m"}, status: 422, says: []string{`"location":"dealy"`, "dealy: unknown query parameter"}},
		{name: "bad header name", q: request{method: "POST", path: messages, header: []string{"medis-header-", "x"}}, status: 422, says: []string{`"location":"headers"`}},
		{name: "header not UTF-8", q: request{method: "POST", path: messages, header: []string{"medis-header-x", "\xff"}}, status: 422, says: []string{`"location":"headers"`, "not UTF-8"}},
		{name: "several mistakes", q: request{method: "POST", path: "/api/v1/topics/a..b/messages?delay=soon", header: []string{"medis-key", long}}, status: 422, says: []string{"topic: ", "delay: ", "key: "}},
		{name: "too large", q: request{method: "POST", path: messages, body: long}, status: 413, says: []string{"100 bytes", "MEDIS_MAX_BODY", "Connection: close"}},
		{name: "Redis away", q: request{method: "POST", path: messages}, broken: "publish", err: errRedis, status: 503, says: []string{"not accepted: redis: connection refused; repeat", "Retry-After: 1"}},
		{name: "a panic", q: request{method: "POST", path: messages}, broken: "panic", status: 500},

		{name: "list", q: request{method: "GET", path: subs}, status: 200, says: []string{`"id":"billing"`, "whsec_********", "user:********@h"}},
		{name: "list, Redis away", q: request{method: "GET", path: subs}, broken: "list", err: errRedis, status: 503, says: []string{"Retry-After: 1"}},
		{name: "list, bad limit", q: request{method: "GET", path: subs + "?limit=0"}, status: 422, says: []string{`"location":"limit"`, "limit: expected number"}},
		{name: "list, limit no number", q: request{method: "GET", path: subs + "?limit=x"}, status: 422, says: []string{"limit: invalid integer"}},
		{name: "list, bad topic", q: request{method: "GET", path: subs + "?topic=a..b"}, status: 422, says: []string{`"location":"topic"`}},

		{name: "get", q: request{method: "GET", path: subs + "/billing"}, status: 200, says: []string{"whsec_********", "user:********@h", `"timeout":"5s"`, `ETag: "` + rev + `"`}},
		{name: "get, none", q: request{method: "GET", path: subs + "/none"}, status: 404, says: []string{"none", "lists"}},
		{name: "get, unusable", q: request{method: "GET", path: subs + "/billing"}, broken: "get", err: medispatcher.Problems{{Field: "urls", Problem: "holds 0 URLs"}}, status: 500, says: []string{"PUT it anew", "urls: holds 0 URLs"}},
		{name: "get, Redis away", q: request{method: "GET", path: subs + "/billing"}, broken: "get", err: errRedis, status: 503},

		{name: "put new", q: request{method: "PUT", path: subs + "/new", body: doc}, status: 201, says: []string{`"id":"new"`, "ETag: "}, steps: "put new"},
		{name: "put over", q: request{method: "PUT", path: subs + "/billing", body: doc}, status: 200, steps: "put billing"},
		{name: "put, unknown field", q: request{method: "PUT", path: subs + "/new", body: `{"topic":"a","urls":["http://h/"],"colour":1}`}, status: 422, says: []string{`"location":"colour"`, "colour: is not a field"}},
		{name: "put, over the maximum", q: request{method: "PUT", path: subs + "/new", body: `{"topic":"a","urls":["http://h/"],"concurrency":1501,"timeout":"1h"}`}, status: 422, says: []string{`"location":"concurrency"`, `"location":"timeout"`, `"detail":"concurrency: `}},
		{name: "put, nested field", q: request{method: "PUT", path: subs + "/new", body: `{"topic":"a","urls":["ftp://h/"],"drop":{"action":"eat"}}`}, status: 422, says: []string{`"location":"drop.action"`, `"location":"urls[0]"`}},
		{name: "put, no JSON", q: request{method: "PUT", path: subs + "/new", body: "x=1"}, status: 422, says: []string{`"location":"body"`}},
		{name: "put, nothing", q: request{method: "PUT", path: subs + "/new"}, status: 422, says: []string{`"location":"body"`}},
		{name: "put, too large", q: request{method: "PUT", path: subs + "/new", body: strings.Repeat(" ", 64<<10) + doc}, status: 413, says: []string{"65536 bytes"}},
		{name: "put, bad id", q: request{method: "PUT", path: subs + "/.hidden", body: doc}, status: 422, says: []string{`"location":"id"`}},
		{name: "put, If-Match", q: request{method: "PUT", path: subs + "/billing", body: doc, header: []string{"If-Match", `"` + rev + `"`}}, status: 200, steps: "put billing"},
		{name: "put, If-Match unquoted", q: request{method: "PUT", path: subs + "/billing", body: doc, header: []string{"If-Match", rev}}, status: 200, steps: "put billing"},
		{name: "put, If-Match of several", q: request{method: "PUT", path: subs + "/billing", body: doc, header: []string{"If-Match", `"old", "` + rev + `"`}}, status: 200, steps: "put billing"},
		{name: "put, If-Match *", q: request{method: "PUT", path: subs + "/billing", body: doc, header: []string{"If-Match", "*"}}, status: 200, steps: "put billing"},
		{name: "put, If-Match * on none", q: request{method: "PUT", path: subs + "/new", body: doc, header: []string{"If-Match", "*"}}, status: 412},
		{name: "put, If-Match stale", q: request{method: "PUT", path: subs + "/billing", body: doc, header: []string{"If-Match", `"old"`}}, status: 412, says: []string{"read it again"}},
		{name: "put, If-Match several stale", q: request{method: "PUT", path: subs + "/billing", body: doc, header: []string{"If-Match", `"old"`, "If-Match", `"older"`}}, status: 412},
		{name: "put, If-Match empty", q: request{method: "PUT", path: subs + "/billing", body: doc, header: []string{"If-Match", `""`}}, status: 412},
		{name: "put, If-Match a star in quotes", q: request{method: "PUT", path: subs + "/billing", body: doc, header: []string{"If-Match", `"*"`}}, status: 412},
		{name: "put, If-Match weak", q: request{method: "PUT", path: subs + "/billing", body: doc, header: []string{"If-Match", `W/"` + rev + `"`}}, status: 412},
		{name: "put, overtaken", q: request{method: "PUT", path: subs + "/billing", body: doc}, broken: "put", err: fmt.Errorf("x: %w", medispatcher.ErrConflict), status: 409},
		{name: "put, Redis away", q: request{method: "PUT", path: subs + "/billing", body: doc}, broken: "put", err: errRedis, status: 503, says: []string{"connection refused", "Retry-After: 1"}},

		{name: "patch", q: request{method: "PATCH", path: subs + "/billing", body: `{"concurrency":32}`}, status: 200, says: []string{`"concurrency":32`, "ETag: "}, steps: "patch billing"},
		{name: "patch, field named", q: request{method: "PATCH", path: subs + "/billing", body: `{"concurrency":0}`}, status: 422, says: []string{"concurrency: 0 is outside 1 to 1500"}},
		{name: "patch, none", q: request{method: "PATCH", path: subs + "/none", body: `{}`}, status: 404},
		{name: "patch, stale", q: request{method: "PATCH", path: subs + "/billing", body: `{}`, header: []string{"If-Match", `"old"`}}, status: 412},
		{name: "patch, too large", q: request{method: "PATCH", path: subs + "/billing", body: strings.Repeat(" ", 64<<10+1)}, status: 413},
		{name: "patch, Redis away", q: request{method: "PATCH", path: subs + "/billing", body: `{}`}, broken: "patch", err: errRedis, status: 503},

		{name: "pause", q: request{method: "POST", path: subs + "/billing/pause"}, status: 200, says: []string{`"paused":true`}, steps: "patch billing"},
		{name: "resume", q: request{method: "POST", path: subs + "/billing/resume"}, status: 200, says: []string{`"paused":false`}, steps: "patch billing"},
		{name: "pause, none", q: request{method: "POST", path: subs + "/none/pause"}, status: 404},
		{name: "pause, stale", q: request{method: "POST", path: subs + "/billing/pause", header: []string{"If-Match", `"old"`}}, status: 412},

		{name: "message", q: request{method: "GET", path: "/api/v1/messages/m-1"}, status: 200, says: []string{`"state":"READY","subscription":"billing"`, `"events":[]`}},
		{name: "message, unknown", q: request{method: "GET", path: "/api/v1/messages/other"}, status: 404, says: []string{"nothing is known", "MEDIS_HISTORY"}},
		{name: "message, Redis away", q: request{method: "GET", path: "/api/v1/messages/m-1"}, broken: "story", err: errRedis, status: 503},

		{name: "history", q: request{method: "GET", path: subs + "/billing/history?limit=1"}, status: 200, says: []string{`"by":"ann"`, `"subscription":"billing"`, `"next":"1-0"`}},
		{name: "history, last page", q: request{method: "GET", path: subs + "/billing/history?before=1-0"}, status: 200, says: []string{`{"changes":[]}`}},
		{name: "history of all", q: request{method: "GET", path: "/api/v1/history"}, status: 200, says: []string{`"what":"changed"`}},
		{name: "history, too long", q: request{method: "GET", path: "/api/v1/history?limit=1001"}, status: 422, says: []string{"limit"}},
		{name: "history, Redis away", q: request{method: "GET", path: "/api/v1/history"}, broken: "changes", err: errRedis, status: 503},

		{name: "delete", q: request{method: "DELETE", path: subs + "/billing"}, status: 204, steps: "remove billing,discard billing"},
		{name: "delete, not empty", q: request{method: "DELETE", path: subs + "/billing"}, counts: full, status: 409, says: []string{"messages (12 READY, 3 BURIED, 2 DEAD)", "?purge=true"}},
		{name: "delete, dead letters", q: request{method: "DELETE", path: subs + "/billing?purge=false"}, counts: medispatcher.ChannelStatus{Dead: 1}, status: 409, says: []string{"1 DEAD"}},
		{name: "delete and purge", q: request{method: "DELETE", path: subs + "/billing?purge=true"}, counts: full, status: 204, steps: "remove billing,discard billing"},
		{name: "delete, bad purge", q: request{method: "DELETE", path: subs + "/billing?purge=maybe"}, status: 422, says: []string{"purge: invalid boolean"}},
		{name: "delete, none", q: request{method: "DELETE", path: subs + "/none"}, status: 404},
		{name: "delete, messages arrive meanwhile", q: request{method: "DELETE", path: subs + "/billing"}, arriving: 4, status: 409, says: []string{"is removed, and meanwhile messages (4 READY) arrived, which are kept; PUT it again"}, steps: "remove billing"},
		{name: "delete and purge, messages arrive meanwhile", q: request{method: "DELETE", path: subs + "/billing?purge=true"}, arriving: 4, status: 204, steps: "remove billing,discard billing"},
		{name: "delete, none and something left", q: request{method: "DELETE", path: subs + "/none"}, counts: full, status: 404, says: []string{"but Redis holds messages (12 READY, 3 BURIED, 2 DEAD) of it; ?purge=true"}},
		{name: "delete, none and nothing left", q: request{method: "DELETE", path: subs + "/none?purge=true"}, status: 404},
		{name: "delete what a failed purge left", q: request{method: "DELETE", path: subs + "/none?purge=true"}, counts: full, status: 204, steps: "discard none"},
		{name: "delete, bad id", q: request{method: "DELETE", path: subs + "/.x?purge=true"}, counts: full, status: 404},
		{name: "delete, unusable document", q: request{method: "DELETE", path: subs + "/billing"}, broken: "get", err: medispatcher.Problems{{Field: "urls", Problem: "x"}}, status: 204, steps: "remove billing,discard billing"},
		{name: "delete, stale", q: request{method: "DELETE", path: subs + "/billing", header: []string{"If-Match", `"old"`}}, status: 412},
		{name: "delete, Redis away", q: request{method: "DELETE", path: subs + "/billing"}, broken: "get", err: errRedis, status: 503},
		{name: "delete, not counted", q: request{method: "DELETE", path: subs + "/billing"}, broken: "counts", err: errRedis, status: 503},
		{name: "delete, not removed", q: request{method: "DELETE", path: subs + "/billing"}, broken: "remove", err: errRedis, status: 503},
		{name: "delete, not discarded", q: request{method: "DELETE", path: subs + "/billing"}, broken: "discard", err: errRedis, status: 503, says: []string{"?purge=true"}, steps: "remove billing"},

		{name: "purge", q: request{method: "POST", path: subs + "/billing/purge"}, counts: full, status: 200, says: []string{`{"ready":12,"buried":3}`}, steps: "purge billing"},
		{name: "purge, none", q: request{method: "POST", path: subs + "/none/purge"}, status: 404, says: []string{"lists"}},
		{name: "purge, bad id", q: request{method: "POST", path: subs + "/.x/purge"}, counts: full, status: 404},
		{name: "purge what a removed one left", q: request{method: "POST", path: subs + "/none/purge"}, counts: full, status: 200, steps: "purge none"},
		{name: "purge, unusable document", q: request{method: "POST", path: subs + "/billing/purge"}, broken: "get", err: medispatcher.Problems{{Field: "urls", Problem: "x"}}, status: 200, steps: "purge billing"},
		{name: "purge, Redis away", q: request{method: "POST", path: subs + "/billing/purge"}, broken: "purge", err: errRedis, status: 503, says: []string{"3 READY and 0 BURIED messages were purged, not all of them: redis: connection refused; repeat", "Retry-After: 1"}},
		{name: "purge, not counted", q: request{method: "POST", path: subs + "/none/purge"}, broken: "counts", err: errRedis, status: 503},
		{name: "kick", q: request{method: "POST", path: subs + "/billing/kick"}, status: 200, says: []string{`{"kicked":5}`}, steps: "kick billing"},
		{name: "kick, none", q: request{method: "POST", path: subs + "/none/kick"}, status: 404},
		{name: "kick, Redis away", q: request{method: "POST", path: subs + "/billing/kick"}, broken: "kick", err: errRedis, status: 503, says: []string{"3 messages were kicked, not all of them"}},

		{name: "dead", q: request{method: "GET", path: subs + "/billing/dead"}, status: 200, says: []string{`{"dead_letters":[{"id":"0-1-0","died":"2026-01-01T00:00:00Z","message":{"id":"m","topic":"a.b","body":"text"},"failure":{"attempts":3`, `"body_base64":"/w=="`}},
		{name: "dead, none", q: request{method: "GET", path: subs + "/none/dead"}, status: 404},
		{name: "dead of a removed one", q: request{method: "GET", path: subs + "/none/dead"}, counts: full, status: 200},
		{name: "dead, bad after", q: request{method: "GET", path: subs + "/billing/dead?after=x"}, status: 422, says: []string{`"location":"after"`, "after: no id"}},
		{name: "dead, bad limit", q: request{method: "GET", path: subs + "/billing/dead?limit=201"}, status: 422, says: []string{`"location":"limit"`}},
		{name: "dead, Redis away", q: request{method: "GET", path: subs + "/billing/dead"}, broken: "letters", err: errRedis, status: 503},
		{name: "dead letter", q: request{method: "GET", path: subs + "/billing/dead/0-2-0"}, status: 200, says: []string{`{"id":"0-2-0"`}},
		{name: "dead letter, none", q: request{method: "GET", path: subs + "/billing/dead/0-9-9"}, status: 404, says: []string{"subscriptions/billing/dead lists"}},
		{name: "dead letter, bad id", q: request{method: "GET", path: subs + "/billing/dead/x"}, status: 422, says: []string{`"location":"letter"`}},
		{name: "replay all", q: request{method: "POST", path: subs + "/billing/dead/replay"}, status: 200, says: []string{`{"replayed":3,"remaining":0}`}, steps: "replay all 3"},
		{name: "replay all, empty object", q: request{method: "POST", path: subs + "/billing/dead/replay", body: "{}\n"}, status: 200, steps: "replay all 3"},
		{name: "replay, a list of none", q: request{method: "POST", path: subs + "/billing/dead/replay", body: `{"ids":[]}`}, status: 422, says: []string{`"location":"ids"`}},
		{name: "replay some", q: request{method: "POST", path: subs + "/billing/dead/replay", body: `{"ids":["0-2-0","0-9-9","0-2-0"]}`}, status: 200, says: []string{`{"replayed":1,"remaining":0,"missing":1}`}, steps: "replay 1"},
		{name: "replay, bad ids", q: request{method: "POST", path: subs + "/billing/dead/replay", body: `{"ids":["0-2-0","x"]}`}, status: 422, says: []string{`"location":"ids[1]"`}},
		{name: "replay, unknown field", q: request{method: "POST", path: subs + "/billing/dead/replay", body: `{"id":["0-2-0"]}`}, status: 422, says: []string{`"location":"body"`}},
		{name: "replay, no JSON", q: request{method: "POST", path: subs + "/billing/dead/replay", body: `all`}, status: 422, says: []string{`"location":"body"`}},
		{name: "replay, two documents", q: request{method: "POST", path: subs + "/billing/dead/replay", body: `{"ids":[]}{"ids":["0-2-0"]}`}, status: 422, says: []string{`"location":"body"`}},
		{name: "replay, too large", q: request{method: "POST", path: subs + "/billing/dead/replay", body: strings.Repeat(" ", 64<<10+1)}, status: 413},
		{name: "replay, none", q: request{method: "POST", path: subs + "/none/dead/replay"}, status: 404},
		{name: "replay, Redis away", q: request{method: "POST", path: subs + "/billing/dead/replay"}, broken: "replay", err: errRedis, status: 503, says: []string{"3 dead letters were replayed, not all of them", "Retry-After: 1"}},
		{name: "purge all dead", q: request{method: "DELETE", path: subs + "/billing/dead"}, status: 200, says: []string{`{"purged":3,"remaining":0}`}, steps: "purgedead all 3"},
		{name: "purge some dead", q: request{method: "DELETE", path: subs + "/billing/dead?id=0-1-0&id=0-2-0&id=0-9-9"}, status: 200, says: []string{`{"purged":2,"remaining":0,"missing":1}`}, steps: "purgedead 2"},
		{name: "purge dead, bad id", q: request{method: "DELETE", path: subs + "/billing/dead?id=x"}, status: 422, says: []string{`"location":"id"`}},
		{name: "purge dead, empty id", q: request{method: "DELETE", path: subs + "/billing/dead?id="}, status: 422, says: []string{`"location":"id"`}},
		{name: "purge dead, none", q: request{method: "DELETE", path: subs + "/none/dead"}, status: 404},

		{name: "status", q: request{method: "GET", path: "/api/v1/status"}, counts: full, status: 200, says: []string{
			`"incoming":{"ready":3,"buried":0,"delayed":0,"quarantine":0,"unrouted":0,"oldest_ms":12}`,
			`"subscriptions":[{"id":"billing","topic":"order.*","state":"active","ready":12,"buried":3,"retrying":0,"dead":2,"oldest_ms":0}]`, `"revision":7`}},
		{name: "status, a breaker", q: request{method: "GET", path: "/api/v1/status"}, held: true, status: 200, says: []string{
			`"state":"breaker_open"`, `"oldest_ms":0,"held_by":[{"dispatcher":"a","since":"2026-01-01T00:00:00Z"}]}]`, `"held":[{"subscription":"billing"`}},
		{name: "status, a breaker of a paused one", q: request{method: "GET", path: "/api/v1/status"}, held: true, paused: true, status: 200, says: []string{
			`"state":"paused","ready":0,"buried":0,"retrying":0,"dead":0,"oldest_ms":0}]`}},
		{name: "status, no list", q: request{method: "GET", path: "/api/v1/status"}, broken: "list", err: errRedis, status: 503},
		{name: "status, no incoming", q: request{method: "GET", path: "/api/v1/status"}, broken: "incoming", err: errRedis, status: 503},
		{name: "status, no counts", q: request{method: "GET", path: "/api/v1/status"}, broken: "counts", err: errRedis, status: 503},
		{name: "status, no dispatchers", q: request{method: "GET", path: "/api/v1/status"}, broken: "dispatchers", err: errRedis, status: 503},
		{name: "dispatchers", q: request{method: "GET", path: "/api/v1/dispatchers"}, status: 200, says: []string{`{"dispatchers":[{"id":"a"`, `{"id":"b"`}},
		{name: "dispatchers, Redis away", q: request{method: "GET", path: "/api/v1/dispatchers"}, broken: "dispatchers", err: errRedis, status: 503},

		{name: "stats", q: request{method: "GET", path: "/api/v1/stats"}, status: 200, says: []string{`"sums":{"received"`, `"minute":1204`, `"topics":[{"topic":"order.created"`, `"subscriptions":[{"id":"billing","sent":{"second":0,"ten_seconds":0,"minute":7`}},
		{name: "stats, a later page has no topics", q: request{method: "GET", path: "/api/v1/stats?after=zz"}, status: 200, says: []string{`"topics":[],"subscriptions":[]`}},
		{name: "stats, no list", q: request{method: "GET", path: "/api/v1/stats"}, broken: "list", err: errRedis, status: 503},
		{name: "stats, no topics", q: request{method: "GET", path: "/api/v1/stats"}, broken: "topics", err: errRedis, status: 503},
		{name: "stats, no counts", q: request{method: "GET", path: "/api/v1/stats"}, broken: "stats", err: errRedis, status: 503},
		{name: "stats, bad limit", q: request{method: "GET", path: "/api/v1/stats?limit=1001"}, status: 422, says: []string{`"location":"limit"`}},
		{name: "stats of one", q: request{method: "GET", path: subs + "/billing/stats"}, status: 200, says: []string{`"id":"billing"`, `"minute":7`}},
		{name: "stats of none", q: request{method: "GET", path: subs + "/none/stats"}, status: 404},
		{name: "series", q: request{method: "GET", path: "/api/v1/stats/series?step=second"}, status: 200, says: []string{`"step":60`, `"sent  second":[1,2]`}},
		{name: "series of one", q: request{method: "GET", path: "/api/v1/stats/series?subscription=billing"}, status: 200, says: []string{`"sent billing minute":[1,2]`}},
		{name: "series of none", q: request{method: "GET", path: "/api/v1/stats/series?subscription=none"}, status: 404},
		{name: "series, bad step", q: request{method: "GET", path: "/api/v1/stats/series?step=day"}, status: 422, says: []string{`"location":"step"`}},
		{name: "series, Redis away", q: request{method: "GET", path: "/api/v1/stats/series"}, broken: "series", err: errRedis, status: 503},

		{name: "alive", q: request{method: "GET", path: "/healthz"}, status: 200, says: []string{"ok"}},
		{name: "ready", q: request{method: "GET", path: "/readyz"}, status: 200, says: []string{"ok"}},
		{name: "not ready", q: request{method: "GET", path: "/readyz"}, broken: "ready", err: errRedis, status: 503, says: []string{"not ready: redis: connection refused"}},

		{name: "no such route", q: request{method: "GET", path: "/nowhere"}, status: 404, says: []string{"/openapi.json"}},
		{name: "no such route, other Accept", q: request{method: "GET", path: subs + "/none", header: []string{"Accept", "text/html, json;q=0.9"}}, status: 404},
		{name: "wrong method", q: request{method: "POST", path: subs}, status: 405, says: []string{"Allow: GET, HEAD", "use GET, HEAD"}},
		{name: "docs page of huma", q: request{method: "GET", path: "/docs"}, status: 404},
		{name: "from a page elsewhere", q: request{method: "POST", path: messages, header: []string{"Sec-Fetch-Site", "cross-site"}}, status: 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake("billing")
			f.broken, f.err, f.counts, f.arriving = tt.broken, tt.err, tt.counts, tt.arriving
			f.letters = deadLetters()
			if tt.held {
				f.held = []medispatcher.Breaker{{Subscription: "billing", Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}}
			}
			if tt.paused {
				f.docs["billing"] = strings.Replace(f.docs["billing"], "{", `{"paused":true,`, 1)
			}
			w := do(t, handler(f, panel.Config{MaxBody: 100, Rules: rules}), tt.q)
			if w.Code != tt.status {
				t.Fatalf("%d, want %d: %s", w.Code, tt.status, w.Body)
			}
			for _, want := range tt.says {
				name, value, isHeader := strings.Cut(want, ": ")
				if isHeader && strings.HasPrefix(w.Header().Get(name), value) && w.Header().Get(name) != "" {
					continue
				}
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("no %s in %v %s", want, w.Header(), w.Body)
				}
			}
			for _, secret := range []string{"MDEyMz", "$schema", "goroutine", "the store is broken"} {
				if strings.Contains(w.Body.String(), secret) {
					t.Errorf("the answer shows %q: %s", secret, w.Body)
				}
			}
			if steps := strings.Join(f.steps, ","); steps != tt.steps {
				t.Errorf("steps %q, want %q", steps, tt.steps)
			}
			if w.Code >= 400 && len(f.published) > 0 {
				t.Errorf("published %v", f.published)
			}
		})
	}
}

func deadLetters() []medispatcher.DeadLetter {
	l := medispatcher.DeadLetter{
		ID: "0-1-0", Died: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Failure: &medispatcher.Failure{Attempts: 3},
		Message: medispatcher.Message{ID: "m", Topic: "a.b", Body: []byte("text")},
	}
	letters := []medispatcher.DeadLetter{l, l, l}
	letters[1].ID, letters[1].Message.Body, letters[1].Failure = "0-2-0", []byte("\xff"), nil
	letters[2].ID = "0-3-0"
	return letters
}

// TestDeadPages: every letter once, whatever ends a page.
func TestDeadPages(t *testing.T) {
	for query, perPage := range map[string]int{"limit=1": 1, "limit=9": 9, "limit=10": 10, "limit=11": 11, "limit=200": 2} {
		f := newFake("billing")
		for i := range 23 {
			l := medispatcher.DeadLetter{ID: fmt.Sprintf("0-%d-0", i+1), Message: medispatcher.Message{Topic: "a"}}
			if query == "limit=200" {
				l.Message.Body = bytes.Repeat([]byte("x"), 2<<20) // two of them are a page
			}
			f.letters = append(f.letters, l)
		}
		h := handler(f, panel.Config{})
		var ids []string
		for after := "&"; after != ""; {
			var page struct {
				Letters []struct{ ID string } `json:"dead_letters"`
				Next    string
			}
			w := do(t, h, request{method: "GET", path: subs + "/billing/dead?" + query + after})
			if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
				t.Fatal(w.Code, err)
			}
			if len(page.Letters) != min(perPage, 23-len(ids)) || len(page.Letters) == 0 {
				t.Fatalf("%s: a page of %d after %d", query, len(page.Letters), len(ids))
			}
			for _, l := range page.Letters {
				ids = append(ids, l.ID)
			}
			after = ""
			if page.Next != "" {
				after = "&after=" + page.Next
			}
		}
		if len(ids) != 23 || ids[0] != "0-1-0" || ids[22] != "0-23-0" {
			t.Errorf("%s: %v", query, ids)
		}
	}
}

func TestPublishedMessage(t *testing.T) {
	f := newFake()
	h := handler(f, panel.Config{MaxBody: 4})
	body := "\x00\xff\xfe\n" // exactly the limit
	w := do(t, h, request{method: "POST", path: "/api/v1/topics/a.b/messages?delay=1500", body: body, header: []string{
		"Idempotency-Key", "k", "Content-Type", "application/x-thing", "medis-sender", "shop", "medis-key", "c-7",
		"traceparent", "00-1", "tracestate", "a=1", "tracestate", "b=2", "medis-header-Owl_Context", "ü", "medis-header-traceparent", "00-2",
		"X-Other", "not forwarded", "Authorization", "Bearer not-forwarded"}})
	if w.Code != http.StatusAccepted || len(f.published) != 1 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	m := f.published[0]
	if string(m.Body) != body || m.Topic != "a.b" || m.ID != "k" || m.Sender != "shop" || m.Key != "c-7" ||
		m.Type != "application/x-thing" || m.Delay != 1500*time.Millisecond || !m.Time.IsZero() {
		t.Errorf("%+v", m)
	}
	want := map[string]string{"traceparent": "00-2", "tracestate": "a=1, b=2", "owl_context": "ü"}
	if fmt.Sprint(m.Headers) != fmt.Sprint(want) {
		t.Errorf("headers %q, want %q", m.Headers, want)
	}

	do(t, h, request{method: "POST", path: "/api/v1/topics/a.b/messages"})
	if m := f.published[1]; m.Type != "application/json" || m.Headers != nil || len(m.Body) != 0 {
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
		handler(newFake(), panel.Config{MaxBody: limit}).ServeHTTP(w, r)
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
	f := newFake()
	handler(f, panel.Config{}).ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || len(f.published) > 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestPages(t *testing.T) {
	f := newFake("c", "a", "e", "b", "d")
	f.docs["d"] = `{"topic":"other.topic","urls":["http://h/"]}`
	h := handler(f, panel.Config{})
	var ids []string
	path, pages := subs+"?limit=2", 0
	for next := "start"; next != ""; pages++ {
		var page struct {
			Subscriptions []struct{ ID string }
			Next          string
		}
		w := do(t, h, request{method: "GET", path: path})
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Subscriptions {
			ids = append(ids, s.ID)
		}
		next = page.Next
		path = subs + "?limit=2&after=" + next
	}
	if pages != 3 || !slices.Equal(ids, []string{"a", "b", "c", "d", "e"}) {
		t.Errorf("%d pages: %v", pages, ids)
	}
	for query, want := range map[string]int{
		"?topic=order.created": 4, "?topic=order.*": 4, "?topic=other.topic": 1, "?topic=other.*": 0, "?after=e": 0, "": 5,
	} {
		w := do(t, h, request{method: "GET", path: subs + query})
		if got := strings.Count(w.Body.String(), `"id":`); got != want || !strings.HasPrefix(w.Body.String(), `{"subscriptions":[`) ||
			strings.Contains(w.Body.String(), `"next"`) {
			t.Errorf("%s: %d, want %d: %s", query, got, want, w.Body)
		}
	}
}

func TestToken(t *testing.T) {
	var h http.Handler
	for _, path := range []string{subs, "/api/v1/status", "/openapi.json", "/nowhere", "/healthz/", "/"} {
		h = handler(newFake("billing"), panel.Config{Token: "s3cret"}) // a new one: too many wrong tokens are answered otherwise
		for _, given := range []string{"", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "Bearer  wrong"} {
			q := request{method: "GET", path: path}
			if given != "" {
				q.header = []string{"Authorization", given}
			}
			w := do(t, h, q)
			if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") ||
				!strings.Contains(w.Body.String(), "MEDIS_ADMIN_TOKEN") {
				t.Errorf("%s with %q: %d %v %s", path, given, w.Code, w.Header(), w.Body)
			}
		}
	}
	for _, given := range []string{"Bearer s3cret", "bearer s3cret", "Bearer  s3cret"} {
		if w := do(t, h, request{method: "GET", path: subs, header: []string{"Authorization", given}}); w.Code != http.StatusOK {
			t.Errorf("%q: %d", given, w.Code)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := do(t, h, request{method: "GET", path: path}); w.Code != http.StatusOK {
			t.Errorf("%s needs a token: %d", path, w.Code)
		}
	}
	if w := do(t, h, request{method: "GET", path: "/nowhere", header: []string{"Authorization", "Bearer s3cret"}}); w.Code != http.StatusNotFound {
		t.Errorf("unknown route: %d", w.Code)
	}
}

func TestPanicIsLogged(t *testing.T) {
	f := newFake()
	f.broken = "panic"
	var log strings.Builder
	h := panel.New(panel.Config{}, panel.Deps{Registry: f, Store: f, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	if w := do(t, h, request{method: "POST", path: "/api/v1/topics/a/messages"}); w.Code != http.StatusInternalServerError {
		t.Fatal(w.Code)
	}
	if !strings.Contains(log.String(), "the store is broken") || !strings.Contains(log.String(), "goroutine") {
		t.Errorf("log: %s", log.String())
	}
}

func TestServerHasLimits(t *testing.T) {
	s := panel.Server("127.0.0.1:0", http.NotFoundHandler())
	if s.Addr != "127.0.0.1:0" || s.Handler == nil || s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= s.ReadHeaderTimeout ||
		s.WriteTimeout <= s.ReadTimeout || s.IdleTimeout <= 0 || s.MaxHeaderBytes < 32<<10 {
		t.Errorf("%+v", s)
	}
}
