package panel_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel"
)

// keepAway fills the two places of a fake.
func keepAway(f *fake) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.kept = map[medispatcher.KeptPlace][]medispatcher.Kept{
		medispatcher.PlaceUnrouted: {
			{ID: "0-1-0", At: at, Bytes: 42, Message: medispatcher.Message{ID: "m1", Topic: "oder.created", Body: []byte("<b>one</b>")}},
			{ID: "0-2-0", At: at, Bytes: 43, Message: medispatcher.Message{ID: "m2", Topic: "no.body", Body: []byte("\xff")}},
			{ID: "0-3-0", At: at, Bytes: 44, Message: medispatcher.Message{ID: "m3", Topic: "order.paid", Body: []byte("three")}},
		},
		medispatcher.PlaceQuarantine: {
			{ID: "0-4-0", At: at, Bytes: 50, Reason: "DECODERR topic: is missing <i>", Source: "1-1", Fields: map[string]string{"tropic": "a\u202eb", "body": "four", "n\xff": "x"}},
		},
	}
}

func TestKeptAPI(t *testing.T) {
	for _, test := range []struct {
		name   string
		q      request
		status int
		says   []string
		broken string
		steps  string
	}{
		{name: "list", q: request{method: "GET", path: "/api/v1/unrouted"}, status: 200, says: []string{`{"messages":[{"id":"0-1-0","at":"2026-01-01T00:00:00Z","topic":"oder.created","message_id":"m1","bytes":42},`, `"0-3-0"`}},
		{name: "list, newest, a page", q: request{method: "GET", path: "/api/v1/unrouted?order=newest&limit=1"}, status: 200, says: []string{`"messages":[{"id":"0-3-0"`, `"next":"0-3-0"`}},
		{name: "list, the page behind", q: request{method: "GET", path: "/api/v1/unrouted?order=newest&limit=2&after=0-3-0"}, status: 200, says: []string{`"messages":[{"id":"0-2-0"`, `"m1"`}},
		{name: "list, bad order", q: request{method: "GET", path: "/api/v1/unrouted?order=random"}, status: 422, says: []string{`"location":"order"`}},
		{name: "list, bad after", q: request{method: "GET", path: "/api/v1/unrouted?after=x"}, status: 422, says: []string{`"location":"after"`}},
		{name: "list, Redis away", q: request{method: "GET", path: "/api/v1/quarantine"}, broken: "kept", status: 503},
		{name: "show", q: request{method: "GET", path: "/api/v1/unrouted/0-2-0"}, status: 200, says: []string{`"message":{"id":"m2","topic":"no.body","body_base64":"/w=="}`}},
		{name: "show raw", q: request{method: "GET", path: "/api/v1/quarantine/0-4-0"}, status: 200, says: []string{`"raw":{"body":"four","tropic":`, `"raw_base64":{"bv8=":"eA=="}`, `"source":"1-1"`}},
		{name: "show, none", q: request{method: "GET", path: "/api/v1/quarantine/0-1-0"}, status: 404, says: []string{"GET /api/v1/quarantine lists"}},
		{name: "replay some", q: request{method: "POST", path: "/api/v1/unrouted/replay", body: `{"ids":["0-2-0","0-9-9"]}`}, status: 200, says: []string{`{"replayed":1,"remaining":0,"missing":1}`}, steps: "replaykept"},
		{name: "replay, refused", q: request{method: "POST", path: "/api/v1/quarantine/replay", body: `{"ids":["0-4-0"]}`}, status: 200, says: []string{`"replayed":0`, `"refused":1,"refusals":[{"id":"0-4-0","problem":"it would come back"}]`}},
		{name: "replay all", q: request{method: "POST", path: "/api/v1/unrouted/replay"}, status: 200, says: []string{`{"replayed":3,"remaining":0}`}},
		{name: "replay, a list of none", q: request{method: "POST", path: "/api/v1/unrouted/replay", body: `{"ids":[]}`}, status: 422, says: []string{`"location":"ids"`, "name messages"}},
		{name: "replay, bad id", q: request{method: "POST", path: "/api/v1/unrouted/replay", body: `{"ids":["0-2-0","x"]}`}, status: 422, says: []string{`"location":"ids[1]"`}},
		{name: "replay, Redis away", q: request{method: "POST", path: "/api/v1/unrouted/replay"}, broken: "replaykept", status: 503, says: []string{"3 messages were replayed, not all of them", "Retry-After: 1"}},
		{name: "purge some", q: request{method: "DELETE", path: "/api/v1/unrouted?id=0-1-0&id=0-9-9"}, status: 200, says: []string{`{"purged":1,"remaining":0,"missing":1}`}},
		{name: "purge, empty id", q: request{method: "DELETE", path: "/api/v1/unrouted?id="}, status: 422, says: []string{`"location":"id"`}},
		{name: "purge all", q: request{method: "DELETE", path: "/api/v1/quarantine"}, status: 200, says: []string{`{"purged":1,"remaining":0}`}},
		{name: "published to nobody", q: request{method: "POST", path: "/api/v1/topics/oder.created/messages"}, status: 202, says: []string{`"warning":"no subscription wants the topic oder.created now; did you mean order.created?"`}},
		{name: "status", q: request{method: "GET", path: "/api/v1/status"}, status: 200, says: []string{`"quarantine":1,"unrouted":3`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFake("billing")
			keepAway(f)
			f.refused, f.broken, f.err = "0-4-0", test.broken, errRedis
			w := do(t, handler(f, panel.Config{}), test.q)
			text := w.Body.String() + "Retry-After: " + w.Header().Get("Retry-After")
			if w.Code != test.status {
				t.Fatalf("%d %s, want %d", w.Code, text, test.status)
			}
			for _, want := range test.says {
				if !strings.Contains(text, want) {
					t.Errorf("%s\n is not in %s", want, text)
				}
			}
			if test.steps != "" && strings.Join(f.steps, ",") != test.steps {
				t.Errorf("steps %v, want %s", f.steps, test.steps)
			}
		})
	}
}

