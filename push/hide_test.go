package push

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/solate/medispatcher"
)

// TestAnswerThatRepeatsTheRequest: what a worker says is kept without the secrets of the request.
func TestAnswerThatRepeatsTheRequest(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 422, 503} {
		for _, before := range []int{0, keptAnswer - 20, maxErrorText - 70, maxErrorText - 40} { // what is kept ends in a secret
			w := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				w.WriteHeader(status)
				fmt.Fprintf(w, "%s %s %s %s %s", strings.Repeat("x", before), r.Header.Get("Authorization"), r.URL, r.Header.Get("X-Api-Key"), body)
			}))
			defer w.Close()
			r, s := pushingTo(t, newTCP(t), strings.Replace(w.URL, "://", "://someone:password1@", 1)+"/path?token=query-secret%2F1")(func(s *medispatcher.Subscription) {
				s.Headers = map[string]string{"X-Api-Key": "Custom header-secret"}
			})
			basic := base64.StdEncoding.EncodeToString([]byte("someone:password1"))
			texts := r.text() + " " + r.problem() + " " + string(s.Answer)
			if s.Failure != nil {
				texts += s.Failure.LastError + s.Failure.FirstError
			}
			for _, secret := range []string{basic, "password1", "query-secret", "header-secret"} {
				for n := 10; n <= len(secret); n++ { // of a part, too
					if strings.Contains(texts, secret[:n]) {
						t.Errorf("status %d: %s", status, texts)
						break
					}
				}
			}
			if before == 0 && !strings.Contains(texts, medispatcher.Mask) {
				t.Errorf("status %d: nothing is masked in %q", status, texts)
			}
		}
	}
}

// TestBrokenAnswerThatRepeatsTheRequest: so is what it quotes of a broken answer, wherever that was cut.
func TestBrokenAnswerThatRepeatsTheRequest(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"a bad status":    "HTTP/1.1 2x0 %s\r\n\r\n",
		"a bad header":    "HTTP/1.1 500 No\r\n%s\r\n\r\n",
		"another version": "HTTP/3.0 500 %s\r\n\r\n",
		"it breaks off":   "HTTP/1.1 500 %.8s",
		"no HTTP":         "%s\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const key = `topsy-"turvy"`
			var before atomic.Int64
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
						_, _ = io.Copy(io.Discard, r.Body)
						pad, format, _ := strings.Cut(answer, "%")
						fmt.Fprintf(c, pad+strings.Repeat("x", int(before.Load()))+"%"+format, r.Header.Get("X-Api-Key"))
					}
					c.Close()
				}
			}()
			push := pushingTo(t, newTCP(t), "http://"+l.Addr().String())
			for n := range int64(200) {
				before.Store(n)
				r, _ := push(func(s *medispatcher.Subscription) { s.Headers = map[string]string{"X-Api-Key": key} })
				if r.accepted || strings.Contains(r.text(), key[:leastHidden]) {
					t.Fatalf("%d before: %s", n, r.text())
				}
			}
		})
	}
}
