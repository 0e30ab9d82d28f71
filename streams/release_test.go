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
