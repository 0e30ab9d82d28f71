package streams_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestOrphansAreFoundInSmallSteps: somebody deleted the lines of large messages. No step looks at more than a few of them, and all get
// their places back.
func TestOrphansAreFoundInSmallSteps(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		if env.Mini != nil {
			t.Skip("its HSCAN returns everything at once")
		}
		sc := newScene(t, env)
		const large = 24
		for range large {
			copyKeyed(t, sc, "k:"+strings.Repeat("x", 1<<20))
		}
		check(t, sc.Client.Del(sc.Ctx, "medis:{0}:line:s").Err())
		steps := evals(sc)
		straighten(t, sc, true)
		if *steps < large/2 {
			t.Errorf("%d MB in %d steps", large, *steps)
		}
		if waits := sc.Client.HLen(sc.Ctx, "medis:{0}:wait:s").Val(); waits != large-1 {
			t.Errorf("%d wait", waits)
		}
	})
}

// TestFailuresAreSettledInSmallSteps: of many attempts that failed at once, no step settles so many that others wait for long.
func TestFailuresAreSettledInSmallSteps(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		const all = 512
		for name, c := range map[string]struct {
			outcome medispatcher.Outcome
			settle  func(sc *scene, list []medispatcher.Settlement) error
			in      string
			steps   int
		}{
			"retries": {medispatcher.Failed, func(sc *scene, l []medispatcher.Settlement) error { return sc.Store.Retry(sc.Ctx, 0, l) }, "medis:{0}:failures:s", 2},
			"dead":    {medispatcher.Exhausted, func(sc *scene, l []medispatcher.Settlement) error { return sc.Store.Kill(sc.Ctx, 0, l) }, "medis:{0}:dead:s", 4},
		} {
			t.Run(name, func(t *testing.T) {
				sc := newScene(t, env)
				check(t, sc.Client.FlushAll(sc.Ctx).Err())
				check(t, sc.Client.XGroupCreateMkStream(sc.Ctx, "medis:{0}:ch:s", "push", "0").Err())
				for range all {
					check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:ch:s", Values: []any{"m", "topic a.b\n\n1"}}).Err())
				}
				var list []medispatcher.Settlement
				for len(list) < all {
					got, err := sc.Store.Read(sc.Ctx, []medispatcher.Want{{Channel: channelS, Max: all}})
					check(t, err)
					for _, d := range got {
						list = append(list, medispatcher.Settlement{
							Channel: d.Channel, EntryID: d.EntryID, Attempt: d.Attempt, Outcome: c.outcome, Delay: time.Hour,
							Failure: &medispatcher.Failure{Attempts: 1, LastError: "status 500"}, Message: &d.Message,
						})
					}
				}
				steps := evals(sc)
				check(t, c.settle(sc, list))
				if *steps < c.steps {
					t.Errorf("%d in %d steps, want %d", all, *steps, c.steps)
				}
				n := sc.Client.HLen(sc.Ctx, c.in).Val() + sc.Client.XLen(sc.Ctx, c.in).Val() // one of them is of another type
				if n != all {
					t.Errorf("%d are settled", n)
				}
			})
		}
	})
}
