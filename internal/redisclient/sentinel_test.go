package redisclient

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestSentinelsNameNoMaster: what sentinels say instead of a master is an error that names them. It is never redis.Nil, which
// would pass for the answer of a Redis that has nothing.
func TestSentinelsNameNoMaster(t *testing.T) {
	t.Parallel()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := dead.Addr().String()
	_ = dead.Close()
	none, closed := sentinelAnswers(t, "*-1\r\n"), sentinelAnswers(t, "-NOAUTH Authentication required.\r\n")
	for name, test := range map[string]struct {
		at   []string
		says []string
	}{
		"unknown":         {[]string{none}, []string{`they know none named "other"`}},
		"unknown to all":  {[]string{none, sentinelAnswers(t, "*-1\r\n")}, []string{`they know none named "other"`}},
		"one is away":     {[]string{none, away}, []string{`they know none named "other"`, "connection refused"}},
		"without a right": {[]string{closed}, []string{"NOAUTH"}},
	} {
		opt, err := Options("redis://" + strings.Join(test.at, ",") + "?master_name=other")
		if err != nil {
			t.Fatal(err)
		}
		client := New(opt)
		pipe := client.Pipeline()
		pipe.Get(t.Context(), "a")
		_, piped := pipe.Exec(t.Context())
		for _, err := range []error{client.Get(t.Context(), "a").Err(), piped} {
			var answer redis.Error
			if err == nil || errors.Is(err, redis.Nil) || errors.As(err, &answer) {
				t.Errorf("%s: %v is the answer of a Redis", name, err)
				continue
			}
			for _, part := range append(test.says, "the sentinels name no master: ") {
				if strings.Count(err.Error(), part) != 1 {
					t.Errorf("%s: %q does not say %q once", name, err, part)
				}
			}
		}
		_ = client.Close()
	}
}

// sentinelAnswers runs a sentinel that gives one answer to whoever asks it for a master.
func sentinelAnswers(t *testing.T, answer string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					reply := ""
					switch line := strings.ToLower(lines.Text()); line {
					case "get-master-addr-by-name":
						reply = answer
					case "hello":
						reply = "-ERR unknown command\r\n"
					case "client":
						reply = "+OK\r\n"
					}
					if _, err := io.WriteString(conn, reply); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
