package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// bury puts dead letters of "s" into Redis, as the dispatcher leaves them.
func bury(t *testing.T, r *miniredis.Miniredis, n int) (ids []string) {
	t.Helper()
	for i := range n {
		id, err := r.XAdd("medis:{0}:dead:s", "*", []string{
			"time", "1700000000000", "topic", "a.b", "body", fmt.Sprintf("body %d \xff", i), "~src", fmt.Sprintf("%d-0", i+1),
			"failure", `{"attempts":3,"last_error":"status 500: \u001b[31mno","target":"http://w/"}`,
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, "0-"+id)
	}
	return ids
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	ids := bury(t, c.redis, 3)
	out := c.ok("dead", "ls", "s")
	contains(t, out, ids[0], ids[2], "a.b", "0-1-0", "status 500", "ATTEMPTS")
	if strings.Contains(out, "\x1b") {
		t.Errorf("an escape sequence reaches the terminal: %q", out)
	}
	var shown operate.Letter
	if err := json.Unmarshal([]byte(c.ok("dead", "show", "s", ids[1])), &shown); err != nil {
		t.Fatal(err)
	}
	if string(shown.Message.BodyBase64) != "body 1 \xff" || shown.Failure.Attempts != 3 {
		t.Errorf("shown %+v", shown)
	}
	if n := strings.Count(c.ok("dead", "ls", "s", "--json"), "\n"); n != 3 {
		t.Errorf("%d lines of JSON, want 3", n)
	}
	contains(t, c.ok("dead", "replay", "s", ids[0]), "s: 1 dead letter replayed")
	c.fails(cli.ExitFailed, "", []string{"dead", "replay", "s", ids[0]}, "1 dead letter not there any more")
	contains(t, c.ok("dead", "purge", "s", ids[1], ids[1]), "s: 1 dead letter purged")
	c.fails(cli.ExitUsage, "", []string{"dead", "show", "s", "nonsense"}, "is not the id of a dead letter")
	c.fails(cli.ExitFailed, "", []string{"dead", "show", "s", ids[0]}, "not found")
	c.fails(cli.ExitUsage, "", []string{"dead", "purge", "s"}, "add --yes")
	c.fails(cli.ExitUsage, "", []string{"dead", "ls", "!"}, "must start with a letter or digit")
}

// TestDeadLettersThatMatch: what is shown, counted, replayed and purged is the same.
func TestDeadLettersThatMatch(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	ids := bury(t, c.redis, 25)
	out := c.ok("dead", "ls", "s", "--match", "BODY 2", "--newest")
	of := func(i int) string { return ids[i] + " " } // not the beginning of another id
	contains(t, out, of(2), of(20), of(24))
	if strings.Contains(out, of(3)) || strings.Index(out, of(2)) < strings.Index(out, of(24)) {
		t.Errorf("a letter that does not match, or the oldest first: %s", out)
	}
	c.says(cli.ExitOK, []string{"dead", "ls", "s", "--match", "nothing"}, "none matches")
	c.fails(cli.ExitUsage, "", []string{"dead", "replay", "s", "--match", " "}, "--match is empty")
	c.fails(cli.ExitUsage, "", []string{"dead", "replay", "s", ids[0], "--match", "x"}, "not by both")
	c.fails(cli.ExitUsage, "", []string{"dead", "purge", "s", "--match", "body 2"}, "add --yes")
	contains(t, c.says(cli.ExitOK, []string{"dead", "replay", "s", "--match", "body 1"}, "11 of 25 dead letters match"), "s: 11 dead letters replayed")
	contains(t, c.ok("dead", "purge", "s", "--match", "body 2", "--yes", "--json"), `{"matching":6,"purged":6}`)
	contains(t, c.says(cli.ExitOK, []string{"dead", "replay", "s", "--match", "body 2"}, "0 of 8 dead letters match"), "s: 0 dead letters replayed")
}

func TestDeadLettersInBulk(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	bury(t, c.redis, 450)
	contains(t, c.ok("dead", "replay", "s"), "s: 450 dead letters replayed")
	ready, err := c.redis.Stream("medis:{0}:ch:s")
	if err != nil || len(ready) != 450 {
		t.Fatalf("%d READY, %v", len(ready), err)
	}
	for _, v := range ready[0].Values {
		if v == "failure" {
			t.Error("the replayed message still has its record of failures")
		}
	}
	bury(t, c.redis, 10)
	contains(t, c.ok("dead", "purge", "s", "--yes"), "s: 10 dead letters purged")
	contains(t, c.ok("dead", "replay", "s"), "s: 0 dead letters replayed")
}
