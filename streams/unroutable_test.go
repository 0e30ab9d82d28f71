package streams_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestUnroutableIsTold: with the reply of the step lost, too.
func TestUnroutableIsTold(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for _, fault := range []streamstest.Fault{streamstest.Before, streamstest.After} {
			sc := newScene(t, env)
			check(t, env.Client.FlushAll(t.Context()).Err())
			told := make(chan medispatcher.Message, 10)
			w := &streams.FanoutWorker{
				Store: sc.store, Registry: streams.NewRegistry(sc.store, streamstest.Rules(), func(string, string) {}),
				MaxBody: 100, Log: slog.New(slog.DiscardHandler),
				Events: streams.FanoutEvents{Unroutable: func(_ int, e streams.Entry, m medispatcher.Message) {
					if m.ID != "0-"+e.ID || !m.Generated {
						t.Errorf("%+v of entry %s", m, e.ID)
					}
					told <- m
				}},
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- w.Run(ctx) }()
			publish := func(body string) {
				check(t, sc.Client.XAdd(sc.ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "nobody", "body", body}}).Err())
			}
			publish("first")
			<-told // the script is loaded
			sc.faults.Next(fault, 1, "evalsha")
			publish("second")
			select {
			case m := <-told:
				if string(m.Body) != "second" {
					t.Errorf("%s: %+v", fault, m)
				}
			case <-time.After(20 * time.Second):
				t.Errorf("%s: not told", fault)
			}
			cancel()
			check(t, <-done)
		}
	})
}
