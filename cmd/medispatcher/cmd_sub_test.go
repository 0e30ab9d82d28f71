package main

import (
	"cmp"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"

func (c *program) get(id string) medispatcher.Subscription {
	c.t.Helper()
	var sub medispatcher.Subscription
	if err := json.Unmarshal([]byte(c.ok("sub", "get", id)), &sub); err != nil {
		c.t.Fatal(err)
	}
	return sub
}

func (c *program) stored(id string) string { return c.redis.HGet("medis:subscriptions", id) }

// Fields can be given on the command line, and their flags reach them.
func TestSubPutFlags(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	out := c.ok("sub", "put", "billing", "--topic", "order.>", "--url", "http://u:hush@h/x?a=1,2", "--url", "[T_ENV:PUB]https://h/y",
		"--paused", "--concurrency", "32", "--retry-concurrency", "3", "--interval", "5ms", "--timeout", "7s", "--max-retries", "4",
		"--retry-coefficient", "1s", "--retry-schedule", "5s,1m", "--retry-schedule", "10m", "--encoding", "form", "--secret", secret, "--header", "X-A: b", "--header", "X-B: true", "--receive-bench",
		"--drop-threshold", "5", "--drop-action", "log", "--alert=false", "--alert-url", "smtp://mail.example/?from=a@x.example&to=b@x.example,c@x.example", "--alert-window", "1m",
		"--alert-failures", "9", "--alert-message-failures", "8", "--alert-backlog", "77", "--alert-every", "2m")
	if out != "billing: created, order.> to http://u:********@h/x?a=******** [T_ENV:PUB]https://h/y\n" {
		t.Errorf("printed %q", out)
	}
	want := medispatcher.DefaultSubscription()
	want.ID, want.Topic, want.URLs, want.Paused = "billing", "order.>", []string{"http://u:********@h/x?a=********", "[T_ENV:PUB]https://h/y"}, true
	want.Concurrency, want.RetryConcurrency, want.MaxRetries, want.ReceiveBench = 32, 3, 4, true
	want.Interval, want.Timeout, want.RetryCoefficient, want.Encoding = 5e6, 7e9, 1e9, "form"
	want.RetrySchedule = []medispatcher.Duration{5e9, 60e9, 600e9}
	want.Secret, want.Headers = medispatcher.SecretMask, map[string]string{"X-A": "b", "X-B": "true"}
	want.Drop = medispatcher.DropPolicy{Threshold: 5, Action: "log"}
	want.Alert = medispatcher.AlertPolicy{
		URLs: []string{"smtp://mail.example/********-0351"}, Window: 60e9, Failures: 9, MessageFailures: 8, Backlog: 77, Every: 120e9,
	}
	if got := c.get("billing"); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	contains(t, c.stored("billing"), "hush@h", "to=b@x.example,c@x.example", secret)
}

// TestEveryFieldHasAFlag: the flag of each field reaches the field.
func TestEveryFieldHasAFlag(t *testing.T) {
	for _, f := range medispatcher.Fields() {
		if f.Flag == "" {
			continue
		}
		flags, p := pflag.NewFlagSet("sub put", pflag.ContinueOnError), patch{}
		addSubFlags(flags)
		value := map[medispatcher.Kind]string{medispatcher.KindBool: "true", medispatcher.KindNumber: "1", medispatcher.KindHeaders: "a: b"}[f.Kind]
		if err := flags.Set(f.Flag, cmp.Or(value, "x")); err != nil {
			t.Errorf("--%s: %v", f.Flag, err)
		}
		problems, err := p.setFlags(flags)
		outer, inner, nested := strings.Cut(f.Name, ".")
		got := p[outer]
		if nested && got != nil {
			got = got.(patch)[inner]
		}
		if err != nil || problems != nil || len(p) != 1 || got == nil {
			t.Errorf("--%s makes %v, %v %v", f.Flag, p, problems, err)
		}
	}
}

func TestSubPutFile(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	doc := `{"topic":"a","urls":["http://u:hush@h/"],"secret":"` + secret + `","alert":{"urls":["telegram://123456789:hushhushhushhushhushhushhushhushhus@telegram?chats=@x"]}}`
	if out := c.ok("sub", "put", "x", "--file", writeFile(t, "x.json", doc)); out != "x: created, a to http://u:********@h/\n" {
		t.Errorf("printed %q", out)
	}
	// What get shows can be put again, and keeps what is masked.
	code, out, stderr := c.run(c.ok("sub", "get", "x"), "sub", "put", "x", "--file", "-")
	if code != cli.ExitOK || !strings.Contains(out, "x: replaced") {
		t.Errorf("exit %d, %q, %s", code, out, stderr)
	}
	contains(t, c.stored("x"), secret, "http://u:hush@h/", "telegram://123456789:hushhushhushhushhushhushhushhushhus@telegram?chats=@x")
	c.fails(cli.ExitUsage, "", []string{"sub", "set", "x", "urls=http://u:********@other/"}, `urls[0]: "http://u:********@other/" is masked, and stands for no URL`,
		`secret: must be given again`)
	c.fails(cli.ExitUsage, "", []string{"sub", "set", "x", "headers.X-A=\xff"}, "headers.X-A: is not UTF-8")
	c.fails(cli.ExitUsage, "", []string{"sub", "set", "x", "alert.urls=smtp://mail.example/********-0000"}, `alert.urls[0]: "smtp://mail.example/********-0000" is masked, and stands for no URL`)
	for _, bad := range []struct {
		args  []string
		stdin string
		want  string
	}{
		{[]string{"--file", "/no/such"}, "", "cannot read /no/such: no such file"},
		{[]string{"--file", "-"}, " \n", "- is empty"},
		{[]string{"--file", "-"}, `{"topic":"a","urls":["http://h/"],"headers":{"X-A":"` + "\xff" + `"}}`, "body: is not UTF-8, at byte 52"},
		{[]string{"--topic", "a", "--url", "http://h/", "--header", "X-A: \xff"}, "", "it is not UTF-8"},
		{[]string{"--file", "-"}, "[]", "body: is not a JSON object"},
		{[]string{"--file", "-"}, strings.Repeat(" ", maxSubscriptionFile+1), "larger than 1MiB"},
		{[]string{"--file", "-", "--topic", "a"}, "{}", "--file is the whole subscription"},
		{nil, "", "give --topic and --url, or --file"},
	} {
		c.fails(cli.ExitUsage, bad.stdin, append([]string{"sub", "put", "y"}, bad.args...), bad.want)
	}
}

func TestSubSet(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("sub", "put", "x", "--topic", "a", "--url", "http://h/", "--secret", secret, "--header", "X-Old: 1", "--timeout", "9s")
	out := c.ok("sub", "set", "x", "concurrency=32", "interval=5ms", "topic=12", "urls=http://a/, http://b/", "paused=true",
		"drop.threshold=5", "drop.action=log", "secret="+secret, "headers.X-Team=blue", "headers.X.Y=3", "headers.X-Old=", "timeout=null", "alert.urls=[]")
	if out != "x: changed\n" {
		t.Errorf("printed %q", out)
	}
	got := c.get("x")
	if got.Concurrency != 32 || got.Interval != 5e6 || got.Topic != "12" || !got.Paused || got.Timeout != 5e9 ||
		!reflect.DeepEqual(got.URLs, []string{"http://a/", "http://b/"}) || got.Drop != (medispatcher.DropPolicy{Threshold: 5, Action: "log"}) ||
		!reflect.DeepEqual(got.Headers, map[string]string{"X-Team": "blue", "X.Y": "3"}) || got.Secret != medispatcher.SecretMask {
		t.Errorf("%+v", got)
	}
	if strings.Contains(c.stored("x"), "timeout") {
		t.Errorf("a reset field is still stored: %s", c.stored("x"))
	}
	c.ok("sub", "set", "x", `urls=["http://a/?x=1,2"]`, `drop={"action":"drop"}`, `topic="q"`, "headers=null")
	got = c.get("x")
	if got.URLs[0] != "http://a/?x=********" || !strings.Contains(c.stored("x"), "x=1,2") || got.Drop.Action != "drop" || got.Topic != "q" || len(got.Headers) != 0 {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(c.stored("x"), secret) {
		t.Error("the secret is lost")
	}
}

// Every wrong field is named, all at once, and nothing is stored.
func TestSubWrongFields(t *testing.T) {
	t.Parallel()
	c := newCLI(t, "MEDIS_DENY_CIDRS=10.0.0.0/8")
	c.ok("sub", "put", "x", "--topic", "a", "--url", "http://h/")
	before := c.stored("x")
	for _, bad := range []struct {
		args []string
		want []string
	}{
		{[]string{"topic=a..b"}, []string{`topic: "a..b" has an empty level`}},
		{[]string{"topic=>.a"}, []string{`topic: `}},
		{[]string{"topic="}, []string{`topic: is missing`}},
		{[]string{"urls=ftp://h"}, []string{`urls[0]: "ftp://h" must begin with http://`}},
		{[]string{"urls=http://h/,http:///x,http://h/#f"}, []string{"urls[1]: ", "urls[2]: "}},
		{[]string{"urls=http://10.1.2.3/"}, []string{"urls[0]: 10.1.2.3 is a denied address"}},
		{[]string{"urls=http://169.254.169.254/"}, []string{"urls[0]: 169.254.169.254 is a denied address"}},
		{[]string{"urls="}, []string{"urls: holds 0 worker URLs; give 1 to 64"}},
		{[]string{"urls=[1]"}, []string{`urls: is not a list of strings`, `urls[0]: ""`}},
		{[]string{"paused=maybe"}, []string{`paused: "maybe" is not true or false`}},
		{[]string{"concurrency=abc"}, []string{`concurrency: "abc" is not a whole number`}},
		{[]string{"concurrency=1501"}, []string{`concurrency: 1501 is outside 1 to 1500`}},
		{[]string{"retry_concurrency=61"}, []string{`retry_concurrency: 61 is outside 1 to 60`}},
		{[]string{"interval=5"}, []string{`interval: "5" is not a duration such as 500ms`}},
		{[]string{"interval=-1s"}, []string{`interval: -1s is outside 0s to`}},
		{[]string{"timeout=31s"}, []string{`timeout: 31s is outside 1ms to 30s`}},
		{[]string{"max_retries=-1"}, []string{`max_retries: -1 is outside`}},
		{[]string{"max_retries=1.5"}, []string{`max_retries: "1.5" is not a whole number`}},
		{[]string{"retry_coefficient=25h"}, []string{`retry_coefficient: 25h is outside 0s to 24h`}},
		{[]string{"encoding=xml"}, []string{`encoding: "xml" is not one of json, form, cloudevents`}},
		{[]string{"secret=hush"}, []string{`secret: must begin with whsec_`}},
		{[]string{"secret=whsec_aHVzaA=="}, []string{`secret: holds 4 bytes`}},
		{[]string{"secret=" + medispatcher.SecretMask}, []string{`secret: is the mask`}},
		{[]string{"headers=x"}, []string{`headers: write headers.NAME=VALUE, or a JSON object`}},
		{[]string{"headers.Host=x"}, []string{`headers: "Host" is set by the dispatcher`}},
		{[]string{"headers.=x"}, []string{`headers.: is not a field`}},
		{[]string{"receive_bench=1"}, []string{`receive_bench: "1" is not true or false`}},
		{[]string{"drop=x"}, []string{`drop: write drop.NAME=VALUE`}},
		{[]string{"drop.threshold=-1"}, []string{`drop.threshold: -1 is outside`}},
		{[]string{"drop.action=x"}, []string{`drop.action: "x" is not one of keep, log, drop`}},
		{[]string{"drop.x=1"}, []string{`drop.x: is not a field`}},
		{[]string{`drop={"x":1}`}, []string{`drop.x: is not a field`}},
		{[]string{`drop={}`, "drop.action=log"}, []string{`drop.action: drop is given as a whole, too`}},
		{[]string{"alert.enabled=1"}, []string{`alert.enabled: `}},
		{[]string{"alert.window=0s"}, []string{`alert.window: 0s is outside 1s`}},
		{[]string{"alert.every=1ms"}, []string{`alert.every: 1ms is outside`}},
		{[]string{"alert.failures=-1"}, []string{`alert.failures: -1 is below 0`}},
		{[]string{"alert.message_failures=-1"}, []string{`alert.message_failures: -1 is below 0`}},
		{[]string{"alert.backlog=-1"}, []string{`alert.backlog: -1 is below 0`}},
		{[]string{"id=y"}, []string{`id: cannot be changed`}},
		{[]string{"concurency=1"}, []string{`concurency: is not a field of a subscription; did you mean concurrency?`}},
		{[]string{"retry-concurrency=1"}, []string{`did you mean retry_concurrency?`}},
		{[]string{"concurrency=1", "concurrency=2"}, []string{`concurrency: is given twice`}},
		{[]string{"concurrency"}, []string{`"concurrency": write KEY=VALUE`}},
		{[]string{"topic=a..b", "timeout=99h", "encoding=x"}, []string{"topic: ", "timeout: ", "encoding: "}},
	} {
		c.fails(cli.ExitUsage, "", append([]string{"sub", "set", "x"}, bad.args...), bad.want...)
	}
	c.fails(cli.ExitUsage, "", []string{"sub", "put", "x", "--concurrency", "x", "--paused=maybe", "--timeout", "99h", "--url", ""},
		`concurrency: `, `paused: `, `topic: is missing`, `urls[0]: "" must begin with`, `timeout: `)
	c.fails(cli.ExitUsage, "", []string{"sub", "put", "x", "--header", "x"}, `--header "x": write 'name: value'`)
	c.fails(cli.ExitUsage, "", []string{"sub", "put", "b\x1bd", "--topic", "a", "--url", "http://h/"}, `id: "b\x1bd" must start with`)
	if c.stored("x") != before {
		t.Errorf("stored %s", c.stored("x"))
	}
}

func TestSubPauseResume(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("sub", "put", "x", "--topic", "a", "--url", "http://h/")
	if out := c.ok("sub", "pause", "x"); out != "x: paused\n" || !c.get("x").Paused {
		t.Error(out)
	}
	if out := c.ok("sub", "resume", "x"); out != "x: resumed\n" || c.get("x").Paused {
		t.Error(out)
	}
}

func TestSubNotFound(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	for _, args := range [][]string{{"get", "x"}, {"set", "x", "paused=true"}, {"pause", "x"}, {"resume", "x"}, {"rm", "x"}, {"rm", "x", "--purge"}} {
		c.fails(cli.ExitFailed, "", append([]string{"sub"}, args...), `subscription "x": not found; medispatcher sub ls lists the subscriptions`)
	}
	c.fails(cli.ExitUsage, "", []string{"sub", "rm", "a b"}, `id: "a b" must start with`)
}

func TestSubList(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	code, out, stderr := c.run("", "sub", "ls")
	if code != cli.ExitOK || !strings.HasPrefix(out, "ID") || !strings.Contains(stderr, "no subscriptions yet; add one") {
		t.Errorf("exit %d, %q, %q", code, out, stderr)
	}
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", "http://u:hush@h/", "--url", "http://i/", "--concurrency", "16", "--secret", secret)
	c.ok("sub", "put", "a", "--topic", ">", "--url", "http://h/", "--paused")
	want := `ID       TOPIC    STATE   CONCURRENCY  URLS
a        >        paused            8  http://h/
billing  order.*  active           16  http://u:********@h/ http://i/
`
	if out := c.ok("sub", "ls"); out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	var list []medispatcher.Subscription
	out = c.ok("sub", "ls", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 2 || strings.Contains(out, secret) || !strings.Contains(out, `"topic": ">"`) {
		t.Errorf("%v: %s", err, out)
	}
	// A document that somebody broke by hand is listed, and its escape sequences do not reach the terminal.
	c.redis.HSet("medis:subscriptions", "bro\x1b[31mken", `{"topic":1}`)
	_, out, stderr = c.run("", "sub", "ls")
	contains(t, out, `bro\x1b[31mken  -        unusable`)
	contains(t, stderr, "unusable")
	c.redis.HSet("medis:subscriptions", "broken", `{"topic":1}`)
	c.fails(cli.ExitFailed, "", []string{"sub", "get", "broken"}, `"broken": its stored document is unusable (`)
}

func TestSubRemove(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	put := func() { c.ok("sub", "put", "x", "--topic", "a", "--url", "http://h/") }
	fill := func(key string) {
		if _, err := c.redis.XAdd(key, "*", []string{"topic", "a"}); err != nil {
			t.Fatal(err)
		}
	}
	put()
	if out := c.ok("sub", "rm", "x"); out != "x: removed\n" || c.stored("x") != "" {
		t.Error(out)
	}
	for _, key := range []string{"medis:{0}:ch:x", "medis:{0}:dead:x"} {
		put()
		fill(key)
		c.fails(cli.ExitFailed, "", []string{"sub", "rm", "x"}, `subscription "x" holds messages (1 `)
		if c.stored("x") == "" || !c.redis.Exists(key) {
			t.Error("it was removed although it was refused")
		}
		out := c.ok("sub", "rm", "x", "--purge")
		if !strings.HasPrefix(out, "x: removed, and with it messages (1 ") || c.stored("x") != "" || c.redis.Exists(key) {
			t.Error(out)
		}
	}
	// A purge that died half-way can be repeated.
	fill("medis:{0}:ch:x")
	c.fails(cli.ExitFailed, "", []string{"sub", "rm", "x"}, `not found, but Redis holds messages (1 READY) of it; --purge removes them`)
	if c.ok("sub", "rm", "x", "--purge"); c.redis.Exists("medis:{0}:ch:x") {
		t.Error("the channel is still there")
	}
}

func TestSubHistory(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	c.ok("sub", "put", "billing", "--topic", "order.*", "--url", "http://h/")
	c.ok("sub", "set", "billing", "concurrency=32")
	c.ok("sub", "put", "other", "--topic", "x", "--url", "http://h/")
	out := c.ok("sub", "history", "billing")
	contains(t, out, "created", "concurrency 8 → 32", "cli ", "@")
	if strings.Contains(out, "other") {
		t.Errorf("another one's changes:\n%s", out)
	}
	contains(t, c.ok("sub", "history", "--json"), `"subscription":"other"`)
	c.fails(cli.ExitUsage, "", []string{"sub", "history", "--limit", "0"}, "give 1 or more")
}
