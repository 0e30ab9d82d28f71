package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

// TestLimit: of many subscriptions a table has a page, and says so. JSON has them all unless it is asked for a part.
func TestLimit(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	var many strings.Builder
	for i := range listed + 2 {
		_, _ = fmt.Fprintf(&many, `{"id":"s%05d","topic":"order.%d","urls":["http://h/"]}`+"\n", i, i)
	}
	if code, _, errs := c.run(many.String(), "sub", "put", "--file", "-"); code != cli.ExitOK {
		t.Fatal(errs)
	}
	rows := func(out string) (n int) {
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "s0") {
				n++
			}
		}
		return n
	}
	for _, command := range [][]string{{"sub", "ls"}, {"stats"}} {
		out := c.says(cli.ExitOK, command, "and more: --after s00999 lists the next ones, --limit 0 lists all")
		if n := rows(out); n != listed {
			t.Errorf("%v: %d rows", command, n)
		}
		out = c.ok(append(command, "--after", "s00999")...)
		if rows(out) != 2 || !strings.Contains(out, "s01000") || !strings.Contains(out, "s01001") {
			t.Errorf("%v: the second page is\n%s", command, out)
		}
		if n := rows(c.ok(append(command, "--limit", "0")...)); n != listed+2 {
			t.Errorf("%v --limit 0: %d rows", command, n)
		}
		c.fails(cli.ExitFailed, "", append(command, "--after", "t"), `no subscription comes after "t"`)
		c.fails(cli.ExitUsage, "", append(command, "--limit", "-1"), "--limit is below 0")
	}
	var subs []medispatcher.Subscription
	if err := json.Unmarshal([]byte(c.ok("sub", "ls", "--json")), &subs); err != nil || len(subs) != listed+2 {
		t.Errorf("%d subscriptions in JSON, %v", len(subs), err)
	}

	// The one that holds messages is listed, wherever its id is.
	c.redis.XAdd("medis:{0}:ch:s01001", "1-1", []string{"topic", "order.1001", "body", "x"})
	out := c.ok("status")
	contains(t, out, "and 2 more: nothing waits there")
	if rows(out) != listed || strings.Index(out, "s01001") > strings.Index(out, "s00000") {
		t.Errorf("%d rows in\n%.500s", rows(out), out)
	}
	out = c.ok("status", "--limit", "0")
	if rows(out) != listed+2 || strings.Contains(out, "more:") {
		t.Errorf("%d rows of all", rows(out))
	}
	var st medispatcher.Status
	if err := json.Unmarshal([]byte(c.ok("status", "--json", "--limit", "1")), &st); err != nil {
		t.Fatal(err)
	}
	if len(st.Subscriptions) != 1 || st.Subscriptions[0].ID != "s01001" || st.Subscriptions[0].Topic != "order.1001" || st.Totals.Subscriptions != listed+2 || st.Totals.Ready != 1 {
		t.Errorf("%+v, %+v", st.Totals, st.Subscriptions)
	}
	if err := json.Unmarshal([]byte(c.ok("status", "--json")), &st); err != nil || len(st.Subscriptions) != listed+2 {
		t.Errorf("%d subscriptions in JSON, %v", len(st.Subscriptions), err)
	}
}
