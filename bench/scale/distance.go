package main

import (
	"context"
	"net"
	"time"
)

// distance is a TCP proxy in front of target that makes a round trip longer by so much. What is on its way does not wait for
// anything else, as on a real line. It ends with ctx.
func distance(ctx context.Context, target string, trip time.Duration) (addr string, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
			if err != nil {
				_ = near.Close()
				continue
			}
			go carry(near, far, trip/2)
			go carry(far, near, trip/2)
		}
	}()
	return l.Addr().String(), nil
}

type parcel struct {
	due  time.Time
	data []byte
}

// carry copies what from sends to to, later by delay.
func carry(from, to net.Conn, delay time.Duration) {
	under := make(chan parcel, 4096)
	go func() {
		defer close(under)
		for {
			data := make([]byte, 64<<10)
			n, err := from.Read(data)
			if n > 0 {
				under <- parcel{time.Now().Add(delay), data[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range under {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
	for range under { // until the reader ends
	}
}
