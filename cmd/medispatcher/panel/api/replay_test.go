package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestReplay: a replay is begun, counted, shown and stopped; what is wrong with it is named.
func TestReplay(t *testing.T) {
	t.Parallel()
	const path = paneltest.Subs + "/billing/replay"
	for _, c := range []struct {
		name, method, path, body string
		broken                   error
		code                     int
		has                      string
	}{
		{"begun", http.MethodPost, path, `{"since":"2h","topic":"order.*"}`, nil, 202, `"background":true`},
		{"says what is missing", http.MethodPost, path, `{"since":"2h"}`, nil, 202, "the archive begins at"},
		{"counted", http.MethodPost, path, `{"since":"10m","dry_run":true}`, nil, 200, `{"count":{"looked":2,"messages":1,"bytes":10}}`},
		{"no time", http.MethodPost, path, `{}`, nil, 422, "since: is missing"},
		{"no such time", http.MethodPost, path, `{"since":"banana"}`, nil, 422, "neither a duration"},
		{"no such pattern", http.MethodPost, path, `{"since":"1h","topic":"a..b"}`, nil, 422, "topic: "},
		{"no such field", http.MethodPost, path, `{"sinse":"1h"}`, nil, 422, `"location":"body"`},
		{"no JSON", http.MethodPost, path, `since=1h`, nil, 422, "body: is not "},
		{"null", http.MethodPost, path, `null`, nil, 422, "it is null"},
		{"two of them", http.MethodPost, path, `{"since":"1h"}{"since":"2h"}`, nil, 422, "something follows it"},
		{"no UTF-8", http.MethodPost, path, "{\"since\":\"1h\",\"topic\":\"\xff\"}", nil, 422, "it is not UTF-8"},
		{"nobody", http.MethodPost, paneltest.Subs + "/nobody/replay", `{"since":"1h"}`, nil, 404, "nobody"},
		{"busy", http.MethodPost, path, `{"since":"1h"}`, &medispatcher.ReplayBusyError{Other: medispatcher.Replay{Subscription: "billing"}}, 409, "DELETE " + path},
		{"shown", http.MethodGet, path, "", nil, 200, `"done":0.5`},
		{"finished", http.MethodGet, path, "", medispatcher.ErrNotFound, 404, "it may be finished"},
		{"stopped", http.MethodDelete, path, "", nil, 200, `"replayed":1`},
		{"away", http.MethodPost, path, `{"since":"1h"}`, paneltest.ErrRedis, 503, "Redis"},
		{"a new subscription with it", http.MethodPut, paneltest.Subs + "/new?from=24h", `{"topic":"a","urls":["http://h/"]}`, nil, 201, `"id":"new"`},
		{"a new subscription with a wrong time", http.MethodPut, paneltest.Subs + "/new?from=banana", `{"topic":"a","urls":["http://h/"]}`, nil, 422, "from: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := paneltest.New("billing")
			f.Err, f.Broken = c.broken, "replay"
			w := paneltest.Do(t, paneltest.Handler(f, panel.Config{}), paneltest.Request{Method: c.method, Path: c.path, Body: c.body})
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.has) {
				t.Errorf("%d %s; want %d with %s", w.Code, w.Body, c.code, c.has)
			}
			if c.code >= 400 && c.broken == nil && len(f.Steps) > 0 {
				t.Errorf("it did %q", f.Steps)
			}
			if strings.Contains(c.body, "dry_run") && len(f.Noted) > 0 {
				t.Errorf("a dry run is in the audit trail: %+v", f.Noted)
			}
		})
	}
}
