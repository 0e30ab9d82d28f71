package rdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// answered is an error that Redis returned.
type answered string

func (e answered) Error() string { return string(e) }
func (answered) RedisError()     {}

func TestMisplaced(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for err, want := range map[error]bool{
		nil: false, redis.Nil: false, context.Canceled: false, answered("ERR no such thing"): false, answered("NOSCRIPT x"): false,
		answered("OOM command not allowed"): false, answered("WRONGTYPE x"): false, answered("TRYAGAIN x"): false,
		dial: true, net.ErrClosed: true, context.DeadlineExceeded: true, errors.New("redis: connection pool timeout"): true,
		answered("READONLY x"): true, answered("CLUSTERDOWN x"): true, answered("MOVED 1 h:1"): true, answered("LOADING x"): true,
		answered("UNBLOCKED x"): true, answered("MASTERDOWN x"): true,
	} {
		if got := misplaced(err); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
		if err != nil {
			if got := misplaced(fmt.Errorf("redis: step: %w", err)); got != want {
				t.Errorf("%v, wrapped: %v, want %v", err, got, want)
			}
		}
	}
}

// TestLinks: connections to a node that left are closed, and for a while none may be opened.
func TestLinks(t *testing.T) {
	t.Parallel()
	var l links
	open := func(addr string) (ours, theirs net.Conn) {
		a, b := net.Pipe()
		t.Cleanup(func() { _ = b.Close() })
		return l.add(addr, a), b
	}
	stays, _ := open("a:1")
	_, hung := open("b:1")
	closed, _ := open("c:1")
	if err := closed.Close(); err != nil {
		t.Error(err)
	}
	l.cutAllBut(map[string]bool{"a:1": true})
	if _, err := hung.Read(make([]byte, 1)); err == nil {
		t.Error("the connection to a node that left is open")
	}
	if l.refused("b:1") == nil || l.refused("a:1") != nil || l.refused("c:1") != nil {
		t.Errorf("refused: b %v, a %v, c %v", l.refused("b:1"), l.refused("a:1"), l.refused("c:1"))
	}
	l.cutAllBut(map[string]bool{"a:1": true, "b:1": true})
	if err := l.refused("b:1"); err != nil {
		t.Errorf("a node that came back: %v", err)
	}
	_ = stays.Close()
	if len(l.open) > 0 {
		t.Errorf("closed connections are remembered: %v", l.open)
	}
	// The pool checks the socket itself to see whether the other side closed the connection.
	server, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	socket, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	linked := l.add("a:1", socket)
	defer func() { _ = linked.Close() }()
	if _, ok := linked.(syscall.Conn); !ok {
		t.Error("the socket is hidden")
	}
}

// TestEveryNodeByItsName: the certificate of each node of a cluster, and of each sentinel, must be for
// the address that is dialed.
func TestEveryNodeByItsName(t *testing.T) {
	t.Parallel()
	for rawURL, want := range map[string]string{
		"rediss://h1:1": "h1", "rediss://h1:1,h2:2": "", "rediss://h1:1?cluster=true": "",
		"rediss://h1:1?master_name=m": "", "rediss://h1:1,h2:2?master_name=m": "",
	} {
		opt, err := options(rawURL)
		if err != nil {
			t.Fatal(err)
		}
		if got := opt.TLSConfig.ServerName; got != want {
			t.Errorf("%s: certificates must be for %q, want %q", rawURL, got, want)
		}
	}
}
