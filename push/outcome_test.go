package push

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/solate/medispatcher"
)

var outcomeTime = time.UnixMilli(1_700_000_000_000)

// TestOutcomeOfEveryAnswer follows an answer from the transport to what becomes of the message.
func TestOutcomeOfEveryAnswer(t *testing.T) {
	t.Parallel()
	const sent, failed = medispatcher.Sent, medispatcher.Failed
	for status, want := range map[int]medispatcher.Outcome{
		200: sent, 201: sent, 202: sent, 204: sent, 299: sent,
		300: failed, 301: failed, 302: failed, 303: failed, 304: failed, 307: failed, 308: failed,
		400: failed, 401: failed, 403: failed, 404: failed, 408: failed, 409: failed, 410: failed, 413: failed, 422: failed, 429: failed,
		500: failed, 501: failed, 502: failed, 503: failed, 504: failed, 599: failed, 600: failed, 999: failed,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			sub := subscription("a")
			client := clientOf(t, answering(status, "because", "Retry-After", "15"))
			d := &medispatcher.Delivery{Channel: medispatcher.Channel{Subscription: "a"}, EntryID: "1-0", Attempt: 1}
			r := attempt(t, client, &poster{}, newSettings(&sub, ""), d)
			out := outcomeOf(&sub, d, &r, outcomeTime, 0)
			if out.Outcome != want || out.EntryID != "1-0" || out.Subscription != "a" || out.Attempt != 1 {
				t.Errorf("settled as %+v, want %s", out, want)
			}
			if r.gone() != (status == 410) {
				t.Errorf("gone: %t", r.gone())
			}
			delay := 10 * time.Second // the coefficient
			if status == 429 || status == 503 {
				delay = 15 * time.Second // Retry-After, which no other status has a say in
			}
			if want == failed {
				text := fmt.Sprintf("status %d: because", status)
				if status == 304 {
					text = "status 304" // it has no body
				}
				f := medispatcher.Failure{Attempts: 1, FirstError: text, LastError: text, FirstAt: outcomeTime, LastAt: outcomeTime, Target: "http://a/"}
				if out.Delay != delay || out.Failure == nil || *out.Failure != f {
					t.Errorf("delay %s, failure %+v; want %s, %+v", out.Delay, out.Failure, delay, f)
				}
			} else if out.Failure != nil || out.Delay != 0 {
				t.Errorf("delay %s, failure %+v of a success", out.Delay, out.Failure)
			}
		})
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	timeout := errors.New("timeout: no answer within 5s")
	eof := errors.New("unexpected EOF")
	for _, tc := range []struct {
		name    string
		r       result
		attempt int
		want    medispatcher.Outcome
		text    string
	}{
		{"accepted", result{accepted: true, status: 204, target: "u"}, 1, medispatcher.Sent, ""},
		{"accepted at the last attempt", result{accepted: true, status: 200, target: "u"}, 11, medispatcher.Sent, ""},
		{"transport error", result{err: errors.New("connection refused"), target: "u"}, 1, medispatcher.Failed, "connection refused"},
		{"timeout", result{err: timeout, target: "u"}, 1, medispatcher.Failed, timeout.Error()},
		{"answer cut short", result{status: 500, err: eof, target: "u"}, 1, medispatcher.Failed, "status 500, and its body broke off: unexpected EOF"},
		{"answer cut short, and its start", result{status: 500, err: eof, answer: []byte("no such\n"), target: "u"}, 1, medispatcher.Failed, "status 500, and its body broke off: unexpected EOF; it began: no such"},
		{"redirect", result{status: 307, location: "/b?t=********", answer: []byte("see /b?t=secret"), target: "u"}, 1, medispatcher.Failed, "status 307, and redirects are not followed; Location: /b?t=********"},
		{"this machine is short", result{short: true, err: syscall.EMFILE, target: "u"}, 3, medispatcher.Released, ""},
		{"this machine is short at the last attempt", result{short: true, err: syscall.EMFILE, target: "u"}, 11, medispatcher.Released, ""},
		{"cut by shutdown", result{cut: true, target: "u"}, 3, medispatcher.Released, ""},
		{"cut by shutdown at the last attempt", result{cut: true, target: "u"}, 11, medispatcher.Released, ""},
		{"no target", result{}, 1, medispatcher.Dropped, ""},
		{"no target at the last attempt", result{}, 11, medispatcher.Dropped, ""},
		{"status alone", result{status: 500, target: "u"}, 1, medispatcher.Failed, "status 500"},
		{"gone fails like any other", result{status: 410, target: "u"}, 1, medispatcher.Failed, "status 410"},
		{"form not accepted", result{status: 200, answer: []byte(`{"status":0}`), target: "u"}, 1, medispatcher.Failed, `status 200: {"status":0}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sub := subscription("a")
			d := &medispatcher.Delivery{Channel: medispatcher.Channel{Partition: 3, Subscription: "a"}, EntryID: "1-0", Attempt: tc.attempt}
			out := outcomeOf(&sub, d, &tc.r, outcomeTime, 0)
			if out.Outcome != tc.want || out.Channel != d.Channel || out.EntryID != "1-0" || out.Attempt != tc.attempt {
				t.Errorf("%+v, want %s", out, tc.want)
			}
			text := ""
			if out.Failure != nil {
				text = out.Failure.LastError
			}
			if text != tc.text || out.Outcome != medispatcher.Failed && out.Delay != 0 {
				t.Errorf("failure %q, delay %s; want %q", text, out.Delay, tc.text)
			}
		})
	}
}

// TestAttemptsOfAMessage: max_retries n means n+1 attempts.
func TestAttemptsOfAMessage(t *testing.T) {
	t.Parallel()
	for _, retries := range []int{0, 1, 2, 10} {
		sub := subscription("a")
		sub.MaxRetries = retries
		d := &medispatcher.Delivery{Attempt: 1}
		made := 1
		for ; ; made++ {
			out := outcomeOf(&sub, d, &result{status: 500, target: "u"}, outcomeTime, 0)
			if out.Outcome == medispatcher.Exhausted {
				if out.Failure == nil || out.Failure.Attempts != made || out.Delay != 0 {
					t.Errorf("max_retries %d: dead with %+v after %s", retries, out.Failure, out.Delay)
				}
				break
			}
			if want := time.Duration(made*made) * 10 * time.Second; out.Outcome != medispatcher.Failed || out.Delay != want {
				t.Fatalf("max_retries %d: attempt %d came to %s, %s; want failed, %s", retries, made, out.Outcome, out.Delay, want)
			}
			d = &medispatcher.Delivery{Attempt: made + 1, Failure: out.Failure}
		}
		if made != retries+1 {
			t.Errorf("max_retries %d: %d attempts", retries, made)
		}
	}
}

func TestFailureRecordKeepsTheFirstError(t *testing.T) {
	t.Parallel()
	sub := subscription("a")
	before := medispatcher.Failure{Attempts: 4, FirstError: "first", LastError: "fourth", FirstAt: time.UnixMilli(1), LastAt: time.UnixMilli(2), Target: "http://old/"}
	given := before
	out := outcomeOf(&sub, &medispatcher.Delivery{Attempt: 5, Failure: &given}, &result{status: 502, target: "http://new/"}, outcomeTime, 0)
	want := medispatcher.Failure{Attempts: 5, FirstError: "first", LastError: "status 502", FirstAt: time.UnixMilli(1), LastAt: outcomeTime, Target: "http://new/"}
	if out.Failure == nil || !reflect.DeepEqual(*out.Failure, want) {
		t.Errorf("%+v\nwant %+v", out.Failure, want)
	}
	if given != before {
		t.Errorf("the delivery's own record became %+v", given)
	}
}

func TestDelayIsTheLongerOfBackoffAndRetryAfter(t *testing.T) {
	t.Parallel()
	sub := subscription("a")
	for _, tc := range []struct {
		attempt int
		asked   time.Duration
		jitter  float64
		want    time.Duration
	}{{1, 0, 0, 10 * time.Second}, {1, 0, 0.5, 11 * time.Second}, {1, time.Minute, 0, time.Minute}, {3, time.Minute, 0, 90 * time.Second}} {
		out := outcomeOf(&sub, &medispatcher.Delivery{Attempt: tc.attempt}, &result{status: 503, retryAfter: tc.asked, target: "u"}, outcomeTime, tc.jitter)
		if out.Delay != tc.want {
			t.Errorf("attempt %d, Retry-After %s: %s, want %s", tc.attempt, tc.asked, out.Delay, tc.want)
		}
	}
}

func TestFailureTextIsShortAndUTF8(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, answer, want string }{
		{"short", " \n no such order\r\n", "status 500: no such order"},
		{"blank", " \n\t", "status 500"},
		{"not UTF-8", "a\xffb", "status 500: a\uFFFDb"},
		{"long", strings.Repeat("x", 2000), "status 500: " + strings.Repeat("x", maxErrorText-12) + "…"},
		{"cut inside a letter", strings.Repeat("x", maxErrorText-13) + "é", "status 500: " + strings.Repeat("x", maxErrorText-13) + "…"},
	} {
		r := result{status: 500, answer: []byte(tc.answer)}
		if got := r.text(); got != tc.want || !utf8.ValidString(got) {
			t.Errorf("%s: %q\nwant %q", tc.name, got, tc.want)
		}
	}
	r := result{err: errors.New(strings.Repeat("é", 2000))}
	if got := r.text(); len(got) > maxErrorText+len("…") || !utf8.ValidString(got) {
		t.Errorf("an error of %d bytes", len(got))
	}
}

// TestLocationIsShownWithoutSecrets: a record names where a redirect points, and nothing that only the
// subscriber may know.
func TestLocationIsShownWithoutSecrets(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"":                                   "",
		"/elsewhere":                         "/elsewhere",
		"https://new.example/hook":           "https://new.example/hook",
		"https://u:secret@new.example/hook":  "https://new.example/hook",
		"//secret@new.example/hook":          "//new.example/hook",
		"/hook?token=secret&n=secret":        "/hook?token=********&n=********",
		"/hook?secret":                       "/hook?********",
		"/hook?a=b;secret=secret":            "/hook?a=********",
		"/hook?%73ecret&&x=":                 "/hook?********&********&x=********",
		"/hook#access_token=secret":          "/hook",
		"https:u:secret@new.example":         "https:********",
		"mailto:secret@new.example":          "mailto:********",
		"https://new.example/\x7fsecret":     "(not a URL)",
		"https://new.example:secret@/":       "https:///",
		"https://u:secret@new example/hook":  "(not a URL)",
		"https://u:secret@[::1%25eth0]:80/x": "https://[::1%25eth0]:80/x",
	} {
		if got := shownLocation(location); got != want {
			t.Errorf("%q is shown as %q, want %q", location, got, want)
		}
	}
}
