package main

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

func TestMessagePayload(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", "http://u:hush@h/hook", "--secret", secret)
	const body = "{\"a\":\"it's\"}"
	if _, err := c.redis.XAdd("medis:{0}:dead:billing", "5-1", []string{"topic", "order.x", "body", body, "id", "m-1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.redis.XAdd("medis:{0}:unrouted", "5-1", []string{"topic", "odd.x", "body", "\xff", "id", "m-2"}); err != nil {
		t.Fatal(err)
	}
	const behind = "5:topic7:order.x4:body2:{}2:id3:m-33:key1:k" // another of its key
	c.redis.HSet("medis:{0}:wait:billing", "1:k", behind)
	if out := c.ok("message", "m-3", "--body"); out != "{}" {
		t.Errorf("printed %q", out)
	}
	_, request, _ := c.run("", "message", "m-3", "--curl")
	contains(t, request, "-H 'Webhook-Id: m-3'")
	contains(t, c.ok("message", "m-3"), "READY", "waits behind another message of its key", "1:k")
	if out := c.ok("message", "m-1", "--body"); out != body {
		t.Errorf("printed %q", out)
	}
	if out := c.ok("message", "m-2", "--body", "--at", "unrouted/0-5-1"); out != "\xff" {
		t.Errorf("printed %q", out)
	}
	code, out, stderr := c.run("", "message", "m-1", "--curl")
	if code != cli.ExitOK || stderr != "credentials are masked: put them in\n" || strings.Contains(out, "hush") || strings.Contains(out, "MDEyMz") {
		t.Errorf("exit %d, %q, %q", code, out, stderr)
	}
	contains(t, out, "curl -i 'http://h/hook' \\\n", "-H 'Authorization: ********'", "-H 'Webhook-Id: m-1'", "-H 'Webhook-Signature: v1,", `--data-raw '{"a":"it'\''s"}'`)
	code, out, stderr = c.run("", "message", "m-2", "--curl", "--sub", "billing", "--at", "unrouted/0-5-1")
	contains(t, stderr, "medispatcher message m-2 --body --at unrouted/0-5-1 > body-m-2\n")
	contains(t, out, "--data-binary '@body-m-2'")
	if code != cli.ExitOK {
		t.Error(code)
	}
	c.fails(cli.ExitUsage, "", []string{"message", "m-2", "--curl"}, "say with --sub for which the request is")
	c.fails(cli.ExitUsage, "", []string{"message", "m-1", "--curl", "--body"}, "give one of them")
	c.fails(cli.ExitUsage, "", []string{"message", "m-1", "--sub", "billing"}, "go with --body or --curl")
	c.fails(cli.ExitFailed, "", []string{"message", "nowhere", "--body"}, "not found")
}
