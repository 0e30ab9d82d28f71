package http1_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/solate/medispatcher/push/http1"
)

// logged is a log to look at.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.FieldsFunc(l.buf.String(), func(r rune) bool { return r == '\n' })
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// TestUnaskedIsTold: what a server sends on an idle connection, or behind its response, is never a response. It
// is told once a minute for each host.
func TestUnaskedIsTold(t *testing.T) {
	t.Parallel()
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	cert, roots := testCert(t)
	for _, tt := range []struct {
		name           string
		tls, at1, told bool
		more           string
	}{
		{name: "later", more: evil, told: true},
		{name: "later over TLS", tls: true, more: evil, told: true},
		{name: "in one packet", at1: true, more: evil, told: true},
		{name: "in one packet over TLS", tls: true, at1: true, more: evil, told: true},
		{name: "a 408 before it closes", more: "HTTP/1.1 408 Request Timeout\r\n\r\n", told: true},
		{name: "closed", more: ""},
		{name: "closed over TLS", tls: true, more: ""},
		{name: "an empty line", more: "\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			next, sent := make(chan struct{}), make(chan struct{})
			handle := func(c net.Conn, _ int) {
				if req, _ := readRequest(bufio.NewReader(c)); req == nil {
					return
				}
				if tt.at1 {
					io.WriteString(c, okReply+tt.more)
					<-next
				} else {
					io.WriteString(c, okReply)
					<-next
					io.WriteString(c, tt.more)
				}
				c.Close()
				sent <- struct{}{}
			}
			scheme := "http://"
			if tt.tls {
				handle, scheme = overTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, handle), "https://"
			}
			s := serve(t, handle)
			log := &logged{}
			tr := newClient(t, http1.Options{Log: log.logger(), TLSConfig: &tls.Config{RootCAs: roots}})
			for range 3 {
				if _, got := post(t, tr, scheme+"u:hunter2@"+s.addr+"/?token=hunter2", "x"); got != "ok" {
					t.Errorf("got %q", got)
				}
				next <- struct{}{}
				wait(t, sent, "what nobody asked for")
			}
			wantConns(t, s, 3)
			lines := log.lines()
			if told := len(lines) == 1; told != tt.told || len(lines) > 1 {
				t.Errorf("told %d times: %v", len(lines), lines)
			}
			if tt.told && (!strings.Contains(lines[0], "url="+scheme+s.addr+" ") || !strings.Contains(lines[0], `begins="HTTP/1.1 `)) {
				t.Errorf("told as %s", lines[0])
			}
		})
	}
}
