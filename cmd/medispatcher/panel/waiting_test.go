package panel

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestWaitingConnectionsAreBounded: of too many connections that say nothing the oldest are closed. One with a request under way is not, and a new
// one is served.
func TestWaitingConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	const most = 3
	w := newWaiting(most)
	entered, leave := make(chan bool), make(chan bool)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- true
			<-leave
		}
	}))
	accepted := make(chan bool, 100)
	srv.Config.ConnState = func(c net.Conn, state http.ConnState) {
		w.note(c, state)
		if state == http.StateNew {
			accepted <- true
		}
	}
	srv.Start()
	defer srv.Close()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		<-accepted
		return c
	}
	get := func(c net.Conn, path string) {
		t.Helper()
		if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Error(err)
		}
	}
	answered := func(c net.Conn) {
		t.Helper()
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || r.StatusCode != http.StatusOK {
			t.Errorf("%v, %v", r, err)
			return
		}
		_ = r.Body.Close()
	}
	busy := dial()
	get(busy, "/slow")
	<-entered
	var silent []net.Conn
	for range most + 2 {
		c := dial()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: ") // a header that does not end
		silent = append(silent, c)
	}
	for i, c := range silent[:2] {
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("the silent connection %d is open", i)
		}
	}
	fresh := dial()
	get(fresh, "/")
	answered(fresh)
	leave <- true
	answered(busy)
	if _, err := io.WriteString(silent[most+1], "h\r\n\r\n"); err != nil {
		t.Error(err)
	}
	answered(silent[most+1])
}
