package streams_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestManyEntriesAreReleasedInSeveralSteps: what a process lets go of after an outage may be thousands of entries, and no step
// holds Redis for long.
func TestManyEntriesAreReleasedInSeveralSteps(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		const all = 1000
		check(t, sc.Client.XGroupCreateMkStream(sc.Ctx, "medis:{0}:ch:s", "push", "0").Err())
		for range all {
			check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:ch:s", Values: []any{"m", "topic a.b\n\n1"}}).Err())
		}
		for got := 0; got < all; {
			list, err := sc.Store.Read(sc.Ctx, []medispatcher.Want{{Channel: channelS, Max: all}})
			check(t, err)
			got += len(list)
		}
		mine := must[[]string](t)(streamstest.Mine(sc.Ctx, sc.Store, channelS, all))
		steps := evals(sc)
		check(t, sc.Store.Release(sc.Ctx, channelS, mine, true))
		if *steps < all/256 {
			t.Errorf("%d entries in %d steps", len(mine), *steps)
		}
		consumers := sc.Client.XInfoConsumers(sc.Ctx, "medis:{0}:ch:s", "push").Val()
		if due := sc.Client.ZCard(sc.Ctx, "medis:{0}:retry:s").Val(); due != all || len(consumers) != 1 || consumers[0].Pending != all {
			t.Errorf("%d are due, of %v", due, consumers)
		}
	})
}

// TestChannelsAreLeft: a process leaves many channels at once, but none where it owns something, whether Redis has the script or not.
func TestChannelsAreLeft(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		var all []medispatcher.Channel
		wants := []medispatcher.Want{}
		for _, sub := range []string{"idle", "owned", "other", "third"} {
			c := medispatcher.Channel{Subscription: sub}
			key := "medis:{0}:ch:" + sub
			check(t, sc.Client.XGroupCreateMkStream(sc.Ctx, key, "push", "0").Err())
			if sub == "owned" {
				check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: key, Values: []any{"m", "topic a.b\n\n1"}}).Err())
			}
			all, wants = append(all, c), append(wants, medispatcher.Want{Channel: c, Max: 1})
		}
		must[[]medispatcher.Delivery](t)(sc.Store.Read(sc.Ctx, wants))
		for _, c := range all {
			check(t, sc.Client.XGroupCreateConsumer(sc.Ctx, "medis:{0}:ch:"+c.Subscription, "push", "me").Err())
		}
		check(t, sc.Client.ScriptFlush(sc.Ctx).Err())
		check(t, sc.Store.LeaveChannels(sc.Ctx, append(all, medispatcher.Channel{Subscription: "gone"})))
		for _, c := range all {
			if n := len(sc.Client.XInfoConsumers(sc.Ctx, "medis:{0}:ch:"+c.Subscription, "push").Val()); (n == 1) != (c.Subscription == "owned") {
				t.Errorf("%s has %d consumers", c.Subscription, n)
			}
		}
	})
}
