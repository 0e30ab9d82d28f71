package http1

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// shortages are the errors of a machine that has too little of something.
var shortages = []error{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS,
	syscall.EAGAIN, // of a dial: no local port, or no room in a kernel table
}

// IsShortage reports whether a request failed with err because this machine is
// short of file descriptors, local ports or memory: the server is not to blame.
// If err alone does not tell, it examines the machine, so call it soon after the failure.
func IsShortage(err error) bool {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	for _, s := range shortages {
		if errors.Is(err, s) {
			return true
		}
	}
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return outOfPorts(err)
	}
	_, lookup := errors.AsType[*net.DNSError](err)
	return lookup && outOfDescriptors()
}

// outOfPorts reports whether err means that local TCP ports are used up. The same error comes
// if no local address can reach the remote one, such as ::1 with IPv6 switched off. Then a
// UDP socket fails, too: UDP has the same addresses but ports of its own. Nothing is sent.
func outOfPorts(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Addr == nil {
		return false
	}
	c, err := net.Dial("udp", op.Addr.String()) //nolint:noctx // it does not wait
	if err != nil {
		return IsShortage(errors.Unwrap(err)) // not asked again: op.Err has no address
	}
	_ = c.Close()
	return true
}

// outOfDescriptors reports whether a file cannot be opened for lack of them:
// the errors of name resolution do not wrap their cause.
func outOfDescriptors() bool {
	f, err := os.Open(os.DevNull)
	if err != nil {
		return IsShortage(err)
	}
	_ = f.Close()
	return false
}
