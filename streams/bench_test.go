package streams_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

func TestBenches(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		list := func() []medispatcher.BenchRun { return must[[]medispatcher.BenchRun](t)(sc.Store.Benches(sc.Ctx)) }
		if got := list(); len(got) > 0 {
			t.Errorf("%+v", got)
		}
		run := medispatcher.BenchRun{Run: "b", Subscriptions: 2, Host: "h", PID: 7}
		run.Started = must[time.Time](t)(sc.Store.HoldBench(sc.Ctx, run))
		if sc.full(t) { // it must not look dead for that
			defer sc.Client.ConfigSet(sc.Ctx, "maxmemory", "0")
		}
		heard := must[time.Time](t)(sc.Store.HoldBench(sc.Ctx, run))
		got := list()
		if len(got) != 1 || !got[0].Alive || !got[0].Heard.Equal(heard) || !got[0].Started.Equal(run.Started) || got[0].Host != "h" || got[0].PID != 7 {
			t.Fatalf("%+v", got)
		}
		if ids := fmt.Sprint(got[0].IDs(), " ", got[0].Topic()); ids != "[bench-b-1 bench-b-2] bench.b" {
			t.Error(ids)
		}
		check(t, sc.Store.ForgetBench(sc.Ctx, "b"))
		check(t, sc.Store.ForgetBench(sc.Ctx, "b"))
		if got := list(); len(got) > 0 || sc.Client.Exists(sc.Ctx, "medis:bench").Val() != 0 {
			t.Errorf("%+v", got)
		}
		if sc.Server != nil {
			check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "0").Err())
		}
		old := heard.Add(-streams.BenchDeadAfter).UnixMilli()
		check(t, sc.Client.HSet(sc.Ctx, "medis:bench", "a", fmt.Sprintf(`%d {"run":"a","subscriptions":1}`, old), "x", "rubbish",
			"y", fmt.Sprintf(`%d {"run":"other"}`, old), "z", fmt.Sprintf(`%d {"run":"z","subscriptions":-1}`, old)).Err())
		if got := list(); len(got) != 1 || got[0].Alive || got[0].Run != "a" {
			t.Errorf("%+v", got)
		}
	})
}

// TestWithdraw: all messages of a topic are removed, wherever they are in the stream and whoever
// reads them. Other messages stay.
func TestWithdraw(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 2
		sc := newSceneOf(t, env, cfg)
		mine := sc.Incoming(t, "topic", "bench.a", "body", "in hand")
		sc.Incoming(t, "topic", "order.created", "body", "in hand")
		for p, n := range map[int]int{0: 250, 1: 100} { // more than one step reads, and exactly as many
			for i := range n {
				topic := "bench.a"
				if i%50 == 7 {
					topic = "bench.b"
				}
				check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: fmt.Sprintf("medis:{%d}:incoming", p), Values: []any{"topic", topic, "body", "x"}}).Err())
			}
		}
		full := sc.full(t)
		if n := must[int64](t)(sc.Store.Withdraw(sc.Ctx, "bench.a", time.Time{})); n != 1+245+98 {
			t.Errorf("%d withdrawn", n)
		}
		if n := must[int64](t)(sc.Store.Withdraw(sc.Ctx, "bench.a", time.Time{})); n != 0 {
			t.Errorf("%d withdrawn again", n)
		}
		if full {
			check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "0").Err())
		}
		if a, b := sc.Client.XLen(sc.Ctx, "medis:{0}:incoming").Val(), sc.Client.XLen(sc.Ctx, "medis:{1}:incoming").Val(); a != 1+5 || b != 2 {
			t.Errorf("%d and %d remain", a, b)
		}
		if n := sc.Client.XPending(sc.Ctx, "medis:{0}:incoming", "fanout").Val().Count; n != 1 {
			t.Errorf("%d pending", n)
		}
		routed := must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{
			{EntryID: mine, Message: medispatcher.Message{Topic: "bench.a"}, Subs: []string{"s"}},
		}))
		if !slices.ContainsFunc(routed, func(r streams.Routed) bool { return r.Result == streams.RoutedGone }) || sc.Client.Exists(sc.Ctx, "medis:{0}:ch:s").Val() != 0 {
			t.Errorf("%+v", routed)
		}
		if n := must[int64](t)(sc.Store.Withdraw(sc.Ctx, "bench.b", time.Now().Add(time.Hour))); n != 0 {
			t.Errorf("%d withdrawn although they were written before", n)
		}
	})
}
