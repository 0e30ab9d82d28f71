package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// receiver is a worker that accepts everything, or nearly. It knows only as much HTTP as a dispatcher speaks, because it shares its cores
// with what is measured.
type receiver struct {
	addr    string
	failing int64        // it refuses one request in so many; 0: none
	got     atomic.Int64 // messages
	last    atomic.Int64 // when the last request came, in ns
}

// newReceiver starts one. It ends with ctx.
func newReceiver(ctx context.Context) (*receiver, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	r := &receiver{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r, nil
}

func (r *receiver) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	for {
		length, messages := 0, 1
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
			switch name, value, _ := strings.Cut(line, ":"); {
			case strings.EqualFold(name, "Content-Length"):
				length, _ = strconv.Atoi(strings.TrimSpace(value))
			case strings.EqualFold(name, "medis-batch"):
				messages, _ = strconv.Atoi(strings.TrimSpace(value))
			}
		}
		if _, err := io.CopyN(io.Discard, in, int64(length)); err != nil {
			return
		}
		answer := "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
		r.last.Store(time.Now().UnixNano())
		if n := r.got.Add(int64(messages)); r.failing > 0 && n%r.failing == 0 {
			answer = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

// await waits for so many messages, and returns when the last one came.
func (r *receiver) await(ctx context.Context, want int, within time.Duration) (time.Time, error) {
	for end := time.Now().Add(within); r.got.Load() < int64(want); {
		if time.Now().After(end) {
			return time.Time{}, fmt.Errorf("%d of %d messages within %s", r.got.Load(), want, within)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return time.Time{}, err
		}
	}
	return time.Unix(0, r.last.Load()), nil
}
