package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/verify"
)

const (
	receiveSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	retiredSecret = "whsec_QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJC"
)

// sampleWorker is medispatcher receive, as it runs.
type sampleWorker struct {
	t    *testing.T
	url  string
	out  *lockedBuffer
	seen int // bytes of out
	stop func() int
}

func startReceive(t *testing.T, args ...string) *sampleWorker {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &sampleWorker{t: t, out: &lockedBuffer{}}
	exit := make(chan int, 1)
	go func() {
		exit <- run(ctx, append([]string{"receive", "--listen", "127.0.0.1:0"}, args...), nil, strings.NewReader(""), s.out, s.out)
	}()
	s.stop = func() int {
		cancel()
		return awaitSignal(t, "it ends", exit)
	}
	at := regexp.MustCompile(`receiving on (http://\S+/), `)
	eventually(t, "it listens", func() bool { return at.MatchString(s.out.String()) })
	s.url = at.FindStringSubmatch(s.out.String())[1]
	s.seen = len(s.out.String())
	return s
}

// push is a POST with headers of pairs. It returns the answer, and what was printed meanwhile without its time.
func (s *sampleWorker) push(ctx context.Context, header http.Header, body string) (status int, answer, printed string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultClient.Do(req)
	defer http.DefaultClient.CloseIdleConnections()
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
		text, _ := io.ReadAll(resp.Body)
		status, answer = resp.StatusCode, string(text)
	}
	eventually(s.t, "it prints", func() bool { return len(s.out.String()) > s.seen })
	printed = regexp.MustCompile(`\d\d:\d\d:\d\d`).ReplaceAllString(s.out.String()[s.seen:], "TIME")
	s.seen = len(s.out.String())
	return status, answer, printed
}

