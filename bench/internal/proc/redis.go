package proc

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
)

// Appendfsync is when Redis writes its log to disk.
const Appendfsync = "everysec"

// StartRedis starts an empty redis-server below dir, with a log as people have it. args are more settings.
// addr is where it listens, on the loopback interface.
func StartRedis(ctx context.Context, dir string, args ...string) (p *Process, addr string, err error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "", fmt.Errorf("redis-server is needed: %w", err)
	}
	var failed error
	for range 3 { // another program may take the port before Redis does
		data, err := os.MkdirTemp(dir, "redis")
		if err != nil {
			return nil, "", err
		}
		port, err := FreePort(ctx)
		if err != nil {
			return nil, "", err
		}
		all := append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", Appendfsync, "--dir", data}, args...)
		if p, err = Start(ctx, exec.CommandContext(ctx, path, all...), "Ready to accept connections"); err == nil {
			return p, net.JoinHostPort("127.0.0.1", port), nil
		}
		failed = err
	}
	return nil, "", failed
}

// FreePort is a port of the loopback interface that nobody listens on.
func FreePort(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port, l.Close()
}
