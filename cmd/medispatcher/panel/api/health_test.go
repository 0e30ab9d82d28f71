package api_test

import "testing"

func TestHealth(t *testing.T) {
	t.Parallel()
	check(t, nil, []routeTest{
		{name: "alive", q: request{Method: "GET", Path: "/healthz"}, status: 200, says: []string{"ok"}},
		{name: "ready", q: request{Method: "GET", Path: "/readyz"}, status: 200, says: []string{"ok"}},
		{name: "not ready", q: request{Method: "GET", Path: "/readyz"}, broken: "ready", status: 503, says: []string{"not ready: redis: connection refused"}},
	})
}
