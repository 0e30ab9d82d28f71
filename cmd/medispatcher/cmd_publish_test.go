package main

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

const incoming = "medis:{0}:incoming"

// newPublisher is newCLI with a subscription that wants every topic.
func newPublisher(t *testing.T, env ...string) *program {
	t.Helper()
	c := newCLI(t, env...)
	c.ok("sub", "put", "all", "--topic", ">", "--url", "http://w/")
	return c
}

// entries are the fields of the incoming messages.
func (c *program) entries() []map[string]string {
	c.t.Helper()
	list, err := c.redis.Stream(incoming)
	if err != nil {
		return nil
	}
	var out []map[string]string
	for _, e := range list {
		fields := map[string]string{}
		for i := 0; i+1 < len(e.Values); i += 2 {
			fields[e.Values[i]] = e.Values[i+1]
		}
		out = append(out, fields)
	}
	return out
}

// only is the one incoming message.
func (c *program) only() map[string]string {
	c.t.Helper()
	list := c.entries()
	if len(list) != 1 {
		c.t.Fatalf("%d messages", len(list))
	}
	return list[0]
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %q, want %q", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("fields %v, want %v", got, want)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	c := newPublisher(t)
	id := strings.TrimSpace(c.ok("publish", "order.created", `{"order":42}`))
	if !strings.HasPrefix(id, "0-") {
		t.Errorf("id %q", id)
	}
	same(t, c.only(), map[string]string{"topic": "order.created", "body": `{"order":42}`})
}

func TestPublishAllFields(t *testing.T) {
	t.Parallel()
	c := newPublisher(t)
	out := c.ok("publish", "a.b", "hi", "--id", "order-42", "--sender", "shop", "--key", "k", "--type", "text/plain",
		"--delay", "1m30s", "--header", "X-A: b: c", "--header", "traceparent:00-1")
	if out != "order-42\n" {
		t.Errorf("printed %q", out)
	}
	same(t, c.only(), map[string]string{
		"topic": "a.b", "body": "hi", "id": "order-42", "sender": "shop", "key": "k", "type": "text/plain",
		"delay": "90000", "headers": `{"X-A":"b: c","traceparent":"00-1"}`,
	})
}

func TestPublishFromStdin(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"publish", "a", "-"}, {"publish", "a"}} {
		c := newPublisher(t)
		if code, _, stderr := c.run("line 1\nline 2\x00\n", args...); code != cli.ExitOK || stderr != "" {
			t.Errorf("exit %d, %s", code, stderr)
		}
		same(t, c.only(), map[string]string{"topic": "a", "body": "line 1\nline 2\x00\n"})
	}
	c := newPublisher(t)
	c.ok("publish", "a", "-") // an empty body that was asked for
	same(t, c.only(), map[string]string{"topic": "a", "body": ""})
}

