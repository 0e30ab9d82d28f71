package api_test

import "testing"

func TestHistory(t *testing.T) {
	t.Parallel()
	check(t, nil, []routeTest{
		{name: "history", q: request{Method: "GET", Path: subs + "/billing/history?limit=1"}, status: 200, says: []string{`"by":"ann"`, `"subscription":"billing"`, `"next":"1-0"`}},
		{name: "history, last page", q: request{Method: "GET", Path: subs + "/billing/history?before=1-0"}, status: 200, says: []string{`{"changes":[]}`}},
		{name: "history of all", q: request{Method: "GET", Path: "/api/v1/history"}, status: 200, says: []string{`"what":"changed"`}},
		{name: "history, too long", q: request{Method: "GET", Path: "/api/v1/history?limit=1001"}, status: 422, says: []string{"limit"}},
		{name: "history, Redis away", q: request{Method: "GET", Path: "/api/v1/history"}, broken: "changes", status: 503},
	})
}
