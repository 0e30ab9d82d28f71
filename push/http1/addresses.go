package http1

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// nextAfter is how long one address of a host is waited for before another is tried beside it; RFC 8305.
	nextAfter = 250 * time.Millisecond
	// giveUpAfter is how long two are waited for before one is given up for another, unless the deadline leaves less.
	giveUpAfter = 2 * time.Second
	// dialsAtOnce bounds the sockets of one dial.
	dialsAtOnce = 2
)

// dialHost opens a TCP connection to one of the addresses of a host. A [net.Dialer] tries addresses of one family one after another, for
// at least two seconds each: a single dead one would use up the time of a request.
func (cl *Client) dialHost(ctx context.Context, d *net.Dialer, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return d.DialContext(ctx, "tcp", addr) // it says what is wrong
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return d.DialContext(ctx, "tcp", addr)
	}
	ips, err := cl.lookup(ctx, "ip", host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	return race(ctx, interleave(ips), func(ctx context.Context, ip netip.Addr) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", net.JoinHostPort(ip.String(), port))
	})
}

// interleave has the families take turns, beginning with that of the first address. The system may know only later that it
// cannot reach one.
func interleave(ips []netip.Addr) []netip.Addr {
	var first, other []netip.Addr
	for _, ip := range ips {
		if ip = ip.Unmap(); len(first) == 0 || ip.Is4() == first[0].Is4() {
			first = append(first, ip)
		} else {
			other = append(other, ip)
		}
	}
	all := make([]netip.Addr, 0, len(ips))
	for len(first) > 0 || len(other) > 0 {
		if len(first) > 0 {
			all, first = append(all, first[0]), first[1:]
		}
		first, other = other, first
	}
	return all
}

// try is an attempt at one address.
type try struct {
	giveUp context.CancelFunc
	conn   net.Conn
	err    error
}

// race connects to the first address that lets it. The next one is tried when one fails or takes its time. While two are under way,
// the earlier is given up for another, after a share of what is left until the deadline.
func race(ctx context.Context, ips []netip.Addr, dial func(context.Context, netip.Addr) (net.Conn, error)) (net.Conn, error) {
	if len(ips) == 1 {
		return dial(ctx, ips[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan *try)
	var under []*try // the earliest first
	var why error
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case t := <-ended:
			if t.conn != nil {
				return t.conn, nil
			}
			at := slices.Index(under, t)
			if at < 0 {
				continue // it was given up
			}
			under = slices.Delete(under, at, at+1)
			if why == nil || errors.Is(why, context.DeadlineExceeded) { // any other says more
				why = t.err
			}
			if len(under)+len(ips) == 0 {
				return nil, why
			}
		case <-next.C:
		case <-ctx.Done():
			return nil, cmp.Or(why, ctx.Err())
		}
		if len(ips) == 0 {
			continue
		}
		if len(under) == dialsAtOnce {
			under[0].giveUp()
			under = under[1:]
		}
		one, giveUp := context.WithCancel(ctx)
		t := &try{giveUp: giveUp}
		under = append(under, t)
		ip := ips[0]
		ips = ips[1:]
		go func() {
			defer giveUp()
			t.conn, t.err = dial(one, ip)
			select {
			case ended <- t:
			case <-ctx.Done(): // nobody waits for it any more
				if t.conn != nil {
					_ = t.conn.Close()
				}
			}
		}()
		next.Reset(patience(ctx, len(under), len(ips)))
	}
}

// patience is how long the latest of the tries under way is waited for, where so many addresses are left.
func patience(ctx context.Context, under, left int) time.Duration {
	share := giveUpAfter
	if until, ok := ctx.Deadline(); ok {
		share = min(share, time.Until(until)/time.Duration(left+1))
	}
	if under < dialsAtOnce {
		return min(share, nextAfter)
	}
	return share
}
