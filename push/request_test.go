package push

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// answering gives every request the same answer.
func answering(status int, body string, header ...string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

// delivery is a message of the subscription "a" with some of it changed.
func delivery(change func(*medispatcher.Delivery)) *medispatcher.Delivery {
	d := &medispatcher.Delivery{
		Channel: medispatcher.Channel{Subscription: "a"}, EntryID: "1-0", Attempt: 1,
		Message: medispatcher.Message{
			ID: "0-1700000000123-0", Generated: true, Topic: "order.created", Body: []byte(`{"order":42}`),
			Type: "application/json", Time: time.UnixMilli(1_700_000_000_123),
		},
	}
	if change != nil {
		change(d)
	}
	return d
}

// arriving is the request that a worker gets of a message of a subscription, and its body.
func arriving(t *testing.T, sub medispatcher.Subscription, d *medispatcher.Delivery) (req *http.Request, body string, ignored []string) {
	t.Helper()
	st := newSettings(&sub, "")
	h, ignored := forwarded(st, d)
	var r request
	if err := r.build(st, d, st.ways().targets.urls[0], h, "agent/1", time.Unix(1_700_000_001, 0)); err != nil {
		t.Fatal(err)
	}
	client := clientOf(t, roundTrip(func(got *http.Request) (*http.Response, error) {
		read, err := io.ReadAll(got.Body)
		req, body = got, string(read)
		return &http.Response{StatusCode: 204, Body: http.NoBody}, err
	}))
	snd := client.Sender(t.Context())
	defer snd.Release()
	if _, err := snd.Post(&r.Request, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := req.Header.Get("Content-Length"); got != fmt.Sprint(len(body)) {
		t.Errorf("length %s announced for %d bytes", got, len(body))
	}
	req.Header.Del("Content-Length")
	return req, body, ignored
}

// lines are headers one a line, sorted.
func lines(h http.Header) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			out = append(out, name+": "+v)
		}
	}
	return strings.Join(out, "\n")
}

func TestHeadersOfAPush(t *testing.T) {
	t.Parallel()
	const always = "Content-Type: application/json\nMedis-Attempt: 1\nMedis-Subscription: a\nMedis-Topic: order.created\nUser-Agent: agent/1\n" +
		"Webhook-Id: 0-1700000000123-0\nWebhook-Timestamp: 1700000001"
	replaced := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(always) }
	for _, tc := range []struct {
		name    string
		sub     func(*medispatcher.Subscription)
		d       func(*medispatcher.Delivery)
		want    string
		ignored string
	}{
		{name: "the least", want: always},
		{name: "replay", d: func(d *medispatcher.Delivery) { d.Replay = true }, want: replaced("Medis-Subscription", "Medis-Replay: true\nMedis-Subscription")},
		{name: "sender", d: func(d *medispatcher.Delivery) { d.Message.Sender = "shop" }, want: replaced("Medis-Subscription", "Medis-Sender: shop\nMedis-Subscription")},
		{name: "third attempt", d: func(d *medispatcher.Delivery) { d.Attempt = 3 }, want: replaced("Attempt: 1", "Attempt: 3")},
		{name: "content type", d: func(d *medispatcher.Delivery) { d.Message.Type = "text/plain" }, want: replaced("application/json", "text/plain")},
		{name: "id of a producer", d: func(d *medispatcher.Delivery) { d.Message.ID, d.Message.Generated = "shop.42", false }, want: replaced("0-1700000000123-0", "shop%2E42")},
		{
			name: "headers of the message", want: replaced("User-Agent", "Traceparent: 00-1\nUser-Agent", "Webhook-Timestamp: 1700000001", "Webhook-Timestamp: 1700000001\nX-A: 1"),
			d: func(d *medispatcher.Delivery) {
				d.Message.Headers = map[string]string{"traceparent": "00-1", "x-a": "1"}
			},
		},
		{
			name: "reserved headers of the message", want: always,
			d: func(d *medispatcher.Delivery) {
				d.Message.Headers = map[string]string{
					"webhook-id": "x", "WEBHOOK-SIGNATURE": "x", "medis-topic": "x", "Host": "x", "content-type": "x", "Content-Length": "1",
					"connection": "x", "Transfer-Encoding": "chunked",
				}
			},
			ignored: "Content-Length Host Transfer-Encoding WEBHOOK-SIGNATURE connection content-type medis-topic webhook-id",
		},
		{
			name: "headers of the subscription win", want: replaced("agent/1", "mine", "Webhook-Timestamp: 1700000001", "Webhook-Timestamp: 1700000001\nX-A: of the subscription\nX-B: of the message"),
			sub: func(s *medispatcher.Subscription) {
				s.Headers = map[string]string{"x-a": "of the subscription", "user-agent": "mine"}
			},
			d: func(d *medispatcher.Delivery) {
				d.Message.Headers = map[string]string{"X-A": "of the message", "x-b": "of the message", "User-Agent": "theirs"}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sub := subscription("a")
			if tc.sub != nil {
				tc.sub(&sub)
			}
			req, body, ignored := arriving(t, sub, delivery(tc.d))
			if got := lines(req.Header); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			slices.Sort(ignored)
			if got := strings.Join(ignored, " "); got != tc.ignored {
				t.Errorf("ignored %q, want %q", got, tc.ignored)
			}
			if req.Method != "POST" || req.Host != "a" || body != `{"order":42}` {
				t.Errorf("%s to %s, body %q", req.Method, req.Host, body)
			}
		})
	}
}