// headers are those of a push, signed if there is a secret.
func headers(t *testing.T, secret, body string) http.Header {
	t.Helper()
	h := http.Header{"Medis-Topic": {"order.created"}, "Medis-Subscription": {"billing"}, "Medis-Attempt": {"2"}, "Webhook-Id": {"0-1-0"}}
	if secret != "" {
		if err := verify.Sign(h, secret, "0-1-0", time.Now(), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func TestReceive(t *testing.T) {
	t.Parallel()
	s := startReceive(t)
	const body = `{"order":42}`
	form := url.Values{"message": {body}, "jobid": {"1.000000-0-1-0-billing"}, "retry_times": {"1"}}.Encode()
	asForm := headers(t, "", "")
	asForm.Set("Content-Type", "application/x-www-form-urlencoded")
	asEvent := headers(t, "", "")
	for name, value := range map[string]string{"ce-specversion": "1.0", "ce-id": "42", "ce-source": "/shop", "ce-type": "order.created"} {
		asEvent.Set(name, value)
	}
	for _, tc := range []struct {
		name    string
		h       http.Header
		body    string
		status  int
		answer  string
		printed string
	}{
		{"plain", headers(t, "", ""), body, 204, "", "#1  TIME  order.created → 204  attempt 2, 12 bytes, for billing, id 0-1-0\n    {\"order\":42}\n"},
		{"signed", headers(t, receiveSecret, body), body, 204, "", "#2  TIME  order.created → 204  attempt 2, signature not checked, 12 bytes, for billing, id 0-1-0\n    {\"order\":42}\n"},
		{"form", asForm, form, 200, `{"status":1}`, "#3  TIME  order.created → 200  attempt 2, 73 bytes, for billing, id 0-1-0\n    {\"order\":42}\n"},
		{"nothing", http.Header{}, "", 204, "", "#4  TIME  (no topic) → 204  0 bytes\n"},
		{"hostile", http.Header{"Medis-Topic": {"a\u202eb"}}, "\x1b[31m\r\nb\n\xff\n" + strings.Repeat("x", 200) + "\n5\n6\n", 204, "",
			"#5  TIME  a\\u202eb → 204  216 bytes\n    \\x1b[31m\n    b\n    \\xff\n    " + strings.Repeat("x", 160) + "…\n    5\n    …\n"},
		{"event", asEvent, body, 204, "", "#6  TIME  order.created → 204  attempt 2, 12 bytes, for billing, id 0-1-0, event 42 of /shop\n    {\"order\":42}\n"},
	} {
		status, answer, printed := s.push(t.Context(), tc.h, tc.body)
		if status != tc.status || answer != tc.answer || printed != tc.printed {
			t.Errorf("%s: %d %q\n got  %q\n want %q", tc.name, status, answer, printed, tc.printed)
		}
	}
	if code := s.stop(); code != cli.ExitOK || !strings.HasSuffix(s.out.String(), "\n6 requests: 1 × 200, 5 × 204\n") {
		t.Errorf("exit %d, printed %q", code, s.out.String())
	}
}

// TestReceiveBatches: a batch is printed a message a line, and single messages of it may fail.
func TestReceiveBatches(t *testing.T) {
	t.Parallel()
	lines := `{"id":"m1","topic":"order.created","time":1,"attempt":1,"type":"application/json","body":{"order":42}}` + "\n" +
		`{"id":"m2","topic":"order.paid","time":1,"attempt":3,"type":"image/png","body_base64":"iVD/"}` + "\n"
	const head = "#1  TIME  batch of 2 → 200  197 bytes, for billing, id batch-1\n"
	const both = "    order.created attempt 1, id m1: {\"order\":42}\n    order.paid attempt 3, id m2: 3 bytes\n"
	const events = `[{"specversion":"1.0","id":"e1","source":"/s","type":"order.created","data":{"order":42}},` +
		`{"specversion":"1.0","id":"e2","source":"/s","type":"order.paid","data_base64":"iVD/"}]`
	for _, tc := range []struct{ name, contentType, body, answer, printed, args string }{
		{"lines", "application/x-ndjson", lines, "", strings.Replace(head, "200", "204", 1) + both, ""},
		{"an array", "application/json", "[" + strings.Replace(lines, "\n", ",", 1) + "]", "", strings.NewReplacer("200", "204", "197", "199").Replace(head) + both, ""},
		{
			"failures", "application/x-ndjson", lines,
			`{"failed":[{"id":"m1","error":"this failure was asked for: receive --fail"},{"id":"m2","error":"this failure was asked for: receive --fail"}]}`,
			head + "    2 of 2 messages failed as --fail asks\n" + strings.ReplaceAll(both, " attempt", " failed, attempt"), "--fail 100",
		},
		{
			"events", "application/cloudevents-batch+json", events,
			`{"failed":[{"id":"e1","source":"/s","error":"this failure was asked for: receive --fail"},{"id":"e2","source":"/s","error":"this failure was asked for: receive --fail"}]}`,
			strings.Replace(head, "197", "177", 1) + "    2 of 2 messages failed as --fail asks\n    order.created failed, from /s, id e1: {\"order\":42}\n    order.paid failed, from /s, id e2: 3 bytes\n", "--fail 100",
		},
		{"unreadable", "application/x-ndjson", "{half\n", "", "#1  TIME  batch of 2 → 204  6 bytes, for billing, id batch-1\n    {half\n", ""},
	} {
		s := startReceive(t, strings.Fields(tc.args)...)
		h := http.Header{"Content-Type": {tc.contentType}, "Medis-Batch": {"2"}, "Medis-Subscription": {"billing"}, "Webhook-Id": {"batch-1"}}
		if _, answer, printed := s.push(t.Context(), h, tc.body); answer != tc.answer || printed != tc.printed {
			t.Errorf("%s: %q\n got  %q\n want %q", tc.name, answer, printed, tc.printed)
		}
		s.stop()
	}
}

// TestReceiveVerifies: only what one of the secrets signed is taken.
func TestReceiveVerifies(t *testing.T) {
	t.Parallel()
	s := startReceive(t, "--secret", receiveSecret, "--secret", retiredSecret, "--tolerance", "10m")
	old := headers(t, "", "")
	if err := verify.Sign(old, receiveSecret, "0-1-0", time.Now().Add(-time.Hour), []byte("x")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		h      http.Header
		status int
		want   string
	}{
		{"the new secret", headers(t, receiveSecret, "x"), 204, "→ 204  attempt 2, signature good, 1 byte, for billing, id 0-1-0\n    x\n"},
		{"the retired one", headers(t, retiredSecret, "x"), 204, "signature good"},
		{"of another body", headers(t, receiveSecret, "y"), 401, "→ 401  attempt 2, for billing, id 0-1-0\n    refused: the signature is wrong: it was made with none of the 2 secrets given, or the body was changed on its way\n"},
		{"not signed", headers(t, "", ""), 401, "refused: the push is not signed"},
		{"an hour old", old, 401, "refused: the time of the push is not now: it was signed 1h0m"},
	} {
		if status, _, printed := s.push(t.Context(), tc.h, "x"); status != tc.status || !strings.Contains(printed, tc.want) {
			t.Errorf("%s: %d\n got  %q\n want %q", tc.name, status, printed, tc.want)
		}
	}
	s.stop()
}

func TestReceiveMisbehaves(t *testing.T) {
	t.Parallel()
	form := url.Values{"message": {"x"}, "jobid": {"j"}}.Encode()
	for _, tc := range []struct {
		args, form string
		status     int
		want       string
	}{
		{"--fail 100", "", 500, "→ 500  attempt 2, 1 byte, for billing, id 0-1-0\n    failed as --fail asks\n    x\n"},
		{"--fail 100 --status 429", "", 429, "→ 429"},
		{"--status 410", "", 410, "→ 410"},
		{"--status 410", form, 410, "→ 410"},
		{"--fail 0 --delay 1ms", "", 204, "→ 204"},
		{"--fail 100", form, 500, "→ 500"},
	} {
		s := startReceive(t, strings.Fields(tc.args)...)
		h, body := headers(t, "", ""), "x"
		if tc.form != "" {
			h.Set("Content-Type", "application/x-www-form-urlencoded")
			body = tc.form
		}
		if status, _, printed := s.push(t.Context(), h, body); status != tc.status || !strings.Contains(printed, tc.want) {
			t.Errorf("%s: %d\n got  %q\n want %q", tc.args, status, printed, tc.want)
		}
		s.stop()
	}
}

// TestReceiveTooLate: a dispatcher that hangs up ends the delay, and so does Ctrl-C.
func TestReceiveTooLate(t *testing.T) {
	t.Parallel()
	s := startReceive(t, "--delay", "1h")
	contains(t, s.out.String(), "answers well after 1h0m0s")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { cancel() }})
	if _, _, printed := s.push(ctx, headers(t, "", ""), "x"); !strings.Contains(printed, "→ no answer  ") || !strings.Contains(printed, "\n    the dispatcher hung up") {
		t.Errorf("printed %q", printed)
	}
	if code := s.stop(); code != cli.ExitOK {
		t.Error(code)
	}
}

func TestReceiveFlags(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args string
		want []string
	}{
		{"--fail 101 --delay -1s --status 100", []string{"--fail 101: give 0 to 100", "--delay -1s: give 0s to 1h0m0s", "--status 100: give 200 to 599"}},
		{"--fail 10 --status 202", []string{"--status 202 is no failure, so it cannot go with --fail"}},
		{"--secret abc", []string{"--secret 1 of 1: it must begin with whsec_"}},
		{"--tolerance 1m", []string{"--tolerance has no effect without --secret"}},
		{"--tolerance 0s --secret " + receiveSecret, []string{"--tolerance 0s: give more than 0s"}},
	} {
		code, out, stderr := runWith(t, nil, nil, append([]string{"receive"}, strings.Fields(tc.args)...)...)
		if code != cli.ExitUsage || out != "" {
			t.Errorf("%s: exit %d, stdout %q", tc.args, code, out)
		}
		checkLines(t, stderr, tc.want...)
	}
}
