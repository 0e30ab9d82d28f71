package streams_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestFanoutBesideAReplyLimit: where Redis closes connections whose answers are long, entries are read a few at a time.
func TestFanoutBesideAReplyLimit(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t, "--client-output-buffer-limit", "normal 1000000 0 0 replica 0 0 0 pubsub 0 0 0")
	sc := newScene(t, env)
	registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
	wanted(t, sc, registry, 1)
	const entries = 24
	for range entries {
		check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "t", "body", strings.Repeat("x", 200_000)}}).Err())
	}
	ctx, cancel := context.WithTimeout(sc.Ctx, time.Minute)
	defer cancel()
	var moved atomic.Int64
	w := &streams.FanoutWorker{
		Store: sc.Store, Registry: registry, MaxBody: 1 << 20, Log: slog.New(slog.DiscardHandler),
		Events: streams.FanoutEvents{
			Ready: func(int, []string) {},
			Routed: func(int, medispatcher.Message, streams.Routed, []string) {
				if moved.Add(1) == entries {
					cancel()
				}
			},
		},
	}
	check(t, w.Run(ctx))
	if n := moved.Load(); n != entries {
		t.Errorf("%d of %d entries were moved", n, entries)
	}
}
