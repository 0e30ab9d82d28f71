package api_test

import "testing"

func TestMessages(t *testing.T) {
	t.Parallel()
	check(t, nil, []routeTest{
		{name: "message", q: request{Method: "GET", Path: "/api/v1/messages/m-1"}, status: 200, says: []string{`"state":"READY","subscription":"billing"`, `"events":[]`}},
		{name: "message, unknown", q: request{Method: "GET", Path: "/api/v1/messages/other"}, status: 404, says: []string{"nothing is known", "MEDIS_HISTORY"}},
		{name: "message, Redis away", q: request{Method: "GET", Path: "/api/v1/messages/m-1"}, broken: "story", status: 503},
	})
}
