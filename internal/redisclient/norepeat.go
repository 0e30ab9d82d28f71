package redisclient

import (
	"context"
	"net"
	"slices"

	"github.com/redis/go-redis/v9"
)

// New makes a client. It repeats no write, and no read that takes entries.
func New(opt *redis.UniversalOptions) redis.UniversalClient {
	client := redis.NewUniversalClient(opt)
	switch client.(type) {
	case *redis.ClusterClient:
		client.AddHook(runOnce{})
	case *redis.Client:
		if opt.MasterName != "" {
			client.AddHook(sentinels{opt.MasterName})
		}
	}
	return client
}

// runOnce is a hook that keeps the cluster client from repeating a command whose reply was lost. MaxRetries does
// not prevent that: the client repeats a failed command as often as it follows redirections. A
// message would then be accepted twice, or a read would take entries that no caller gets. The client
// still follows redirections, because the node that sent one did not run the command.
type runOnce struct{}

var _ redis.Hook = runOnce{}

// once is a command that is not repeated. Its reply goes to the command inside.
type once struct{ redis.Cmder }

func (once) NoRetry() bool { return true }

// onceOnly names the commands that take, accept or move messages. It also names the reads that loops
// wait for, because the client would ask a node that hangs a second time. Other commands may be
// repeated. Some of them must not be wrapped, because the client checks their type.
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
