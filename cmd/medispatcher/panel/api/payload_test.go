package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestPayload(t *testing.T) {
	t.Parallel()
	const message = "/api/v1/messages/m-1"
	check(t, func(f *paneltest.Fake) { f.Letters = paneltest.DeadLetters() }, []routeTest{
		{name: "content", q: request{Method: "GET", Path: message + "/content"}, status: 200, says: []string{`"at":"channel/billing/0-"`, `"body":"{\"a\":\"it's\"}"`, `"bytes":12`}},
		{name: "content at a place", q: request{Method: "GET", Path: "/api/v1/messages/m/content?at=dead/billing/0-1-0"}, status: 200, says: []string{`"state":"DEAD"`, `"body":"text"`}},
		{name: "another message is there", q: request{Method: "GET", Path: "/api/v1/messages/x/content?at=dead/billing/0-1-0"}, status: 404},
		{name: "no place", q: request{Method: "GET", Path: message + "/content?at=nowhere"}, status: 422, says: []string{`"location":"at"`}},
		{name: "unknown", q: request{Method: "GET", Path: "/api/v1/messages/x/body"}, status: 404, says: []string{"MEDIS_HISTORY"}},
		{name: "file", q: request{Method: "GET", Path: message + "/body"}, status: 200, says: []string{
			`{"a":"it's"}`, "Content-Type: application/octet-stream", `Content-Disposition: attachment; filename="body-m-1"`, "Content-Security-Policy: sandbox", "X-Content-Type-Options: nosniff",
		}},
		{name: "request", q: request{Method: "GET", Path: message + "/request"}, status: 200, says: []string{
			`"url":"http://h/billing"`, `"masked":true`, `--data-raw '{\"a\":\"it'\\''s\"}'`, `"body_url":"/api/v1/messages/m-1/body?at=channel%2Fbilling%2F0-"`,
		}},
		{name: "request for whom", q: request{Method: "GET", Path: message + "/request?at=unrouted/0-1-0"}, status: 422, says: []string{`"location":"subscription"`}},
		{name: "request for one that would get it", q: request{Method: "GET", Path: message + "/request?at=unrouted/0-1-0&subscription=billing"}, status: 200, says: []string{`"subscription":"billing"`}},
		{name: "request for an unknown one", q: request{Method: "GET", Path: message + "/request?at=unrouted/0-1-0&subscription=none"}, status: 404},
		{name: "request without a target", q: request{Method: "GET", Path: message + "/request"}, broken: "show", status: 422},
		{name: "Redis away", q: request{Method: "GET", Path: message + "/content?at=unrouted/0-1-0"}, broken: "read", status: 503},
	})
}

// TestLargePayload: only the start of a body is shown.
func TestLargePayload(t *testing.T) {
	f := paneltest.New("billing")
	f.Letters = []medispatcher.DeadLetter{{ID: "0-1-0", Message: medispatcher.Message{ID: "m", Body: []byte(strings.Repeat("x", 1<<20))}}}
	h := paneltest.Handler(f, panel.Config{Rules: paneltest.Rules})
	get := func(what string) string {
		w := paneltest.Do(t, h, request{Method: "GET", Path: "/api/v1/messages/m/" + what + "?at=dead/billing/0-1-0"})
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d", what, w.Code)
		}
		return w.Body.String()
	}
	if got := get("content"); len(got) > 66<<10 || !strings.Contains(got, `"bytes":1048576,"cut":true`) {
		t.Errorf("%d bytes: %.200s", len(got), got)
	}
	if got := get("request"); len(got) > 2<<10 || !strings.Contains(got, "--data-binary '@body-m'") || !strings.Contains(got, `"body_file":"body-m"`) {
		t.Errorf("%d bytes: %.2000s", len(got), got)
	}
	if got := get("body"); len(got) != 1<<20 {
		t.Errorf("the file has %d bytes", len(got))
	}
}
