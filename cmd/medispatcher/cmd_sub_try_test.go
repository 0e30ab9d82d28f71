package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

// TestSubTest: one message goes to one subscription alone, counts nowhere, and what went over the wire is printed.
func TestSubTest(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	status, got := http.StatusOK, []string(nil)
	worker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, fmt.Sprintf("%s %s %s %s", r.Header.Get("Medis-Topic"), r.Header.Get("Medis-Test"), r.Header.Get("X-A"), body))
		w.Header().Set("X-Note", "k\u202e")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "one\r\n\ttwo\x1b[31m\n")
	}))
	t.Cleanup(worker.Close)
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", strings.Replace(worker.URL, "http://", "http://u:hunter2@", 1), "--paused", "--filter", "body.total > 1.0")
	before := c.redis.Dump()
	out := c.ok("sub", "test", "billing", "--body", writeFile(t, "order.json", `{"total":2}`), "--header", "x-a: b")
	for _, want := range []string{"> POST " + worker.URL, "> Medis-Test: 1\n", "> Authorization: ********\n", "> {\"total\":2}\n", "< status 200\n", `< X-Note: k\u202e`, "< one\n<     two\\x1b[31m\n", "accepted in "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
	if strings.Contains(out, "hunter2") || strings.Contains(out, "filter") || len(got) != 1 || got[0] != `order.test 1 b {"total":2}` {
		t.Errorf("the worker got %q; printed %q", got, out)
	}
	deeds := func(dump string) string { // the audit trail alone may grow
		var kept []string
		for line := range strings.SplitSeq(dump, "\n") {
			if strings.HasPrefix(line, "- ") {
				kept = append(kept, line)
			}
		}
		return strings.ReplaceAll(strings.Join(kept, "\n"), "- medis:deeds:{medis:subscriptions}\n", "")
	}
	if after := c.redis.Dump(); deeds(after) != deeds(before) {
		t.Errorf("it left something in Redis: %s", deeds(after))
	}
	status = http.StatusServiceUnavailable
	code, out, stderr := c.run("", "sub", "test", "billing", "--topic", "order.created")
	if code != cli.ExitFailed || !strings.Contains(out, "refused after ") || !strings.Contains(out, "< status 503\n") || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "billing: not accepted: status 503: one") {
		t.Errorf("exit %d, %q, %q", code, out, stderr)
	}
	if out := c.ok("audit"); strings.Count(out, "test-subscription") != 2 {
		t.Errorf("the audit trail has %s", out)
	}
	status = http.StatusOK
	if out := c.ok("sub", "test", "billing", "--body", writeFile(t, "small.json", `{"total":1}`)); !strings.Contains(out, "its filter does not match") {
		t.Errorf("printed %q", out)
	}
	c.fails(cli.ExitUsage, "", []string{"sub", "test", "billing", "--topic", "user.created"}, "topic: the subscription does not want user.created, but order.*")
	c.fails(cli.ExitFailed, "", []string{"sub", "test", "biling"}, "did you mean billing?")
}
