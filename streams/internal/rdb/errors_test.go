package rdb_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// TestFailedInPlainWords: a broken connection has one text, whatever port of ours it had, and names the node.
func TestFailedInPlainWords(t *testing.T) {
	t.Parallel()
	node := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 6379}
	broken := func(op string, err error) error {
		return &net.OpError{Op: op, Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50000}, Addr: node, Err: err}
	}
	for _, c := range []struct {
		err, is error
		want    string
	}{
		{io.EOF, io.EOF, "redis: read: the connection was closed"},
		{broken("read", os.NewSyscallError("read", syscall.ECONNRESET)), syscall.ECONNRESET, "redis: read: 127.0.0.1:6379: connection reset by peer"},
		{broken("write", os.ErrDeadlineExceeded), os.ErrDeadlineExceeded, "redis: read: 127.0.0.1:6379: i/o timeout"},
		{broken("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED)), syscall.ECONNREFUSED, "redis: read: dial tcp 127.0.0.1:50000->127.0.0.1:6379: connect: connection refused"},
	} {
		if err := rdb.Failed("read", c.err); err.Error() != c.want || !errors.Is(err, c.is) || !errors.Is(err, c.err) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