func TestPublishPartition(t *testing.T) {
	t.Parallel()
	c := newPublisher(t, "MEDIS_PARTITIONS=8", "MEDIS_KEY_PREFIX=p")
	c.ok("publish", "a", "1", "--key", "k")
	c.ok("publish", "a", "2", "--key", "k")
	for _, key := range c.redis.Keys() {
		if !strings.HasPrefix(key, "p:{") {
			continue // of subscriptions
		}
		if list, _ := c.redis.Stream(key); len(list) != 2 {
			t.Errorf("%s holds %d", key, len(list))
		}
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args  []string
		stdin string
		code  int
		want  []string
	}{
		{[]string{"a..b", "x"}, "", cli.ExitUsage, []string{`topic: "a..b" has an empty level`}},
		{[]string{"", "x"}, "", cli.ExitUsage, []string{`topic: is missing`}},
		{[]string{"a b", "x", "--id", "a\nb", "--sender", strings.Repeat("s", 256)}, "", cli.ExitUsage,
			[]string{`topic: `, `id: "a\nb" has a control character`, "sender: is 256 bytes long"}},
		{[]string{"a", "x", "--header", "nope"}, "", cli.ExitUsage, []string{`--header "nope": write 'name: value'`}},
		{[]string{"a", "x", "--header", "a:1", "--header", "a:2"}, "", cli.ExitUsage, []string{`--header "a" is given twice`}},
		{[]string{"a", "x", "--header", "Webhook-Id: 1"}, "", cli.ExitUsage, []string{`the dispatcher or HTTP itself sets "Webhook-Id"`}},
		{[]string{"a", "x", "--header", "a b: 1"}, "", cli.ExitUsage, []string{`headers: "a b" is not an HTTP header name`}},
		{[]string{"a", "x", "--id", ""}, "", cli.ExitUsage, []string{`--id is empty`}},
		{[]string{"a", "x", "--key="}, "", cli.ExitUsage, []string{`--key is empty`}},
		{[]string{"a", "x", "--delay", ""}, "", cli.ExitUsage, []string{`--delay is empty`}},
		{[]string{"a", "--cloudevent", ""}, "x", cli.ExitUsage, []string{`--cloudevent is empty`}},
		{[]string{"a", "x", "--delay", "soon"}, "", cli.ExitUsage, []string{`--delay: "soon" is neither a duration`}},
		{[]string{"a", "x", "--delay", "-1s"}, "", cli.ExitUsage, []string{`--delay: "-1s" is outside 0 to`}},
		{[]string{"a"}, "", cli.ExitUsage, []string{`BODY is missing, and stdin is empty`}},
		{[]string{"--ndjson", "--id", "x"}, "", cli.ExitUsage, []string{`--id cannot go with --ndjson`}},
		{[]string{"a", "0123456789a"}, "", cli.ExitFailed, []string{`message body is too large: more than 10B; `}},
		{[]string{"a", "-"}, "0123456789a", cli.ExitFailed, []string{`raise MEDIS_MAX_BODY`}},
	} {
		r := newPublisher(t, "MEDIS_MAX_BODY=10B")
		r.fails(c.code, c.stdin, append([]string{"publish"}, c.args...), c.want...)
		if n := len(r.entries()); n != 0 {
			t.Errorf("%q published %d", c.args, n)
		}
	}
}

func TestPublishLines(t *testing.T) {
	t.Parallel()
	c := newPublisher(t)
	in := `{"topic":"a.b","body":"text","id":"1","sender":"s","key":"k","type":"text/plain","headers":{"X":"y"},"time":1700000000000,"delay":"2s"}
{"body":{"order": 42}}

{"body_base64":"/wA=","time":"1700000000001","delay":1500}
{"body":null,"sender":"other"}`
	code, out, stderr := c.run(in, "publish", "default.topic", "--ndjson", "--sender", "flag")
	if code != cli.ExitOK || stderr != "" || strings.Count(out, "\n") != 4 || !strings.HasPrefix(out, "1\n0-") {
		t.Fatalf("exit %d, %q, %s", code, out, stderr)
	}
	got := c.entries()
	for i, want := range []map[string]string{
		{"topic": "a.b", "body": "text", "id": "1", "sender": "s", "key": "k", "type": "text/plain", "headers": `{"X":"y"}`, "time": "1700000000000", "delay": "2000"},
		{"topic": "default.topic", "body": `{"order": 42}`, "sender": "flag"},
		{"topic": "default.topic", "body": "\xff\x00", "sender": "flag", "time": "1700000000001", "delay": "1500"},
		{"topic": "default.topic", "body": "null", "sender": "other"},
	} {
		same(t, got[i], want)
	}
}

// TestPublishNothing: a program that failed wrote nothing, and its pipe says so.
func TestPublishNothing(t *testing.T) {
	t.Parallel()
	c := newPublisher(t)
	for in, arg := range map[string]string{"": "--ndjson", "\n \n": "--ndjson", "[]": "--cloudevent=-"} {
		code, out, stderr := c.run(in, "publish", arg)
		if code != cli.ExitOK || out != "" {
			t.Errorf("%s of %q: exit %d, %q", arg, in, code, out)
		}
		checkLines(t, stderr, "warning: stdin holds no message; nothing was published")
	}
}

