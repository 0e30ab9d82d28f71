package streams_test

import (
	"context"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestHints checks which process hears which hint. A process wakes its own scheduler for messages that
// it fans out, but it hears the hints of operators who use it.
func TestHints(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		sc.add(t, "medis:{0}:dead:s", 1)
		ctx, cancel := context.WithCancel(t.Context())
		heard := make(chan string, 100)
		var g errgroup.Group
		g.Go(func() error {
			return sc.Store.Listen(ctx, streams.Hints{
				Changed: func() { heard <- "changed" },
				Ready:   func(c []medispatcher.Channel) { heard <- fmt.Sprint("ready ", c) },
				Due:     func(c []medispatcher.Channel) { heard <- fmt.Sprint("due ", c) },
			})
		})
		publish := func(text string) { check(t, sc.Client.Publish(sc.Ctx, "medis:control", text).Err()) }
		for { // until the store listens
			publish("subscriptions")
			if sc.Client.PubSubNumSub(sc.Ctx, "medis:control").Val()["medis:control"] > 0 {
				break
			}
		}
		other := env.Open(t, env.Config("other"))
		for _, nonsense := range []string{"", "due", "due x 0", "due x 1 s", "due x -1 s", "what x 0 s", "ready x y z"} {
			publish(nonsense)
		}
		check(t, other.Ring(sc.Ctx, 0, []string{"a", "b"}))
		check(t, sc.Store.Ring(sc.Ctx, 0, []string{"own"}))
		check(t, sc.Store.RingDue(sc.Ctx, 0, []string{"own"}))
		check(t, third(sc.Store.ReplayAll(sc.Ctx, "s", goOn)))
		for _, want := range []string{"ready [{0 a} {0 b}]", "due [{0 own}]", "ready [{0 s}]"} {
			got := <-heard
			for got == "changed" {
				got = <-heard
			}
			if got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
		}
		cancel()
		check(t, g.Wait())
	})
}
