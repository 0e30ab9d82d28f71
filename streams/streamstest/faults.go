package streamstest

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// ErrInjected is the error of every injected fault.
var ErrInjected = errors.New("injected fault: connection lost")

// Fault says when a command fails.
type Fault string

// The faults of a step, injected by the name of a command.
const (
	Before Fault = "before" // the command does not reach Redis
	After  Fault = "after"  // the command runs, but its reply is lost
)

// Faults is a hook that makes commands fail.
type Faults struct {
	mu      sync.Mutex
	fault   Fault
	names   []string
	skip    int
	left    int
	matched int
}

var _ redis.Hook = (*Faults)(nil)

// Next makes the next n commands with one of these names fail.
func (f *Faults) Next(fault Fault, n int, names ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.left, f.names, f.matched, f.skip = fault, n, names, 0, 0
}

// Skip lets n commands with those names pass before the first one fails.
func (f *Faults) Skip(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skip = n
}

// Matched is the number of commands that failed since Next.
func (f *Faults) Matched() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.matched
}

func (f *Faults) hits(cmds ...redis.Cmder) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range cmds {
		if f.left > 0 && slices.Contains(f.names, c.Name()) {
			if f.skip > 0 {
				f.skip--
				continue
			}
			f.left--
			f.matched++
			return f.fault, true
		}
	}
	return "", false
}

// DialHook is part of redis.Hook.
func (f *Faults) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook is part of redis.Hook.
func (f *Faults) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		fault, hit := f.hits(cmd)
		if hit && fault == Before {
			cmd.SetErr(ErrInjected)
			return ErrInjected
		}
		err := next(ctx, cmd)
		if hit && !redis.HasErrorPrefix(err, "NOSCRIPT") {
			cmd.SetErr(ErrInjected)
			return ErrInjected
		}
		return err
	}
}

// ProcessPipelineHook is part of redis.Hook.
func (f *Faults) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		fault, hit := f.hits(cmds...)
		if !hit || fault == After {
			if err := next(ctx, cmds); !hit {
				return err
			}
		}
		for _, c := range cmds {
			c.SetErr(ErrInjected)
		}
		return ErrInjected
	}
}