func TestPublishBadLines(t *testing.T) {
	t.Parallel()
	c := newPublisher(t, "MEDIS_MAX_BODY=100B")
	lines := []struct{ line, want string }{
		{`{"topic":"a","body":1}`, ""},
		{`nope`, "line 2: is not JSON"},
		{`{"topic":"a"`, "line 3: is not JSON: it ends too early"},
		{`[1]`, `line 4: is not a JSON object such as`},
		{`{"topic":"a b","body":1}`, `line 5: topic: "a b"`},
		{`{"body":1}`, "line 6: topic: is missing"},
		{`{"topic":"a"}`, `line 7: body: is missing`},
		{`{"topic":"a","body":1,"body_base64":"aGk="}`, "line 8: has body and body_base64"},
		{`{"topic":"a","body_base64":"?"}`, "line 9: body_base64: is not base64"},
		{`{"topic":"a","bdy":1}`, `line 10: "bdy" is not a field of a message; the fields are topic`},
		{`{"topic":3,"body":1}`, "line 11: topic: is not a string, but a JSON number"},
		{`{"topic":"a","body":1,"headers":{"x":1}}`, "line 12: headers"},
		{`{"topic":"a","body":1,"time":"noon"}`, `line 13: time: "noon" is not a unix time`},
		{`{"topic":"a","body":1,"delay":"soon"}`, `line 14: delay: "soon" is neither`},
		{`{"topic":"a","body":1}{}`, "line 15: has more than one JSON object"},
		{"{\"topic\":\"a\",\"body\":\"\xff\"}", "line 16: is not UTF-8; put such bytes into body_base64"},
		{`{"topic":"a","body":"` + strings.Repeat("x", 101) + `"}`, "line 17: message body is too large"},
		{`{"topic":"a","body":"` + strings.Repeat("x", 300<<10) + `"}`, "line 18: is longer than MEDIS_MAX_BODY allows"},
		{"{\"\x1b[31m\":1}", `line 19: is not JSON`},
		{`{"topic":"a","body":1,"id":""}`, `line 20: id: is empty; leave it out`},
		{`{"topic":"a","body":1,"headers":{"Webhook-Id":"1"}}`, `line 21: headers: the dispatcher or HTTP itself sets "Webhook-Id"`},
		{`{"topic":"a","body":"last"}`, ""},
	}
	var in strings.Builder
	var want []string
	for _, l := range lines {
		in.WriteString(l.line + "\n")
		if l.want != "" {
			want = append(want, l.want)
		}
	}
	want = append(want, "20 messages not published, 2 published; correct those lines")
	c.fails(cli.ExitFailed, in.String(), []string{"publish", "--ndjson"}, want...)
	got := c.entries()
	if len(got) != 2 || got[1]["body"] != "last" {
		t.Errorf("published %v", got)
	}
}

// Lines are published while stdin is open. If Redis goes away, the command stops and names the line.
func TestPublishLinesStopsWithoutRedis(t *testing.T) {
	t.Parallel()
	c := newPublisher(t)
	stdin, feed := io.Pipe()
	printed, out := io.Pipe()
	var errs lockedBuffer
	code := make(chan int, 1)
	go func() { code <- run(t.Context(), []string{"publish", "--ndjson", "a"}, c.env, stdin, out, &errs) }()
	line := func(s string) {
		if _, err := io.WriteString(feed, s+"\n"); err != nil {
			t.Error(err)
		}
	}
	line(`{"body":1,"id":"one"}`)
	if id, err := bufio.NewReader(printed).ReadString('\n'); id != "one\n" {
		t.Fatalf("%q, %v", id, err)
	}
	c.redis.Close()
	line(`{"body":2}`)
	if got := <-code; got != cli.ExitFailed {
		t.Errorf("exit %d", got)
	}
	_ = feed.Close()
	checkLines(t, lastLine(errs.String()), "stopped at line 2, 1 published before it; go on from this line")
	contains(t, errs.String(), "check MEDIS_REDIS_URL")
}

// lastLine leaves out the lines that go-redis writes by itself.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1] + "\n"
}
