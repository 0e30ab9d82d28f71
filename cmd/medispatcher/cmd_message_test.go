package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

func TestMessage(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", "http://h/")
	id := c.ok("publish", "order.created", "1")[:len("0-1700000000000-0")]
	contains(t, c.ok("message", id), "INCOMING")
	if _, err := c.redis.XAdd("medis:{0}:dead:billing", "*", []string{"topic", "a", "id", "m\x1b1", "failure", `{"last_error":"status 500"}`}); err != nil {
		t.Fatal(err)
	}
	contains(t, c.ok("message", "m\x1b1"), "billing", "DEAD", "status 500")
	contains(t, c.ok("message", id, "--json"), `"state": "INCOMING"`)
	c.fails(cli.ExitFailed, "", []string{"message", "nobody"}, "not found: every subscription has it")
	c.fails(cli.ExitUsage, "", []string{"message", ""}, "ID is empty")
	if code, stdout, stderr := c.run("", "message", "nobody", "--json"); code != cli.ExitFailed || !json.Valid([]byte(stdout)) || !strings.Contains(stderr, "not found") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}
