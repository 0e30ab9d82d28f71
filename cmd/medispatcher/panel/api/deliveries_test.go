package api_test

import (
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

func TestDeliveries(t *testing.T) {
	t.Parallel()
	ended := func(f *paneltest.Fake) {
		at := time.UnixMilli(5000).UTC()
		f.Ended = []medispatcher.Attempt{
			{ID: "5000-d-2", Time: at, Message: "m2", Topic: "a.b", Outcome: "failed", Status: 503, Error: "status 503", Attempt: 1, Dispatcher: "d"},
			{ID: "5000-d-1", Time: at, Message: "m1", Topic: "a.b", Outcome: "sent", Status: 200, Answer: "ok", Attempt: 1, TookMS: 1.5, Dispatcher: "d", Unlisted: 7},
		}
	}
	const path = subs + "/billing/deliveries"
	check(t, ended, []routeTest{
		{name: "all", q: request{Method: "GET", Path: path}, status: 200, says: []string{`{"deliveries":[{"id":"5000-d-2","time":"1970-01-01T00:00:05Z","message":"m2"`, `"answer":"ok","dispatcher":"d","unlisted":7}]}`}},
		{name: "a page", q: request{Method: "GET", Path: path + "?limit=1"}, status: 200, says: []string{`"message":"m2"`, `"next":"5000-d-2"`}},
		{name: "the next", q: request{Method: "GET", Path: path + "?limit=1&after=5000-d-2"}, status: 200, says: []string{`{"deliveries":[{"id":"5000-d-1"`}},
		{name: "none", q: request{Method: "GET", Path: path + "?outcome=dead&status=5xx&text=x"}, status: 200, says: []string{`{"deliveries":[]}`}},
		{name: "bad outcome", q: request{Method: "GET", Path: path + "?outcome=released"}, status: 422, says: []string{`"location":"outcome"`}},
		{name: "bad status", q: request{Method: "GET", Path: path + "?status=no"}, status: 422, says: []string{`"location":"status"`}},
		{name: "bad after", q: request{Method: "GET", Path: path + "?after=no"}, status: 422, says: []string{`"location":"after"`}},
		{name: "unknown", q: request{Method: "GET", Path: subs + "/none/deliveries"}, status: 404},
		{name: "Redis away", q: request{Method: "GET", Path: path}, broken: "attempts", status: 503},
	})
}