func TestKeptPages(t *testing.T) {
	f := newFake("billing")
	keepAway(f)
	h := handler(f, panel.Config{})
	for path, want := range map[string][]string{
		"/":                           {"3 messages that no subscription wanted.", `href="/unrouted"`, "1 entry could not be decoded or copied", `href="/quarantine"`},
		"/unrouted":                   {"Unrouted messages", "oder.created", "by nobody; did you mean", "order.created", "by 1 subscription", `href="/subscribe?topic=no.body"`, "Replay all 3", `href="/unrouted" aria-current="page">Unrouted`},
		"/unrouted/0-1-0":             {"&lt;b&gt;one&lt;/b&gt;", "No subscription wanted its topic", "by nobody; did you mean order.created?", `href="/unrouted/0-1-0/body"`},
		"/unrouted/0-2-0":             {"not UTF-8"},
		"/quarantine":                 {"DECODERR topic: is missing &lt;i&gt;", "no topic", "Replay all 1"},
		"/quarantine/0-4-0":           {"tropic", `a\u202eb`, "four", "1-1"},
		"/publish?topic=a.b":          {"kept among the"},
		"/publish?topic=oder.created": {`Did you mean <a href="/publish?topic=order.created">order.created</a>`},
	} {
		w := get(t, h, path)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		for _, text := range want {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: %s is not in %s", path, text, w.Body)
			}
		}
		if strings.Contains(w.Body.String(), "\u202e") || strings.Contains(w.Body.String(), "<b>one") {
			t.Errorf("%s: hostile text", path)
		}
	}
	if w := do(t, h, request{method: "GET", path: "/quarantine/0-4-0/body"}); w.Body.String() != "four" || !strings.Contains(w.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("the file: %v %s", w.Header(), w.Body)
	}
	if w := get(t, h, "/unrouted/0-9-9"); w.Code != http.StatusNotFound {
		t.Errorf("one that is not there: %d", w.Code)
	}
}
