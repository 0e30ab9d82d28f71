package api_test

import (
	"testing"

	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestKept(t *testing.T) {
	t.Parallel()
	prepare := func(f *paneltest.Fake) {
		paneltest.KeepAway(f)
		f.Refused = "0-4-0"
	}
	check(t, prepare, []routeTest{
		{name: "list", q: request{Method: "GET", Path: "/api/v1/unrouted"}, status: 200, says: []string{`{"messages":[{"id":"0-1-0","at":"2026-01-01T00:00:00Z","topic":"oder.created","message_id":"m1","bytes":42},`, `"0-3-0"`}},
		{name: "list, newest, a page", q: request{Method: "GET", Path: "/api/v1/unrouted?order=newest&limit=1"}, status: 200, says: []string{`"messages":[{"id":"0-3-0"`, `"next":"0-3-0"`}},
		{name: "list, the page behind", q: request{Method: "GET", Path: "/api/v1/unrouted?order=newest&limit=2&after=0-3-0"}, status: 200, says: []string{`"messages":[{"id":"0-2-0"`, `"m1"`}},
		{name: "list, bad order", q: request{Method: "GET", Path: "/api/v1/unrouted?order=random"}, status: 422, says: []string{`"location":"order"`}},
		{name: "list, bad after", q: request{Method: "GET", Path: "/api/v1/unrouted?after=x"}, status: 422, says: []string{`"location":"after"`}},
		{name: "list, Redis away", q: request{Method: "GET", Path: "/api/v1/quarantine"}, broken: "kept", status: 503},
		{name: "show", q: request{Method: "GET", Path: "/api/v1/unrouted/0-2-0"}, status: 200, says: []string{`"message":{"id":"m2","topic":"no.body","body_base64":"/w=="}`}},
		{name: "show raw", q: request{Method: "GET", Path: "/api/v1/quarantine/0-4-0"}, status: 200, says: []string{`"raw":{"body":"four","tropic":`, `"raw_base64":{"bv8=":"eA=="}`, `"source":"1-1"`}},
		{name: "show, none", q: request{Method: "GET", Path: "/api/v1/quarantine/0-1-0"}, status: 404, says: []string{"GET /api/v1/quarantine lists"}},
		{name: "replay some", q: request{Method: "POST", Path: "/api/v1/unrouted/replay", Body: `{"ids":["0-2-0","0-9-9"]}`}, status: 200, says: []string{`{"replayed":1,"remaining":0,"missing":1}`}, steps: "replaykept"},
		{name: "replay, refused", q: request{Method: "POST", Path: "/api/v1/quarantine/replay", Body: `{"ids":["0-4-0"]}`}, status: 200, says: []string{`"replayed":0`, `"refused":1,"refusals":[{"id":"0-4-0","problem":"it would come back"}]`}, steps: "replaykept"},
		{name: "replay all", q: request{Method: "POST", Path: "/api/v1/unrouted/replay"}, status: 200, says: []string{`{"replayed":3,"remaining":0}`}},
		{name: "replay, a list of none", q: request{Method: "POST", Path: "/api/v1/unrouted/replay", Body: `{"ids":[]}`}, status: 422, says: []string{`"location":"ids"`, "name messages"}},
		{name: "replay, bad id", q: request{Method: "POST", Path: "/api/v1/unrouted/replay", Body: `{"ids":["0-2-0","x"]}`}, status: 422, says: []string{`"location":"ids[1]"`}},
		{name: "replay, Redis away", q: request{Method: "POST", Path: "/api/v1/unrouted/replay"}, broken: "replaykept", status: 503, says: []string{"3 messages were replayed, not all of them", "Retry-After: 1"}},
		{name: "purge some", q: request{Method: "DELETE", Path: "/api/v1/unrouted?id=0-1-0&id=0-9-9"}, status: 200, says: []string{`{"purged":1,"remaining":0,"missing":1}`}, steps: "purgekept"},
		{name: "purge, empty id", q: request{Method: "DELETE", Path: "/api/v1/unrouted?id="}, status: 422, says: []string{`"location":"id"`}},
		{name: "purge all", q: request{Method: "DELETE", Path: "/api/v1/quarantine"}, status: 200, says: []string{`{"purged":1,"remaining":0}`}},
		{name: "published to nobody", q: request{Method: "POST", Path: "/api/v1/topics/oder.created/messages"}, status: 202, says: []string{`"warning":"no subscription wants the topic oder.created now; did you mean order.created?"`}},
		{name: "status", q: request{Method: "GET", Path: "/api/v1/status"}, status: 200, says: []string{`"quarantine":1,"unrouted":3`}},
	})
}
