package cli_test

import (
	"io/fs"
	"net"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/streams"
)

// TestRedisThatHangsUp: a client sees a reset connection or its end; the words say what it is.
func TestRedisThatHangsUp(t *testing.T) {
	protected, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = protected.Close() })
	go func() {
		for {
			c, err := protected.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("-DENIED Redis is running in protected mode because protected mode is enabled …\r\n"))
			_ = c.Close()
		}
	}()
	withTLS := httptest.NewTLSServer(nil)
	t.Cleanup(withTLS.Close)
	plain := httptest.NewServer(nil)
	t.Cleanup(plain.Close)
	for url, want := range map[string]string{
		"redis://" + protected.Addr().String() + "/0":        "is in protected mode",
		"redis://" + withTLS.Listener.Addr().String() + "/0": "write rediss:// instead of redis://",
		"rediss://" + plain.Listener.Addr().String() + "/0":  "does not speak TLS; write redis:// instead of rediss://",
		"redis://127.0.0.1:1/0":                              "connection refused",
	} {
		store, err := streams.Open(streams.Config{URL: url, Prefix: "medis", Partitions: 1, ID: "me"})
		if err != nil {
			t.Fatal(err)
		}
		err = cli.Reach(t.Context(), store, url)
		_ = store.Close()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

// TestFilesAreNotRedis: an error of a file, stdout among them, says nothing about Redis.
func TestFilesAreNotRedis(t *testing.T) {
	t.Parallel()
	full := &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
	if err := cli.Explain(full, "redis://127.0.0.1:6379/0"); err.Error() != full.Error() {
		t.Error(err)
	}
}
