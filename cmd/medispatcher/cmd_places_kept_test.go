package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// keepAway puts a message into a place of kept messages, as a dispatcher does.
func (c *program) keepAway(place medispatcher.KeptPlace, fields ...string) (id string) {
	c.t.Helper()
	entry, err := c.redis.XAdd("medis:{0}:"+string(place), "*", fields)
	if err != nil {
		c.t.Fatal(err)
	}
	return "0-" + entry
}

// says runs a command that tells something on stderr, and returns its stdout.
func (c *program) says(code int, args []string, want ...string) string {
	c.t.Helper()
	got, stdout, stderr := c.run("", args...)
	if got != code {
		c.t.Errorf("%q: exit %d, want %d", args, got, code)
	}
	contains(c.t, stderr, want...)
	return stdout
}

func TestUnrouted(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.says(cli.ExitOK, []string{"unrouted", "ls"}, "no unrouted messages")
	c.ok("sub", "put", "s", "--topic", "order.created", "--url", "http://w/")
	wrong := c.keepAway(medispatcher.PlaceUnrouted, "time", "1700000000000", "topic", "order.craeted", "body", "\x1b[31m\xff", "~src", "1700000000001-0")
	right := c.keepAway(medispatcher.PlaceUnrouted, "time", "1700000000000", "topic", "order.created", "body", "two", "id", "p1")

	out := c.ok("unrouted", "ls")
	contains(t, out, wrong, right, "order.craeted", "0-1700000000001-0", "KEPT SINCE")
	if strings.Index(out, wrong) > strings.Index(out, right) {
		t.Error("the oldest is not first")
	}
	newest := c.ok("unrouted", "ls", "--newest")
	if strings.Index(newest, wrong) < strings.Index(newest, right) {
		t.Error("the newest is not first")
	}
	contains(t, c.says(cli.ExitOK, []string{"unrouted", "ls", "--limit", "1"}, "and more"), wrong)
	shown := c.ok("unrouted", "show", wrong)
	if strings.Contains(out+newest+shown, "\x1b") {
		t.Errorf("an escape sequence reaches the terminal: %q", out+newest+shown)
	}
	var k operate.Kept
	if err := json.Unmarshal([]byte(shown), &k); err != nil || string(k.Message.BodyBase64) != "\x1b[31m\xff" || k.MessageID != "0-1700000000001-0" {
		t.Errorf("%v: %+v", err, k)
	}

	c.fails(cli.ExitUsage, "", []string{"unrouted", "show", "nonsense"}, "is not the id of a message in unrouted")
	c.fails(cli.ExitFailed, "", []string{"unrouted", "show", "0-1-1"}, "not found")
	c.fails(cli.ExitUsage, "", []string{"unrouted", "purge"}, "add --yes")
	c.fails(cli.ExitUsage, "", []string{"unrouted", "replya"}, "did you mean replay?")
	c.fails(cli.ExitUsage, "", []string{"unruoted", "ls"}, "did you mean unrouted?")
	c.fails(cli.ExitUsage, "", []string{"unruoted", "ls", "--limit", "3"}, "did you mean unrouted?")
	c.fails(cli.ExitUsage, "", []string{"unrouted", "lst", "--topic", "a"}, "did you mean ls?")

	contains(t, c.says(cli.ExitOK, []string{"unrouted", "replay"}, "no subscription wants 1 of 2 messages, which will come back: order.craeted (1, did you mean order.created?)"), "unrouted: 2 messages replayed")
	c.fails(cli.ExitFailed, "", []string{"unrouted", "replay", wrong}, "1 message not there any more")
	if list, err := c.redis.Stream("medis:{0}:incoming"); err != nil || len(list) != 2 {
		t.Errorf("%v in incoming, %v", list, err)
	}
	c.keepAway(medispatcher.PlaceUnrouted, "time", "1", "topic", "order.created", "body", "x", "~src", "1-1")
	c.keepAway(medispatcher.PlaceUnrouted, "time", "1", "topic", "user.gone", "body", "x", "~src", "1-2")
	contains(t, c.says(cli.ExitOK, []string{"unrouted", "replay", "--match", "ORDER", "--json"}), `{"matching":1,"replayed":1}`)
	contains(t, c.says(cli.ExitOK, []string{"unrouted", "replay", "--match", "gone"}, "no subscription wants the message, which came back"), "unrouted: 1 message replayed")
	c.keepAway(medispatcher.PlaceUnrouted, "time", "1", "topic", "user.gone", "body", "x", "~src", "1-2")
	contains(t, c.says(cli.ExitOK, []string{"unrouted", "purge", "--match", "gone", "--yes"}, "the message matches"), "unrouted: 1 message purged")
	gone := c.keepAway(medispatcher.PlaceUnrouted, "time", "1", "topic", "a.b", "body", "x", "~src", "1-1")
	contains(t, c.ok("unrouted", "purge", gone), "unrouted: 1 message purged")
	c.keepAway(medispatcher.PlaceUnrouted, "time", "1", "topic", "a.b", "body", "x", "~src", "1-1")
	contains(t, c.ok("unrouted", "purge", "--yes", "--json"), `{"purged":1}`)
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.says(cli.ExitOK, []string{"quarantine", "ls"}, "the quarantine is empty")
	bad := c.keepAway(medispatcher.PlaceQuarantine, "reason", "DECODERR topic: is \x1bmissing", "source", "1700000000000-0", "tropic", "a.b", "body", "\x1b[31m")
	large := c.keepAway(medispatcher.PlaceQuarantine, "reason", "DECODERR body: is 9 bytes long", "source", "1700000000000-1", "topic", "a.b", "body", "too large")
	out := c.ok("quarantine", "ls") + c.ok("quarantine", "show", bad)
	contains(t, out, bad, "DECODERR topic", `"tropic": "a.b"`, "0-1700000000000-1")
	if strings.Contains(out, "\x1b") {
		t.Errorf("an escape sequence reaches the terminal: %q", out)
	}
	stdout := c.says(cli.ExitFailed, []string{"quarantine", "replay"}, bad+": it would come back: topic: is missing", "1 message not replayed but kept")
	contains(t, stdout, "quarantine: 1 message replayed")
	var done map[string]any
	if err := json.Unmarshal([]byte(c.says(cli.ExitFailed, []string{"quarantine", "replay", "--json", bad, large}, "not replayed")), &done); err != nil || done["refused"] != 1.0 || done["missing"] != 1.0 {
		t.Errorf("%v %v", done, err)
	}
	contains(t, c.ok("quarantine", "purge", "--yes"), "quarantine: 1 message purged")
}

