package rdb

import (
	"context"
	"net"
	"slices"

	"github.com/redis/go-redis/v9"
)

// runOnce keeps the cluster client from running a command again whose reply was lost.
// MaxRetries does not reach it: it repeats whatever failed, as often as it follows
// redirections, so that a message is accepted twice and a read takes entries nobody hears
// of. A redirection is followed all the same: the node that sent it did nothing.
type runOnce struct{}

var _ redis.Hook = runOnce{}

// once is a command that is not run again. Its reply goes to the command inside.
type once struct{ redis.Cmder }

func (once) NoRetry() bool { return true }

// onceOnly names the commands that take, accept or move messages, and the reads that loops
// wait for: the client would ask a node that hangs a second time. The others may be
// repeated, and some of them the client wants to see as they are.
var onceOnly = []string{
	"xadd", "xreadgroup", "evalsha", "eval", "publish", "lpushx", "get", "hget", "hgetall", "hlen",
	"xpending", "xlen", "xrange", "xrevrange", "zcard", "zrange", "zscore", "hmget", "hscan",
}

func asOnce(cmd redis.Cmder) redis.Cmder {
	if slices.Contains(onceOnly, cmd.Name()) {
		return once{cmd}
	}
	return cmd
}

func (runOnce) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (runOnce) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return next(ctx, asOnce(cmd)) }
}

func (runOnce) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		list := make([]redis.Cmder, len(cmds))
		for i, cmd := range cmds {
			list[i] = asOnce(cmd)
		}
		return next(ctx, list)
	}
}