func TestBodyIsUnchanged(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "\x00\xff\r\n", "not JSON", strings.Repeat("x", 1<<20)} {
		_, got, _ := arriving(t, subscription("a"), delivery(func(d *medispatcher.Delivery) { d.Message.Body = []byte(body) }))
		if got != body {
			t.Errorf("%d bytes became %d", len(body), len(got))
		}
	}
}

func TestSignatureOfAPush(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{medispatcher.EncodingJSON, medispatcher.EncodingForm, medispatcher.EncodingCloudEvents} {
		sub := subscription("a")
		sub.Encoding, sub.Secret = encoding, vectorSecret
		sub.PreviousSecret, sub.PreviousUntil = otherSecret, time.Unix(1_700_000_002, 0)
		req, body, _ := arriving(t, sub, delivery(func(d *medispatcher.Delivery) { d.Message.ID, d.Message.Generated = "a.b", false }))
		sg := newSigner(&sub)
		want := string(sg.sign(nil, "a%2Eb", time.Unix(1_700_000_001, 0), []byte(body)))
		if got := req.Header.Get("webhook-signature"); got != want || len(strings.Fields(got)) != 2 {
			t.Errorf("%s: signature %q of what is sent, want %q", encoding, got, want)
		}
	}
}

func TestFormPush(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, body, message string }{
		{"JSON", `{"order":42}`, `{"order":42}`},
		{"JSON with what a form escapes", `{"a":"é&=+ %"}`, `{"a":"é&=+ %"}`},
		{"a JSON string", `"x"`, `"x"`},
		{"text", `hello "you"`, `"hello \"you\""`},
		{"no body", ``, `""`},
		{"not quite JSON", `{"order":42`, `"{\"order\":42"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sub := subscription("a")
			sub.Encoding, sub.URLs = medispatcher.EncodingForm, []string{"http://a/w?x=1&y=%20"}
			req, body, _ := arriving(t, sub, delivery(func(d *medispatcher.Delivery) { d.Attempt, d.Message.Body = 3, []byte(tc.body) }))
			form, err := url.ParseQuery(body)
			if err != nil {
				t.Fatal(err)
			}
			const job = "1700000000.123000-0-1700000000123-0-a"
			if want := (url.Values{"message": {tc.message}, "jobid": {job}, "retry_times": {"2"}}); fmt.Sprint(form) != fmt.Sprint(want) {
				t.Errorf("form %v\nwant %v", form, want)
			}
			if got, want := fmt.Sprint(req.URL.Query()), fmt.Sprint(url.Values{"jobid": {job}, "retry_times": {"2"}, "x": {"1"}, "y": {" "}}); got != want {
				t.Errorf("query %s\nwant %s", got, want)
			}
			h := req.Header
			if h.Get("Content-Type") != "application/x-www-form-urlencoded" || h.Get("medis-attempt") != "3" || h.Get("webhook-id") == "" || h.Get("medis-topic") == "" {
				t.Errorf("headers\n%s", lines(h))
			}
		})
	}
}

// TestUserinfo: the credentials of a URL go along, unless the message or the subscription has others.
func TestUserinfo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want     string
		message, other map[string]string
	}{
		{"alone", "Basic dTpwQA==", nil, nil},
		{"and the message's", "of the message", map[string]string{"authorization": "of the message"}, nil},
		{"and the subscription's", "of the subscription", nil, map[string]string{"AUTHORIZATION": "of the subscription"}},
		{"and both", "of the subscription", map[string]string{"authorization": "of the message"}, map[string]string{"Authorization": "of the subscription"}},
	} {
		sub := subscription("a")
		sub.URLs, sub.Headers = []string{"http://u:p%40@a/"}, tc.other
		req, _, _ := arriving(t, sub, delivery(func(d *medispatcher.Delivery) { d.Message.Headers = tc.message }))
		if got := req.Header["Authorization"]; len(got) != 1 || got[0] != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestNoUserAgent: an empty one means none.
func TestNoUserAgent(t *testing.T) {
	t.Parallel()
	none := map[string]string{"user-agent": ""}
	sub := subscription("a")
	d := delivery(func(d *medispatcher.Delivery) { d.Message.Headers = none })
	for range 2 {
		if req, _, _ := arriving(t, sub, d); req.Header["User-Agent"] != nil {
			t.Errorf("User-Agent %q", req.Header["User-Agent"])
		}
		sub.Headers, d = none, delivery(nil)
	}
}

// TestRequestThatCannotBeMade: what would break the request fails the attempt, and nothing is sent.
func TestRequestThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*medispatcher.Subscription, *medispatcher.Delivery){
		"content type": func(_ *medispatcher.Subscription, d *medispatcher.Delivery) { d.Message.Type = "a\r\nX-Evil: 1" },
		"sender":       func(_ *medispatcher.Subscription, d *medispatcher.Delivery) { d.Message.Sender = "a\nb" },
		"topic":        func(_ *medispatcher.Subscription, d *medispatcher.Delivery) { d.Message.Topic = "a\x00" },
		"header of the message": func(_ *medispatcher.Subscription, d *medispatcher.Delivery) {
			d.Message.Headers = map[string]string{"a b": "c"}
		},
		"header of the subscription": func(s *medispatcher.Subscription, _ *medispatcher.Delivery) {
			s.Headers = map[string]string{"a": "\r\n"}
		},
		"URL": func(s *medispatcher.Subscription, _ *medispatcher.Delivery) { s.URLs = []string{"ftp://a/"} },
		"address that a proxy may read as another one": func(s *medispatcher.Subscription, _ *medispatcher.Delivery) {
			s.URLs = []string{"http://127.1/"} // an earlier version stored it
		},
	} {
		sub, d := subscription("a"), delivery(nil)
		change(&sub, d)
		r := attempt(t, refusing(t, errRefused), &poster{}, newSettings(&sub, ""), d)
		if !errors.Is(r.err, http1.ErrInvalidRequest) || r.target == "" || r.short || strings.Contains(r.err.Error(), "Evil") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestJobIDIsTheSameForEveryAttempt(t *testing.T) {
	t.Parallel()
	for ms, want := range map[int64]string{0: "0.000000-i-a", 7: "0.007000-i-a", 1_700_000_000_000: "1700000000.000000-i-a", 1_700_000_000_999: "1700000000.999000-i-a"} {
		for attempt := range 3 {
			got := jobID(delivery(func(d *medispatcher.Delivery) {
				d.Attempt, d.Message.ID, d.Message.Time = attempt+1, "i", time.UnixMilli(ms)
			}))
			if got != want {
				t.Errorf("%d ms, attempt %d: %s, want %s", ms, attempt+1, got, want)
			}
		}
	}
}

func TestContextHeadersOfEarlierVersions(t *testing.T) {
	t.Parallel()
	d := delivery(func(d *medispatcher.Delivery) {
		d.Message.Headers = map[string]string{"context": "c", "OWL_Context": "o"}
	})
	sub := subscription("a")
	for encoding, want := range map[string]string{
		medispatcher.EncodingForm: "X-Jumei-Context: c\nX-Jumei-Owl-Context: o",
		medispatcher.EncodingJSON: "Context: c\nOwl_context: o",
	} {
		sub.Encoding = encoding
		req, _, _ := arriving(t, sub, d)
		maps.DeleteFunc(req.Header, func(name string, _ []string) bool { return !strings.HasSuffix(strings.ToLower(name), "context") })
		if got := lines(req.Header); got != want {
			t.Errorf("%s: %q, want %q", encoding, got, want)
		}
	}
}

func TestFormAccepts200WithStatus1Alone(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`{"status":1}`, `{"status":"1"}`, " {\"a\":[2],\"status\" : 1}\n"} {
		for _, status := range []int{200, 201, 202, 204, 299, 302, 500} {
			if got := formAccepted(status, []byte(answer)); got != (status == 200) {
				t.Errorf("%d %s: %t", status, answer, got)
			}
		}
	}
	for _, answer := range []string{
		``, `ok`, `1`, `"1"`, `null`, `{}`, `[{"status":1}]`, `{"status":0}`, `{"status":"01"}`, `{"status":11}`, `{"status":-1}`, `{"status":true}`,
		`{"status":null}`, `{"status":""}`, `{"status":[1]}`, `{"status":"\"1\""}`, `{"status":1`, `{"status":1}x`, `{"result":{"status":1}}`,
		`{"status":1,"status":0}`, `{"Status":1}`, `{"status":0,"STATUS":1}`,
	} {
		if formAccepted(200, []byte(answer)) {
			t.Errorf("%s is accepted", answer)
		}
	}
}

func TestIgnoredHeadersAreReportedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p, client := &poster{log: slog.New(slog.NewJSONHandler(&out, nil))}, clientOf(t, answering(200, ""))
		d := delivery(func(d *medispatcher.Delivery) { d.Message.Headers = map[string]string{"Medis-Topic": "x", "X-A": "1"} })
		st := newSettings(new(subscription("a")), "")
		for _, want := range []int{1, 1, 2} {
			attempt(t, client, p, st, d)
			if got := strings.Count(out.String(), "\n"); got != want {
				t.Errorf("%d warnings, want %d", got, want)
			}
			time.Sleep(warnEvery/2 + 1) // in the bubble: the second comes too early, the third does not
		}
		if s := out.String(); !strings.Contains(s, `"headers":["Medis-Topic"]`) || !strings.Contains(s, `"level":"WARN"`) || !strings.Contains(s, `"subscription":"a"`) {
			t.Errorf("warned %s", s)
		}
	})
}

// FuzzEscaped: the form is escaped as the standard library does it.
func FuzzEscaped(f *testing.F) {
	f.Add([]byte("a b+c%\x00\xff~-_.é"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := appendEscaped(nil, b)
		if want := url.QueryEscape(string(b)); string(got) != want || len(got) != escapedLen(b) {
			t.Errorf("%q: %q, announced %d bytes, want %q", b, got, escapedLen(b), want)
		}
	})
}
