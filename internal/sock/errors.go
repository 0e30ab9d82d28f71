package sock

import (
	"errors"
	"io"
	"net"
	"os"
)

// Plain is an error of reading or writing in plain words, and the address of the peer if the error has it. Our own port is another
// one each time, and failures with one cause should have one text. Other errors come back as they are.
func Plain(err error) (peer net.Addr, plain error) {
	if err == io.EOF || err == io.ErrUnexpectedEOF { //nolint:errorlint // what wraps it has more to say
		return nil, plainError{"the connection was closed", err}
	}
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "read" && op.Op != "write" || err.Error() != op.Error() {
		return nil, err
	}
	cause := op.Err
	if call, ok := errors.AsType[*os.SyscallError](cause); ok {
		cause = call.Err
	}
	return op.Addr, plainError{cause.Error(), err}
}

// plainError has other words for an error.
type plainError struct {
	text string
	err  error
}

func (e plainError) Error() string { return e.text }
func (e plainError) Unwrap() error { return e.err }
