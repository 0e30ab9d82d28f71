package streams_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// looks counts the steps of a store.
type looks struct{ n int }

func (*looks) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *looks) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { l.n++; return next(ctx, cmd) }
}

func (*looks) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestOneFolds: of several dispatchers that count in a partition one folds, and the others look seldom. If it dies, another one folds.
func TestOneFolds(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		var stores []*streams.Store
		var looked []*looks
		for i := range 4 {
			store, l := env.Open(t, env.Config(fmt.Sprint("d", i))), &looks{}
			store.DB().AddHook(l)
			store.BeginToFold(3)
			stores, looked = append(stores, store), append(looked, l)
		}
		second := int64(1_000_000)
		pass := func(seconds int, alive []int, counts bool) {
			for _, l := range looked {
				l.n = 0
			}
			for range seconds {
				if counts {
					for _, i := range alive {
						stores[i].CountsIn(0, second)
					}
					check(t, sc.Client.HSetNX(sc.Ctx, "medis:stats:{0}:now", "~at", second).Err())
					check(t, sc.Client.HIncrBy(sc.Ctx, "medis:stats:{0}:now", "duplicate", 1).Err())
				}
				second++
				for _, i := range alive {
					stores[i].FoldBefore(sc.Ctx, second)
				}
			}
		}
		pass(100, []int{0, 1, 2, 3}, true)
		if n := looked[0].n; n < 100 || n > 110 {
			t.Errorf("the one that folds looked %d times in 100 seconds", n)
		}
		if n := looked[1].n + looked[2].n + looked[3].n; n < 60 || n > 150 {
			t.Errorf("the three others looked %d times in 100 seconds", n)
		}
		pass(5, []int{1, 2, 3}, true) // the first one has died; five seconds are the most between two looks of one
		pass(20, []int{1, 2, 3}, true)
		if n := looked[1].n + looked[2].n + looked[3].n; n < 20 || n > 60 {
			t.Errorf("after the death of one they looked %d times in 20 seconds", n)
		}
		if at, _ := sc.Client.HGet(sc.Ctx, "medis:stats:{0}:now", "~at").Int64(); at != 0 {
			t.Errorf("second %d is not folded at %d", at, second)
		}
		pass(10, []int{1, 2, 3}, false)
		pass(20, []int{1, 2, 3}, false)
		if n := looked[1].n + looked[2].n + looked[3].n; n > 0 {
			t.Errorf("they look %d times though nothing is counted", n)
		}
	})
}
