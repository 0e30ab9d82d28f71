package api_test

import (
	"testing"

	"github.com/solate/medispatcher"
)

func TestPurgeAndKick(t *testing.T) {
	t.Parallel()
	full := medispatcher.ChannelStatus{Ready: 12, Buried: 3, Dead: 2}
	check(t, nil, []routeTest{
		{name: "purge", q: request{Method: "POST", Path: subs + "/billing/purge"}, counts: full, status: 200, says: []string{`{"ready":12,"buried":3}`}, steps: "purge billing"},
		{name: "purge, none", q: request{Method: "POST", Path: subs + "/none/purge"}, status: 404, says: []string{"lists"}},
		{name: "purge, bad id", q: request{Method: "POST", Path: subs + "/.x/purge"}, counts: full, status: 404},
		{name: "purge what a removed one left", q: request{Method: "POST", Path: subs + "/none/purge"}, counts: full, status: 200, steps: "purge none"},
		{name: "purge, unusable document", q: request{Method: "POST", Path: subs + "/billing/purge"}, broken: "get", err: medispatcher.Problems{{Field: "urls", Problem: "x"}}, status: 200, steps: "purge billing"},
		{name: "purge, not counted", q: request{Method: "POST", Path: subs + "/none/purge"}, broken: "counts", status: 503},
		{name: "kick", q: request{Method: "POST", Path: subs + "/billing/kick"}, status: 200, says: []string{`{"kicked":5}`}, steps: "kick billing"},
		{name: "kick, none", q: request{Method: "POST", Path: subs + "/none/kick"}, status: 404},
	})
}
