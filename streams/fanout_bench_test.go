package streams_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// BenchmarkFanout moves messages on a real redis-server, with a worker like that of serve. It reports
// the longest time that Redis took to answer a ping on another connection.
//
//	go test ./streams -run XXX -bench Fanout -benchtime 1x
func BenchmarkFanout(b *testing.B) {
	for _, c := range []struct{ subs, size, entries int }{
		{1, 100, 20_000}, {5, 100, 10_000}, {50, 100, 2000}, {1, 10_000, 5000}, {1, 1 << 20, 64}, {400, 1 << 20, 1}, {10_000, 100, 20}, {30_000, 100, 3},
	} {
		b.Run(fmt.Sprintf("%d×%dB", c.subs, c.size), func(b *testing.B) {
			for b.Loop() {
				benchFanout(b, c.subs, c.size, c.entries)
			}
		})
	}
}

func benchFanout(b *testing.B, subs, size, entries int) {
	b.StopTimer()
	env := streamstest.Real(b)
	defer env.Server.Kill()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	store := env.Open(b, env.Config("me"))
	docs := make([]any, 0, 2*subs)
	for i := range subs {
		docs = append(docs, fmt.Sprintf("s%05d", i), `{"topic":"t","urls":["http://h/"]}`)
	}
	if err := env.Client.HSet(ctx, "medis:subscriptions", docs...).Err(); err != nil {
		b.Fatal(err)
	}
	registry := streams.NewRegistry(store, streamstest.Rules(), func(string, string) {})
	if _, err := registry.Refresh(ctx); err != nil {
		b.Fatal(err)
	}
	for range entries {
		if err := env.Client.XAdd(ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "t", "body", strings.Repeat("x", size)}}).Err(); err != nil {
			b.Fatal(err)
		}
	}
	left, end := entries, time.Time{}
	w := &streams.FanoutWorker{
		Store: store, Registry: registry, MaxBody: 2 << 20, Log: slog.New(slog.DiscardHandler),
		Events: streams.FanoutEvents{
			Ready: func(int, []string) {},
			Routed: func(int, medispatcher.Message, streams.Routed, []string) {
				if left--; left == 0 {
					end = time.Now()
					cancel()
				}
			},
		},
	}
	worst := make(chan time.Duration)
	go func() { worst <- worstPing(ctx, env.Client) }()
	start := time.Now()
	b.StartTimer()
	if err := w.Run(ctx); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	took := end.Sub(start).Seconds()
	b.ReportMetric(float64(entries)/took, "messages/s")
	b.ReportMetric(float64(entries*subs)/took, "copies/s")
	b.ReportMetric(float64((<-worst).Microseconds())/1000, "ms-worst-ping")
	b.StartTimer()
}

// worstPing pings until ctx ends, and returns the longest time to an answer.
func worstPing(ctx context.Context, c redis.UniversalClient) (worst time.Duration) {
	for ctx.Err() == nil {
		start := time.Now()
		_ = c.Ping(context.WithoutCancel(ctx)).Err()
		worst = max(worst, time.Since(start))
		time.Sleep(200 * time.Microsecond)
	}
	return worst
}
