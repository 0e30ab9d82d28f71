package api_test

import (
	"testing"

	"github.com/solate/medispatcher"
)

func TestRemove(t *testing.T) {
	t.Parallel()
	full := medispatcher.ChannelStatus{Ready: 12, Buried: 3, Dead: 2}
	check(t, nil, []routeTest{
		{name: "delete", q: request{Method: "DELETE", Path: subs + "/billing"}, status: 204, steps: "remove billing,discard billing"},
		{name: "delete, not empty", q: request{Method: "DELETE", Path: subs + "/billing"}, counts: full, status: 409, says: []string{"messages (12 READY, 3 BURIED, 2 DEAD)", "?purge=true"}},
		{name: "delete, dead letters", q: request{Method: "DELETE", Path: subs + "/billing?purge=false"}, counts: medispatcher.ChannelStatus{Dead: 1}, status: 409, says: []string{"1 DEAD"}},
		{name: "delete and purge", q: request{Method: "DELETE", Path: subs + "/billing?purge=true"}, counts: full, status: 204, steps: "remove billing,discard billing"},
		{name: "delete, bad purge", q: request{Method: "DELETE", Path: subs + "/billing?purge=maybe"}, status: 422, says: []string{"purge: invalid boolean"}},
		{name: "delete, none", q: request{Method: "DELETE", Path: subs + "/none"}, status: 404},
		{name: "delete, messages arrive meanwhile", q: request{Method: "DELETE", Path: subs + "/billing"}, arriving: 4, status: 409, says: []string{"is removed, and meanwhile messages (4 READY) arrived, which are kept; PUT it again"}, steps: "remove billing"},
		{name: "delete and purge, messages arrive meanwhile", q: request{Method: "DELETE", Path: subs + "/billing?purge=true"}, arriving: 4, status: 204, steps: "remove billing,discard billing"},
		{name: "delete, none and something left", q: request{Method: "DELETE", Path: subs + "/none"}, counts: full, status: 404, says: []string{"but Redis holds messages (12 READY, 3 BURIED, 2 DEAD) of it; ?purge=true"}},
		{name: "delete, none and nothing left", q: request{Method: "DELETE", Path: subs + "/none?purge=true"}, status: 404},
		{name: "delete what a failed purge left", q: request{Method: "DELETE", Path: subs + "/none?purge=true"}, counts: full, status: 204, steps: "discard none"},
		{name: "delete, bad id", q: request{Method: "DELETE", Path: subs + "/.x?purge=true"}, counts: full, status: 404},
		{name: "delete, unusable document", q: request{Method: "DELETE", Path: subs + "/billing"}, broken: "get", err: medispatcher.Problems{{Field: "urls", Problem: "x"}}, status: 204, steps: "remove billing,discard billing"},
		{name: "delete, stale", q: request{Method: "DELETE", Path: subs + "/billing", Header: []string{"If-Match", `"old"`}}, status: 412},
		{name: "delete, Redis away", q: request{Method: "DELETE", Path: subs + "/billing"}, broken: "get", status: 503},
		{name: "delete, not counted", q: request{Method: "DELETE", Path: subs + "/billing"}, broken: "counts", status: 503},
		{name: "delete, not removed", q: request{Method: "DELETE", Path: subs + "/billing"}, broken: "remove", status: 503},
		{name: "delete, not discarded", q: request{Method: "DELETE", Path: subs + "/billing"}, broken: "discard", status: 503, says: []string{"?purge=true"}, steps: "remove billing"},
	})
}
