package streamstest

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Meter is a hook that counts scripts, and the entries that round trips ask for.
type Meter struct {
	mu      sync.Mutex
	scripts int
	bytes   int
	entries int
}

var _ redis.Hook = (*Meter)(nil)

// Scripts is the number of scripts run so far.
func (m *Meter) Scripts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.scripts
}

// Most is the largest number of entries that one round trip asked for, and of bytes that it returned. What
// finds nothing asks for none.
func (m *Meter) Most() (entries, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries, m.bytes
}

func (m *Meter) note(cmds ...redis.Cmder) {
	entries, bytes := 0, 0
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range cmds {
		if strings.HasPrefix(c.Name(), "eval") {
			m.scripts++
		}
		cmd, ok := c.(*redis.RawWriteToCmd)
		if !ok || !strings.HasSuffix(c.Name(), "range") || c.Name()[0] != 'x' {
			continue
		}
		args := cmd.Args()
		if at := slices.Index(args, any("COUNT")); at > 0 && cmd.Val() > int64(len("*0\r\n")) {
			asked, _ := args[at+1].(int)
			entries += asked
		}
		bytes += int(cmd.Val())
	}
	m.entries, m.bytes = max(m.entries, entries), max(m.bytes, bytes)
}

// DialHook is part of redis.Hook.
func (m *Meter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook is part of redis.Hook.
func (m *Meter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		m.note(cmd)
		return err
	}
}

// ProcessPipelineHook is part of redis.Hook.
func (m *Meter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		m.note(cmds...)
		return err
	}
}
