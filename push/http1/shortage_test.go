package http1_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/solate/medispatcher/push/http1"
)

// connectError is how a dial fails that cannot get a local port, or has no local address that fits.
func connectError(errno syscall.Errno, port int) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, Err: os.NewSyscallError("connect", errno)}
}

func TestIsShortage(t *testing.T) {
	t.Parallel()
	lookup := &net.DNSError{Err: "dial udp: socket: too many open files", Name: "worker.example", IsTemporary: true}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("too many open files"), false},
		{os.NewSyscallError("socket", syscall.EMFILE), true},
		{os.NewSyscallError("socket", syscall.ENFILE), true},
		{connectError(syscall.ENOBUFS, 80), true},
		{connectError(syscall.ENOMEM, 80), true},
		{connectError(syscall.EAGAIN, 80), true},
		{connectError(syscall.ECONNREFUSED, 80), false},
		{connectError(syscall.ECONNRESET, 80), false},
		{connectError(syscall.ENETUNREACH, 80), false},
		{connectError(syscall.EADDRNOTAVAIL, 80), true},
		{connectError(syscall.EADDRNOTAVAIL, 99999), false}, // UDP cannot be sent there either
		{syscall.EADDRNOTAVAIL, false},
		{lookup, false}, // nothing is short now
		{context.DeadlineExceeded, false},
		{os.ErrDeadlineExceeded, false},
	} {
		if got := http1.IsShortage(tt.err); got != tt.want {
			t.Errorf("%v: %t", tt.err, got)
		}
		if tt.err != nil && http1.IsShortage(fmt.Errorf("http1: %w", tt.err)) != tt.want {
			t.Errorf("%v wrapped: not %t", tt.err, tt.want)
		}
	}
}

// TestRoomForANewConnection: idle connections of other hosts are closed before a dial fails for lack of
// something.
func TestRoomForANewConnection(t *testing.T) {
	t.Parallel()
	var tr *http1.Client
	fails := true
	tr = newClient(t, http1.Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if tr.Live() >= 20 || !fails {
			return nil, connectError(syscall.EMFILE, 80)
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}})
	a, b := serve(t, echo), serve(t, echo)
	fill(t, tr, a.url, 20)
	for range 5 {
		r := newRequest(t, b.url, "x")
		r.Fresh = true
		do(t, tr, r)
	}
	if n := tr.Idle(); n < 12 {
		t.Errorf("%d idle connections are left: more were closed than five new ones need", n)
	}
	tr.CloseIdleConnections()
	fails = false
	err := mustFail(t, tr, newRequest(t, b.url, "x"))
	if !http1.IsShortage(err) || http1.PhaseOf(err) != http1.PhaseConnect {
		t.Errorf("%v is no shortage, in phase %q", err, http1.PhaseOf(err))
	}
}
