package main

import (
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

func TestPurge(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.fails(cli.ExitFailed, "", []string{"purge", "s", "--yes"}, `subscription "s": not found; medispatcher sub ls lists`)
	c.fails(cli.ExitUsage, "", []string{"purge", "a b"}, "must start with a letter or digit")
	c.fails(cli.ExitUsage, "", []string{"purge"}, "SUB")
	c.ok("sub", "put", "s", "--topic", "a", "--url", "http://h/")
	if out := c.ok("purge", "s", "--yes"); out != "s: 0 READY and 0 BURIED messages purged\n" {
		t.Error(out)
	}
	fill := func() {
		for range 3 {
			if _, err := c.redis.XAdd("medis:{0}:ch:s", "*", []string{"topic", "a"}); err != nil {
				t.Fatal(err)
			}
		}
		bury(t, c.redis, 1)
	}
	fill()
	c.fails(cli.ExitUsage, "", []string{"purge", "s"}, "add --yes") // nobody can be asked
	code, out, stderr := c.run("", "purge", "s", "--yes")
	if code != cli.ExitOK || out != "s: 3 READY and 0 BURIED messages purged\n" || stderr != "dead letters that stay: 1; medispatcher dead purge s removes them\n" {
		t.Errorf("exit %d, %q, %q", code, out, stderr)
	}
	if n, _ := c.redis.Stream("medis:{0}:ch:s"); len(n) != 0 {
		t.Errorf("%d messages are left", len(n))
	}
	// What a removed subscription left can be purged, too.
	fill()
	c.redis.HDel("medis:subscriptions", "s")
	contains(t, c.ok("dead", "purge", "s", "--yes"), "s: 2 dead letters purged")
	if out := c.ok("purge", "s", "--yes"); out != "s: 3 READY and 0 BURIED messages purged\n" {
		t.Error(out)
	}
}
