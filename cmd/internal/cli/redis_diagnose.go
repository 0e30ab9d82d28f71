package cli

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/solate/medispatcher/cmd/internal/config"
)

// diagnoseWithin bounds each look at a Redis that hangs up.
const diagnoseWithin = time.Second

// diagnose finds out why a Redis hangs up without a word that a client can read. It returns nil when it does not know.
// Redis in protected mode says so to whoever connects, and hangs up: what the client wrote meanwhile makes that a reset.
func diagnose(ctx context.Context, err error, at string) error {
	u, _ := url.Parse(at)
	if err == nil || u == nil || u.Host == "" || strings.Contains(u.Host, ",") {
		return nil
	}
	seen := "redis at " + config.RedisAt(at)
	if _, plain := errors.AsType[tls.RecordHeaderError](err); plain {
		return &RedisError{seen + " does not speak TLS", "write redis:// instead of rediss:// in MEDIS_REDIS_URL, or give the port where Redis listens with TLS (tls-port)", err}
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && !strings.Contains(err.Error(), "EOF") {
		return nil
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "6379")
	}
	if line := greeting(ctx, host); strings.HasPrefix(line, "-DENIED") {
		return &RedisError{seen + " is in protected mode: it has no password, and refuses everybody from other machines", remedy("DENIED"), err}
	}
	if u.Scheme == "redis" && speaksTLS(ctx, host) {
		return &RedisError{seen + " speaks TLS", "write rediss:// instead of redis:// in MEDIS_REDIS_URL", err}
	}
	return nil
}

// greeting is what a server says before it is asked anything; Redis says nothing, unless it refuses.
func greeting(ctx context.Context, host string) string {
	d := net.Dialer{Timeout: diagnoseWithin}
	c, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return ""
	}
	defer func() { _ = c.Close() }()
	_ = c.SetReadDeadline(time.Now().Add(diagnoseWithin / 4))
	line, _ := bufio.NewReaderSize(c, 512).ReadSlice('\n')
	return string(line)
}

// speaksTLS reports whether a server answers a TLS handshake. Nothing is sent over the connection, so its certificate does
// not matter.
func speaksTLS(ctx context.Context, host string) bool {
	ctx, cancel := context.WithTimeout(ctx, diagnoseWithin)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // nothing is sent
	c, err := d.DialContext(ctx, "tcp", host)
	if err == nil {
		_ = c.Close()
		return true
	}
	var alert tls.AlertError
	return errors.As(err, &alert) // it wants a certificate of ours, say
}
