package streams_test

import (
	"strings"
	"testing"

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
