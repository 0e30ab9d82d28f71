package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

func TestStats(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	contains(t, c.ok("stats"), "nothing was received yet")
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", "http://h/")
	second := time.Now().Unix() - 3
	for key, fields := range map[string][]string{
		fmt.Sprintf("medis:stats:{0}:s%d", second):          {"sent:billing", "5"},
		"medis:stats:{0}:total":                             {"sent:billing", "70", "sent:", "70", "failed:billing", "3", "received:order.created", "9", "duplicate", "2"},
		fmt.Sprintf("medis:stats:latency:m%d", second/60):   {"d:20:billing", "4", "h:8:billing", "4"},
		fmt.Sprintf("medis:stats:latency:m%d", second/60-9): {"d:50:billing", "4000"}, // too old
	} {
		for i := 0; i < len(fields); i += 2 {
			c.redis.HSet(key, fields[i], fields[i+1])
		}
	}
	rows := map[string]string{}
	out := c.ok("stats")
	for line := range strings.SplitSeq(out, "\n") {
		if f := strings.Fields(line); len(f) > 1 {
			rows[strings.Join(f[:2], " ")] = strings.Join(f[2:], " ")
		}
	}
	for row, want := range map[string]string{
		"billing sent": "0 5 5 0 0 70", "failed 0": "0 0 0 0 3", "order.created received": "0 0 0 0 0 9", "(any) duplicate": "0 0 0 0 0 2",
		"billing 108ms": "108ms 108ms 1.68ms 1.68ms 1.68ms",
	} {
		if rows[row] != want {
			t.Errorf("%s: %q, want %q, in\n%s", row, rows[row], want, out)
		}
	}
	var st medispatcher.Stats
	if err := json.Unmarshal([]byte(c.ok("stats", "billing", "--json")), &st); err != nil {
		t.Fatal(err)
	}
	if len(st.Subscriptions) != 1 || st.Subscriptions[0].Sent.TenSeconds != 5 || st.Sums.Sent.Total != 70 || len(st.Topics) != 0 {
		t.Errorf("%+v", st)
	}
	c.fails(cli.ExitUsage, "", []string{"stats", "!"}, "must start with a letter or digit")
}
