package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

func TestPublishCloudEvents(t *testing.T) {
	t.Parallel()
	const one = `{"specversion":"1.0","id":"42","source":"/shop","type":"order.created","subject":"k","data":{"order": 42}}`
	file := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(file, []byte(one), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newPublisher(t)
	id := strings.TrimSpace(c.ok("publish", "--cloudevent", file, "--delay", "2s", "--header", "X-A: b"))
	if !strings.HasPrefix(id, "42-") {
		t.Errorf("id %q", id)
	}
	same(t, c.only(), map[string]string{
		"topic": "order.created", "body": `{"order": 42}`, "id": id, "sender": "/shop", "key": "k", "type": "application/json",
		"headers": `{"X-A":"b","ce-datacontenttype":"","ce-id":"42","ce-time":""}`, "delay": "2000",
	})

	c = newPublisher(t)
	code, out, stderr := c.run(" ["+one+","+strings.Replace(one, "42", "43", 1)+"]", "publish", "shop.orders", "--cloudevent", "-")
	if list := c.entries(); code != cli.ExitOK || strings.Count(out, "\n") != 2 || len(list) != 2 || list[1]["topic"] != "shop.orders" || !strings.Contains(list[1]["headers"], `"ce-type":"order.created"`) {
		t.Errorf("exit %d, %q %q, %v", code, out, stderr, list)
	}

	for _, bad := range []struct {
		args, stdin string
		want        []string
	}{
		{"--cloudevent -", "[" + one + `,{"specversion":"1.0","id":"1","source":"/s","type":"com.github/push"}]`, []string{`[1].type: cannot be a topic: "com.github/push"`}},
		{"--cloudevent -", " ", []string{"- is empty; give CloudEvents in the JSON format as JSON"}},
		{"--cloudevent -", one + strings.Repeat(" ", 300<<10), []string{"is larger than"}},
		{"--cloudevent /nowhere/event.json", "", []string{"cannot read /nowhere/event.json: no such file"}},
		{"--cloudevent - --ndjson", one, []string{"--cloudevent goes with --delay, --header and TOPIC alone"}},
		{"--cloudevent - --id 7", one, []string{"--cloudevent goes with"}},
		{"order.created {} --cloudevent -", one, []string{"is one argument too many"}},
	} {
		r := newPublisher(t, "MEDIS_MAX_BODY=100B")
		r.fails(cli.ExitUsage, bad.stdin, append([]string{"publish"}, strings.Fields(bad.args)...), bad.want...)
		if n := len(r.entries()); n != 0 {
			t.Errorf("%s: published %d", bad.args, n)
		}
	}
	r := newPublisher(t, "MEDIS_MAX_BODY=1B")
	r.fails(cli.ExitFailed, one, []string{"publish", "--cloudevent", "-"}, "message body is too large: the data has 13 bytes")
}
