package main

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

// TestSubMany: several subscriptions are paused, resumed and changed at once. One that cannot be leaves the others alone, and each change is
// in the history.
func TestSubMany(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	for _, id := range []string{"shop-a", "shop-b", "shop-c", "other"} {
		c.ok("sub", "put", id, "--topic", "order."+id[:4], "--url", "http://h/")
	}
	paused := func() (ids string) {
		for _, id := range []string{"shop-a", "shop-b", "shop-c", "other"} {
			if c.get(id).Paused {
				ids += id[len(id)-1:]
			}
		}
		return ids
	}
	if out := c.ok("sub", "pause", "shop-a", "other"); out != "shop-a: paused\nother: paused\n" || paused() != "ar" {
		t.Errorf("printed %q, paused %s", out, paused())
	}
	if out := c.ok("sub", "pause", "other", "other"); out != "other: paused\n" {
		t.Errorf("printed %q", out)
	}
	if out := c.ok("sub", "resume", "--match", "OTHE", "--yes"); out != "other: resumed\n" || paused() != "a" {
		t.Errorf("printed %q, paused %s", out, paused())
	}
	if out := c.ok("sub", "pause", "--match", "order.shop", "--yes", "--json"); out != `{"changed":3}`+"\n" || paused() != "abc" {
		t.Errorf("printed %q, paused %s", out, paused())
	}
	c.fails(cli.ExitUsage, "", []string{"sub", "pause", "--match", "shop"}, "this is about all that match: add --yes")
	c.fails(cli.ExitUsage, "", []string{"sub", "pause", "--match", "shop", "other"}, "by their ids or by --match, not by both")
	c.fails(cli.ExitFailed, "", []string{"sub", "pause", "--match", "nowhere", "--yes"}, `no subscription has "nowhere" in its id or topic`)
	c.fails(cli.ExitUsage, "", []string{"sub", "pause"}, "sub pause: ID is missing")
	c.fails(cli.ExitUsage, "", []string{"sub", "set", "shop-a", "other"}, `"other": write KEY=VALUE`)

	code, out, stderr := c.run("", "sub", "set", "shop-a", "none", "other", "concurrency=7", "timeout=2s")
	if code != cli.ExitFailed || out != "shop-a: changed\nother: changed\n" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, `"none"`) {
		t.Errorf("exit %d, %q, %q", code, out, stderr)
	}
	if a, o, b := c.get("shop-a"), c.get("other"), c.get("shop-b"); a.Concurrency != 7 || o.Concurrency != 7 || b.Concurrency == 7 {
		t.Errorf("concurrency %d, %d and %d", a.Concurrency, o.Concurrency, b.Concurrency)
	}
	c.fails(cli.ExitUsage, "", []string{"sub", "set", "--match", "shop", "--yes", "concurrency=0"},
		"shop-a: concurrency: 0 is outside 1 to", "shop-b: concurrency: 0 is outside", "shop-c: concurrency: 0 is outside")
	if out := c.ok("sub", "history", "other", "--json"); strings.Count(out, `"what"`) != 4 {
		t.Errorf("the history has %s", out)
	}
}
