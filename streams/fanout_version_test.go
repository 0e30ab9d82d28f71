package streams_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// versionAsked is a hook that counts the round trips that only ask for the version of the subscriptions.
type versionAsked struct{ n atomic.Int64 }

func (h *versionAsked) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *versionAsked) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (h *versionAsked) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "get" && cmds[0].Args()[1] == "medis:subscriptions:rev" {
			h.n.Add(1)
		}
		return next(ctx, cmds)
	}
}

// TestFanoutSeesWhatWasPut: a worker waits for messages, hears no hints, and routes each message to the subscription
// that was put just before it was written. But for a cluster, and for what changed, that costs no round trip.
func TestFanoutSeesWhatWasPut(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		ctx, cancel := context.WithCancel(sc.Ctx)
		defer cancel()
		asked := &versionAsked{}
		sc.Store.DB().AddHook(asked)
		registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
		routed := make(chan string, 100)
		w := &streams.FanoutWorker{
			Store: sc.Store, Registry: registry, MaxBody: 100, Log: slog.New(slog.DiscardHandler),
			Events: streams.FanoutEvents{
				Ready: func(int, []string) {},
				Routed: func(_ int, m medispatcher.Message, r streams.Routed, _ []string) {
					routed <- fmt.Sprint(m.Topic, " ", r.Result)
				},
				Unroutable: func(int, streams.Entry, medispatcher.Message) {},
			},
		}
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		elsewhere := streams.NewRegistry(env.Open(t, env.Config("elsewhere")), streamstest.Rules(), nil)
		write := func(topic string) {
			t.Helper()
			check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", topic, "body", "x"}}).Err())
			select {
			case got := <-routed:
				if got != topic+" copied" {
					t.Errorf("%s; it should be copied", got)
				}
			case <-time.After(time.Minute):
				t.Fatal("it was not routed")
			}
		}
		for i := range 20 {
			topic := fmt.Sprint("t", i)
			put(t, elsewhere, fmt.Sprint("s", i), `{"topic":"`+topic+`","urls":["http://h/"]}`)
			write(topic)
		}
		before := asked.n.Load()
		for range 20 {
			write("t0")
		}
		if n := asked.n.Load() - before; n > 0 && !sc.Store.DB().IsCluster() {
			t.Errorf("%d round trips asked for the version", n)
		}
		cancel()
		check(t, <-ended)
	})
}
