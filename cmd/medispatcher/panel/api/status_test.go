package api_test

import (
	"testing"

	"github.com/solate/medispatcher"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	full := medispatcher.ChannelStatus{Ready: 12, Buried: 3, Dead: 2}
	check(t, nil, []routeTest{
		{name: "status", q: request{Method: "GET", Path: "/api/v1/status"}, counts: full, status: 200, says: []string{
			`"incoming":{"ready":3,"buried":0,"delayed":0,"quarantine":0,"unrouted":0,"oldest_ms":12}`,
			`"subscriptions":[{"id":"billing","topic":"order.*","state":"active","ready":12,"buried":3,"retrying":0,"dead":2,"oldest_ms":0}]`, `"revision":7`,
			`"totals":{"subscriptions":1,"ready":12,"buried":3,"retrying":0,"dead":2,"oldest_ms":0}`}},
		{name: "status, the next page", q: request{Method: "GET", Path: "/api/v1/status?after=billing"}, counts: full, status: 200, says: []string{`"subscriptions":[]`, `"ready":12`}},
		{name: "status, busy", q: request{Method: "GET", Path: "/api/v1/status?busy=true"}, counts: full, status: 200, says: []string{`"id":"billing"`}},
		{name: "status, none is busy", q: request{Method: "GET", Path: "/api/v1/status?busy=true"}, status: 200, says: []string{`"subscriptions":[]`, `"totals":{"subscriptions":1`}},
		{name: "status, too many", q: request{Method: "GET", Path: "/api/v1/status?limit=1001"}, status: 422},
		{name: "status, a breaker", q: request{Method: "GET", Path: "/api/v1/status"}, held: true, status: 200, says: []string{
			`"state":"breaker_open"`, `"oldest_ms":0,"held_by":[{"dispatcher":"a","since":"2026-01-01T00:00:00Z"}]}]`, `"held":[{"subscription":"billing"`}},
		{name: "status, a breaker of a paused one", q: request{Method: "GET", Path: "/api/v1/status"}, held: true, paused: true, status: 200, says: []string{
			`"state":"paused","ready":0,"buried":0,"retrying":0,"dead":0,"oldest_ms":0}]`}},
		{name: "status, no list", q: request{Method: "GET", Path: "/api/v1/status"}, broken: "list", status: 503},
		{name: "status, no incoming", q: request{Method: "GET", Path: "/api/v1/status"}, broken: "incoming", status: 503},
		{name: "status, no counts", q: request{Method: "GET", Path: "/api/v1/status"}, broken: "counts", status: 503},
		{name: "status, no dispatchers", q: request{Method: "GET", Path: "/api/v1/status"}, broken: "dispatchers", status: 503},
		{name: "dispatchers", q: request{Method: "GET", Path: "/api/v1/dispatchers"}, status: 200, says: []string{`{"dispatchers":[{"id":"a"`, `{"id":"b"`}},
		{name: "dispatchers, Redis away", q: request{Method: "GET", Path: "/api/v1/dispatchers"}, broken: "dispatchers", status: 503},
	})
}
