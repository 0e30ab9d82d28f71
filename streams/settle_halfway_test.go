package streams_test

import (
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestSettledHalfWay: a step that settles messages of two channels fails at the second, whose key somebody
// replaced. What it did before is counted, since no repetition does it again.
func TestSettledHalfWay(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[medispatcher.Outcome]string{medispatcher.Sent: "sent:s", medispatcher.Failed: "failed:s", medispatcher.Exhausted: "dead:s"} {
		t.Run(outcome.String(), func(t *testing.T) {
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				sc := newScene(t, env)
				done := append(settlement(sc.Buried(t), outcome), settlement("1-1", outcome)...)
				done[1].Subscription = "broken"
				check(t, sc.Client.Set(sc.Ctx, "medis:{0}:ch:broken", "x", 0).Err())
				settle := func() (err error) {
					switch outcome {
					case medispatcher.Failed:
						return sc.Store.Retry(sc.Ctx, 0, done)
					case medispatcher.Exhausted:
						return sc.Store.Kill(sc.Ctx, 0, done)
					default:
						return second(sc.Store.Delete(sc.Ctx, 0, done))
					}
				}
				for range 2 {
					if settle() == nil {
						t.Error("it did not fail")
					}
				}
				counts := must[map[string]int64](t)(report.New(sc.Store).Counts(sc.Ctx))
				if counts[want] != 1 {
					t.Errorf("%s is %d; it should be 1", want, counts[want])
				}
			})
		})
	}
}
