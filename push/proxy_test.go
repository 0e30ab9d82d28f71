package push

import (
	"bufio"
	"io"
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
