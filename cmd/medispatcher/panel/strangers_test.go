package panel_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/solate/medispatcher/cmd/medispatcher/panel"
	"github.com/solate/medispatcher/cmd/medispatcher/panel/paneltest"
)

// TestStrangersHoldNoConnections: the body of a request without a token is not waited for. Of forms of the sign-in that come slowly some are,
// but they do not keep out others.
func TestStrangersHoldNoConnections(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(paneltest.Handler(paneltest.New(), panel.Config{Tokens: paneltest.Admin("s3cret")}))
	defer srv.Close()
	begin := func(method, path string) (net.Conn, *bufio.Reader) {
		t.Helper()
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 8000\r\n\r\ntoken=", method, path); err != nil {
			t.Fatal(err)
		}
		return c, bufio.NewReader(c)
	}
	ended := func(what string, r *bufio.Reader, want int) {
		t.Helper()
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if answer.StatusCode != want {
			t.Errorf("%s: %s", what, answer.Status)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if _, err := r.ReadByte(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays open", what)
		}
	}
	for path, want := range map[string]int{"/api/v1/status": 401, "/": 401, "/healthz": 405, "/static/nothing": 405} {
		_, r := begin(http.MethodPost, path)
		ended(path, r, want)
	}
	_, first := begin(http.MethodPost, "/signin")
	for range 64 {
		begin(http.MethodPost, "/signin")
	}
	ended("the first of many slow forms", first, http.StatusRequestTimeout)
	whole, err := http.PostForm(srv.URL+"/signin", url.Values{"token": {"s3cret"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = whole.Body.Close()
	if whole.Request.URL.Path != "/" {
		t.Errorf("a whole form: %s at %s", whole.Status, whole.Request.URL)
	}
}
