package rdb_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// canned is a connection to a Redis that has one answer to everything but greetings.
type canned struct {
	net.Conn
	answer string
	piece  int // most bytes that a Read returns; 0: any number
	unread []string
}

func (c *canned) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("hello")) {
		c.unread = append(c.unread, "-ERR unknown command\r\n")
	} else {
		for range max(1, bytes.Count(p, []byte("$1\r\nX\r\n"))) {
			c.unread = append(c.unread, c.answer)
		}
	}
	return len(p), nil
}

func (c *canned) Read(p []byte) (n int, err error) {
	if len(c.unread) == 0 {
		return 0, io.EOF
	}
	if c.piece > 0 {
		p = p[:min(len(p), c.piece)]
	}
	n = copy(p, c.unread[0])
	if c.unread[0] = c.unread[0][n:]; c.unread[0] == "" {
		c.unread = c.unread[:copy(c.unread, c.unread[1:])]
	}
	return n, nil
}

func (c *canned) Close() error                     { return nil }
func (c *canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// resp writes strings, ints and lists as Redis answers them. nil is missing.
func resp(v any) string {
	switch v := v.(type) {
	case nil:
		return "$-1\r\n"
	case int:
		return fmt.Sprintf(":%d\r\n", v)
	case []any:
		var b strings.Builder
		fmt.Fprintf(&b, "*%d\r\n", len(v))
		for _, e := range v {
			b.WriteString(resp(e))
		}
		return b.String()
	default:
		text := fmt.Sprint(v)
		return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
	}
}
