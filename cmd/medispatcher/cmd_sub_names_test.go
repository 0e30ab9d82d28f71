package main

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestPutSaysWhatItResets: a secret that is left out does not go in silence, and what stays as it was is not named.
func TestPutSaysWhatItResets(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	put := []string{"sub", "put", "billing", "--topic", "order.*", "--url", "http://h/", "--drop-threshold", "3"}
	out := c.ok(append(put, "--generate-secret", "--concurrency", "32", "--drop-action", "log")...)
	secret := strings.TrimSpace(out[strings.LastIndex(out, " "):])
	if key, err := medispatcher.SecretKey(secret); err != nil || len(key) != 32 || !strings.Contains(c.stored("billing"), secret) {
		t.Errorf("%v: %s", err, out)
	}
	code, out, stderr := c.run("", append(put, "--url", "http://h/2")...)
	want := "billing: not given, and so reset: concurrency 32 → 8, drop.action log → keep, secret whsec_******** → none\n"
	if code != cli.ExitOK || stderr != want || !strings.HasPrefix(out, "billing: replaced") {
		t.Errorf("exit %d, %q, %q", code, out, stderr)
	}
	if _, out, stderr := c.run("", append(put, "--url", "http://h/2")...); stderr != "" {
		t.Errorf("nothing changed: %q, %q", out, stderr)
	}
	contains(t, c.ok(append(put, "--url", "http://h/2", "--json", "--generate-secret")...), `"secret":"whsec_`)
	c.fails(cli.ExitUsage, "", append(put, "--generate-secret", "--secret", secret), "leave out --secret and --file")
}

// TestMistypedSubscription: every command that takes a subscription knows which one was meant.
func TestMistypedSubscription(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", "http://h/")
	tried := 0
	var try func(cmd *cobra.Command)
	try = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			try(below)
		}
		args := strings.Fields(strings.TrimPrefix(cmd.CommandPath(), "medispatcher "))
		_, takes, _ := strings.Cut(cmd.Use, " ")
		switch {
		case cmd.Name() == "put":
			return
		case cmd.Flags().Lookup("sub") != nil:
			args = append(args, "--sub", "biling")
			if takes == "ID" || strings.HasPrefix(takes, "ID ") {
				args = append(args, "0-1-0", "--body")
			}
		case takesSubscription(cmd):
			args = append(args, "biling")
			if strings.Contains(takes, "KEY=VALUE") {
				args = append(args, "concurrency=3")
			}
			if strings.HasPrefix(takes, "SUB ID") {
				args = append(args, "0-1-0")
			}
		default:
			return
		}
		tried++
		c.fails(cli.ExitFailed, "", args, `subscription "biling": not found; did you mean billing?`)
	}
	try((&app{}).root())
	if tried < 12 {
		t.Errorf("only %d commands take a subscription", tried)
	}
}

func TestKick(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		c := &program{t: t, env: []string{"MEDIS_REDIS_URL=" + env.URL}}
		c.ok("sub", "put", "s", "--topic", "t", "--url", "http://h/")
		do := func(args ...any) {
			t.Helper()
			if err := env.Client.Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		do("XGROUP", "CREATE", "medis:{0}:ch:s", "push", "0", "MKSTREAM")
		do("XADD", "medis:{0}:ch:s", "1-1", "topic", "t", "body", "x")
		do("XREADGROUP", "GROUP", "push", "~buried", "STREAMS", "medis:{0}:ch:s", ">")
		do("ZADD", "medis:{0}:retry:s", time.Now().Add(time.Hour).UnixMilli(), "1-1")
		if out := c.ok("kick", "s"); out != "s: 1 message due now\n" {
			t.Error(out)
		}
		if due := env.Client.ZScore(t.Context(), "medis:{0}:retry:s", "1-1").Val(); due > float64(time.Now().UnixMilli()) {
			t.Errorf("due at %v", due)
		}
	})
}

// TestCompletionOffers: a shell offers subscriptions and fields, and nothing where Redis is away.
func TestCompletionOffers(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", "http://h/")
	offers := func(want string, args ...string) {
		t.Helper()
		_, out, _ := c.run("", append([]string{"__complete"}, args...)...)
		if got, _, _ := strings.Cut(out, ":"); got != want {
			t.Errorf("%q: %q, want %q", args, got, want)
		}
	}
	offers("billing\n", "sub", "pause", "")
	offers("billing\n", "sub", "pause", "billing", "")
	offers("", "sub", "get", "billing", "")
	offers("billing\n", "stats", "billing", "")
	offers("billing\n", "dead", "ls", "")
	offers("billing\n", "alert", "test", "--sub", "")
	offers("drop.threshold=\tFailed attempts after which drop.action holds; 0 leaves it to max_retries\n", "sub", "set", "billing", "drop.t")
	offers("encoding=json\nencoding=form\nencoding=cloudevents\n", "sub", "set", "billing", "encoding=")
	offers("encoding=cloudevents\n", "sub", "set", "billing", "encoding=c")
	offers("json\nform\ncloudevents\n", "sub", "put", "billing", "--encoding", "")
	offers("", "message", "")
	c.redis.Close()
	offers("", "sub", "pause", "")
}
