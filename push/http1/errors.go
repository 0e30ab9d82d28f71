package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/solate/medispatcher/internal/sock"
)

var (
	// ErrClosed is returned by requests in flight when [Client.Close] is
	// called, and by all later ones.
	ErrClosed = errors.New("client is closed")

	// ErrInvalidRequest marks what cannot be sent: nothing of it was.
	ErrInvalidRequest = errors.New("invalid request")

	// ErrHeaderTooLarge means that the response header is longer than
	// Options.MaxResponseHeaderBytes.
	ErrHeaderTooLarge = errors.New("response header too large")

	// ErrMalformedResponse means that the server does not speak HTTP/1.x.
	ErrMalformedResponse = errors.New("malformed response")
)

// Phase is what a request was at when it failed.
type Phase string

// The phases of a request, in order. PhaseConnect includes name resolution.
const (
	PhaseConnect Phase = "connect"
	PhaseTLS     Phase = "TLS"
	PhaseRequest Phase = "request"
	PhaseHeader  Phase = "header"
	PhaseBody    Phase = "body"
)

// PhaseOf returns the phase in which a request failed with err; it is empty if
// err is of another origin or the request was refused before it began.
func PhaseOf(err error) Phase {
	if op, ok := errors.AsType[*opError](err); ok {
		return op.phase
	}
	return ""
}

// opError says what the client was doing, and with whom, when it failed. It
// names host and port only: paths and queries may hold secrets.
type opError struct {
	phase Phase
	op    string
	addr  string
	err   error
}

// Error implements error.
func (e *opError) Error() string {
	return e.op + " " + e.addr + e.cause()
}

// cause is what the error was, short: addr and op are said already, and tables show the start of the text alone.
func (e *opError) cause() string {
	dial, ok := e.err.(*net.OpError) //nolint:errorlint // what wraps it has more to say
	if !ok || dial.Op != "dial" {
		return ": " + e.err.Error()
	}
	at := ""
	if dial.Addr != nil && dial.Addr.String() != e.addr {
		at = " (" + dial.Addr.String() + ")"
	}
	if call, ok := errors.AsType[*os.SyscallError](dial.Err); ok {
		return at + ": " + call.Err.Error()
	}
	return at + ": " + dial.Err.Error()
}

// Unwrap returns the cause.
func (e *opError) Unwrap() error { return e.err }

// Timeout reports whether a deadline passed; net/http's url.Error asks for it.
func (e *opError) Timeout() bool {
	var ne net.Error
	return errors.As(e.err, &ne) && ne.Timeout()
}

// Temporary completes net.Error; nothing can be said.
func (e *opError) Temporary() bool { return false }

// fail turns err into the error to report: what ended the request (context,
// Close) comes before the broken connection that was merely its consequence.
func (s *Sender) fail(phase Phase, op, addr string, err error) error {
	switch {
	case s.ctx.Err() != nil:
		err = s.ctx.Err()
		if cause := context.Cause(s.ctx); !errors.Is(cause, err) {
			err = fmt.Errorf("%w: %w", err, cause)
		}
	case s.client.isClosed():
		err = ErrClosed
	case timedOut(err):
		err = context.DeadlineExceeded
	}
	return &opError{phase: phase, op: op, addr: addr, err: plain(err)}
}

// plain is sock.Plain without the peer, which the error says anyway.
func plain(err error) error {
	_, err = sock.Plain(err)
	return err
}

// invalidf returns an error that wraps ErrInvalidRequest.
func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalidRequest, fmt.Errorf(format, args...))
}

// malformedf returns an error that wraps ErrMalformedResponse.
func malformedf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformedResponse, fmt.Errorf(format, args...))
}

// timedOut reports whether the deadline of a connection ended a request with err.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// peerGone reports whether err is how a connection closed by the peer looks.
func peerGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, io.ErrClosedPipe)
}
