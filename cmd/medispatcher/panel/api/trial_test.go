package api_test

import (
	"net/http"
	"testing"

	"github.com/solate/medispatcher"
)

func TestTrial(t *testing.T) {
	t.Parallel()
	const path = subs + "/billing/test"
	check(t, nil, []routeTest{
		{name: "without anything", q: request{Method: "POST", Path: path}, status: 200, says: []string{`"body":"{\"test\":true}"`, `"accepted":false`, `"status":503`, `"answer":"busy"`}, steps: "try order.test application/json"},
		{
			name: "with all of a message", q: request{Method: "POST", Path: path + "?topic=order.created", Body: "hello", Header: []string{"Content-Type", "text/plain", "Medis-Header-X", "y", "Medis-Key", "k"}},
			status: 200, says: []string{`"body":"hello"`}, steps: "try order.created text/plain",
		},
		{name: "a topic that it does not want", q: request{Method: "POST", Path: path + "?topic=user.created"}, status: 422, says: []string{"does not want user.created, but order.*"}},
		{name: "no topic", q: request{Method: "POST", Path: path + "?topic=order..x"}, status: 422, says: []string{`"location":"topic"`}},
		{name: "none", q: request{Method: "POST", Path: subs + "/none/test"}, status: 404, says: []string{"lists"}},
		{name: "too long", q: request{Method: "POST", Path: path, Body: string(make([]byte, 101))}, status: 413},
		{name: "too many", q: request{Method: "POST", Path: path}, broken: "try", err: medispatcher.ErrConflict, status: http.StatusConflict},
		{name: "no target", q: request{Method: "POST", Path: path}, broken: "show", status: 422, says: []string{`"location":"urls"`}, steps: "try order.test application/json"},
		{name: "Redis is away", q: request{Method: "POST", Path: path}, broken: "get", status: 503},
	})
}
