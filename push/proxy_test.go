package push

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// TestProxyAtFault: what the proxy is to blame for, whoever the subscriber is, uses up no attempt and puts the message off for a moment
// alone. What it says of a subscriber counts as that subscriber's failure.
func TestProxyAtFault(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer string // to CONNECT; empty: nobody listens
		counts bool
		says   string
	}{
		"away":        {"", false, "it cannot be reached: "},
		"login":       {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", false, "it refuses the user and password in its URL"},
		"unreachable": {"HTTP/1.1 502 Bad Gateway\r\n\r\n", true, "it does not reach this server"},
		"forbidden":   {"HTTP/1.1 403 Forbidden\r\n\r\n", true, "it does not allow this server"},
		"silent":      {"silent", true, "timeout: no answer within 300ms (waiting until the proxy 127.0.0.1:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := http1.New(http1.Options{Proxy: tunnels(t, func() string { return test.answer })})
			t.Cleanup(client.Close)
			sub := subscription("a")
			sub.URLs, sub.MaxRetries, sub.RetryCoefficient = []string{"http://one.test/", "http://two.test/"}, 1, medispatcher.Duration(time.Hour)
			if name == "silent" {
				sub.Timeout = medispatcher.Duration(300 * time.Millisecond)
			}
			st := newSettings(&sub, "")
			d := delivery(nil)
			d.Attempt = 2 // the last
			r := attempt(t, client, &poster{}, st, d)
			out := outcomeOf(&sub, d, &r, time.Now(), 0.5)
			if !strings.Contains(out.Failure.LastError, test.says) {
				t.Errorf("%q", out.Failure.LastError)
			}
			avoided := !r.to.avoid.IsZero()
			if test.counts {
				if out.Outcome != medispatcher.Exhausted || out.Failure.Attempts != 2 || !avoided {
					t.Errorf("%+v, avoided %t", out, avoided)
				}
				return
			}
			if out.Outcome != medispatcher.Failed || out.Next != 2 || out.Failure.Attempts != 1 || out.Delay < probeEvery || out.Delay > 2*probeEvery || avoided {
				t.Errorf("%+v, avoided %t", out, avoided)
			}
		})
	}
}

// TestBreakerNamesTheProxy: while the proxy is to blame, the log and the events name it, and not the worker.
func TestBreakerNamesTheProxy(t *testing.T) {
	t.Parallel()
	sub := subscription("a")
	st := newSettings(&sub, "")
	of := &subscriber{settings: st}
	var lines strings.Builder
	told := make(chan string, 2)
	s := New(Config{
		Partitions: 1, Log: slog.New(slog.NewTextHandler(&lines, nil)),
		Events: Events{Breaker: func(_ string, open bool, proxy string) { told <- fmt.Sprint(open, " ", proxy) }},
	}, nil, nil)
	of.breaker = newBreaker(of, s.breakerChangedLocked)
	for i := range breakerFailures {
		p, _ := of.breaker.begin()
		of.breaker.end(p, fmt.Sprint(i), &result{target: "x", to: st.ways().targets.urls[0], proxy: "10.0.0.1:3128"})
	}
	if got := <-told; got != "true 10.0.0.1:3128" {
		t.Errorf("told %s", got)
	}
	s.news.wait(t.Context())
	if got := lines.String(); !strings.Contains(got, "MEDIS_PUSH_PROXY") || !strings.Contains(got, "target=10.0.0.1:3128") || strings.Contains(got, "worker") {
		t.Error(got)
	}
}

// tunnels is a proxy that gives answer to each CONNECT: none if it is "silent". Where it is empty at first, nobody listens.
func tunnels(t *testing.T, answer func() string) *url.URL {
	t.Helper()
	ln := listen(t)
	u := &url.URL{Scheme: "http", Host: ln.Addr().String()}
	if answer() == "" {
		ln.Close()
		return u
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				if text := answer(); text != "silent" {
					_, _ = io.WriteString(c, text)
				}
				_, _ = io.Copy(io.Discard, in)
			}()
		}
	}()
	return u
}
