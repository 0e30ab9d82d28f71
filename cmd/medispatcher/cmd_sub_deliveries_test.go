package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

func (c *program) ended(a medispatcher.Attempt) {
	c.t.Helper()
	record, err := json.Marshal(a)
	if err == nil {
		_, err = c.redis.Lpush("medis:deliveries:billing", string(record))
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func TestSubDeliveries(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", "http://h/")
	code, out, stderr := c.run("", "sub", "deliveries", "billing")
	if code != cli.ExitOK || out != "" || stderr != "no attempt of billing is listed; one is kept for a day\n" {
		t.Errorf("exit %d, %q, %q", code, out, stderr)
	}
	at := time.UnixMilli(5000)
	c.ended(medispatcher.Attempt{ID: "5000-d-1", Time: at, Message: "m1", Topic: "order.x", Attempt: 1, Outcome: "sent", Target: "http://h/", Status: 200, TookMS: 1.25, Answer: "ok\x1b[31m", Unlisted: 7})
	c.ended(medispatcher.Attempt{ID: "5001-d-2", Time: at.Add(time.Millisecond), Message: "m2", Topic: "order.x", Attempt: 2, Outcome: "failed", Target: "http://h/", Status: 503, TookMS: 1500, Error: "status 503: busy"})
	code, out, stderr = c.run("", "sub", "deliveries", "billing")
	if code != cli.ExitOK || stderr != "it is a sample: 7 attempts in between left out\n" {
		t.Errorf("exit %d, %q", code, stderr)
	}
	lines := strings.Split(out, "\n")
	if len(lines) != 4 {
		t.Fatalf("printed %q", out)
	}
	for i, want := range []string{
		"OUTCOME  ATTEMPT  STATUS    TOOK  MESSAGE  TOPIC    TARGET     ANSWER",
		"failed         2     503    1.5s  m2       order.x  http://h/  status 503: busy",
		`sent           1     200  1.25ms  m1       order.x  http://h/  "ok\x1b[31m"`,
	} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("line %d: %q, want …%q", i, lines[i], want)
		}
	}
	if out := c.ok("sub", "deliveries", "billing", "--outcome", "failed", "--status", "5xx", "--text", "BUSY", "--json"); !strings.HasPrefix(out, `{"id":"5001-d-2"`) || strings.Count(out, "\n") != 1 {
		t.Errorf("printed %q", out)
	}
	c.fails(cli.ExitUsage, "", []string{"sub", "deliveries", "billing", "--outcome", "lost"}, `outcome: "lost" is none of sent, failed, dead, dropped`)
	c.fails(cli.ExitUsage, "", []string{"sub", "deliveries", "billing", "--limit", "0"}, "--limit 0: give 1 or more")
	c.fails(cli.ExitFailed, "", []string{"sub", "deliveries", "biling"}, "did you mean billing?")
}

// TestSubDeliveriesFollow: new attempts are printed as they come, each once.
func TestSubDeliveriesFollow(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", "http://h/")
	c.ended(medispatcher.Attempt{ID: "5000-d-1", Time: time.UnixMilli(5000), Message: "m1", Outcome: "sent"})
	ctx, stop := context.WithCancel(t.Context())
	out := &lineWriter{lines: make(chan string, 10)}
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"sub", "deliveries", "billing", "--follow"}, c.env, strings.NewReader(""), out, out)
	}()
	if line := <-out.lines; !strings.Contains(line, "  m1  ") {
		t.Errorf("printed %q", line)
	}
	c.ended(medispatcher.Attempt{ID: "5001-d-2", Time: time.UnixMilli(5001), Message: "m2", Outcome: "sent"})
	if line := <-out.lines; !strings.Contains(line, "  m2  ") {
		t.Errorf("printed %q", line)
	}
	stop()
	if code := <-ended; code != cli.ExitOK {
		t.Errorf("exit %d", code)
	}
}

// lineWriter hands on what is written.
type lineWriter struct{ lines chan string }

func (w *lineWriter) Write(p []byte) (int, error) {
	w.lines <- string(p)
	return len(p), nil
}
