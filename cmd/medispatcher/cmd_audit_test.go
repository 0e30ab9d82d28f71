package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

func TestAuditCommand(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	_, out, stderr := c.run("", "audit")
	if out != "" || stderr != "nothing is recorded\n" {
		t.Errorf("%q %q", out, stderr)
	}
	c.fails(cli.ExitUsage, "", []string{"audit", "--limit", "-1"}, "give 0 or more")
	c.ok("sub", "put", "s", "--topic", "a", "--url", "http://h/")
	c.ok("sub", "set", "s", "concurrency=9")
	c.ok("kick", "s")
	c.ok("purge", "s", "--yes")
	c.ok("dead", "purge", "s", "--yes")
	c.ok("unrouted", "replay")
	c.ok("sub", "rm", "s")
	out = c.ok("audit")
	contains(t, out, "BY", "cli ", "change-subscription  s             concurrency 8 → 9", "kick-subscription", "purge-dead-letters", "replay-unrouted")
	var what []string
	for line := range strings.Lines(c.ok("audit", "--limit", "0", "--json")) {
		var d medispatcher.Deed
		if err := json.Unmarshal([]byte(line), &d); err != nil || !strings.HasPrefix(d.By, "cli ") || d.Time.IsZero() {
			t.Errorf("%s: %v", line, err)
		}
		what = append(what, d.What)
	}
	for _, want := range []string{"create-subscription", "change-subscription", "kick-subscription", "purge-subscription", "purge-dead-letters", "replay-unrouted", "remove-subscription"} {
		if strings.Count(" "+strings.Join(what, " ")+" ", " "+want+" ") != 1 {
			t.Errorf("%s is not there once: %v", want, what)
		}
	}
	if n := strings.Count(c.ok("audit", "--limit", "2", "--json"), "\n"); n != 2 {
		t.Errorf("%d lines", n)
	}
}