// TestStatusTellsOfKept: status names the messages that wait for an operator.
func TestStatusTellsOfKept(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	if out := c.ok("status"); strings.Contains(out, "!") {
		t.Errorf("nothing is kept: %s", out)
	}
	c.keepAway(medispatcher.PlaceUnrouted, "time", "1", "topic", "a.b", "body", "x", "~src", "1-1")
	c.keepAway(medispatcher.PlaceQuarantine, "reason", "DECODERR x", "source", "1700000000000-0", "body", "x")
	contains(t, c.ok("status"), "UNROUTED", "no subscription wanted 1 message: medispatcher unrouted ls", "1 message could not be decoded or copied: medispatcher quarantine ls")
	contains(t, c.ok("status", "--json"), `"unrouted": 1`, `"quarantine": 1`)
}

// TestStoryOfKept tells where a kept message is, why, and what to do.
func TestStoryOfKept(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	id := c.keepAway(medispatcher.PlaceUnrouted, "time", "1", "topic", "a.b", "body", "x", "~src", "1700000000000-5")
	contains(t, c.ok("message", "0-1700000000000-5"), "UNROUTED", "kept for", "no subscription wanted the topic", "medispatcher unrouted replay "+id)
	id = c.keepAway(medispatcher.PlaceQuarantine, "reason", "DECODERR topic: is missing", "source", "1700000000000-6", "body", "x", "id", "p1")
	contains(t, c.ok("message", "p1"), "QUARANTINE", "DECODERR topic: is missing", "medispatcher quarantine replay "+id)
	contains(t, c.ok("message", "p1", "--json"), `"kept": "`+id+`"`, `"since": "`)
}

// TestPublishWarns: the id is printed and the exit code 0 in any case.
func TestPublishWarns(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("sub", "put", "s", "--topic", "order.created", "--url", "http://w/")
	contains(t, c.says(cli.ExitOK, []string{"publish", "order.craeted", "x"}, "no subscription wants the topic order.craeted now; did you mean order.created?"), "0-")
	contains(t, c.says(cli.ExitOK, []string{"publish", "order.craeted", "x", "--json"}, "did you mean order.created?"), `{"id":"0-`)
	lines := strings.Repeat(`{"topic":"order.craeted","body":""}`+"\n"+`{"topic":"order.created","body":""}`+"\n"+`{"topic":"no.body","body":""}`+"\n", 3)
	code, out, stderr := c.run(lines, "publish", "--ndjson")
	if code != cli.ExitOK || strings.Count(out, "\n") != 9 || strings.Count(stderr, "warning") != 2 || !strings.Contains(stderr, "no.body") {
		t.Errorf("exit %d, %d ids, stderr %s", code, strings.Count(out, "\n"), stderr)
	}
	if code, _, stderr := c.run("", "publish", "order.created", "x"); code != cli.ExitOK || stderr != "" {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}
