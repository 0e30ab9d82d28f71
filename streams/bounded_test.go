package streams_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// evals counts scripts.
func evals(sc *scene) *int {
	n := new(int)
	sc.Store.DB().AddHook(hook(func(cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			*n++
		}
		return nil
	}))
	return n
}

// TestLargeMessagesMoveInSeveralSteps: no step passes more than about a megabyte through Redis, and
// all messages are moved.
func TestLargeMessagesMoveInSeveralSteps(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		const all = 6
		large := strings.Repeat("x", 900_000) // two fit into a step
		deliver := func() (done []medispatcher.Settlement) {
			for range all {
				id := sc.Incoming(t, "topic", "a.b", "body", large)
				check(t, fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), Subs: []string{"s"}}))
			}
			for _, d := range read(t, sc.Store) {
				s := settlement(d.EntryID, medispatcher.Exhausted)[0]
				s.Message, s.Delay = &d.Message, 0
				done = append(done, s)
			}
			return done
		}
		// steps runs f until it has done everything, and checks that each script moved two messages at most.
		n := evals(sc)
		steps := func(what string, f func()) {
			t.Helper()
			before := *n
			if f(); *n-before < all/2 {
				t.Errorf("%s: %d steps for %d messages, want at least %d", what, *n-before, all, all/2)
			}
		}
		held := deliver()
		for i := range held {
			held[i].Outcome = medispatcher.Failed
		}
		check(t, sc.Store.Retry(sc.Ctx, 0, held))
		steps("due", func() {
			got := 0
			for got < all {
				due, next, err := sc.Store.Due(sc.Ctx, 0, []medispatcher.Want{{Channel: channelS, Max: 100}})
				check(t, err)
				got += len(due)
				if got < all && (len(due) == 0 || next[0] != 0) {
					t.Fatalf("%d are due, the next in %s", len(due), next[0])
				}
			}
		})
		for i := range held {
			held[i].Attempt = 2
		}
		steps("kill", func() { check(t, sc.Store.Kill(sc.Ctx, 0, held)) })
		letters := must[[]medispatcher.DeadLetter](t)(sc.Store.DeadLetters(sc.Ctx, "s", "", all))
		var ids []string
		for _, l := range letters {
			ids = append(ids, l.ID)
		}
		steps("replay", func() {
			if got := must[int](t)(sc.Store.Replay(sc.Ctx, "s", ids)); got != all {
				t.Errorf("%d replayed, want %d", got, all)
			}
		})
		again := read(t, sc.Store)
		held = nil
		for _, d := range again {
			s := settlement(d.EntryID, medispatcher.Exhausted)[0]
			s.Message = &d.Message
			held = append(held, s)
		}
		check(t, sc.Store.Kill(sc.Ctx, 0, held))
		steps("replay all", func() {
			done, left, err := sc.Store.ReplayAll(sc.Ctx, "s", goOn)
			check(t, err)
			if done != all || left != 0 {
				t.Errorf("%d replayed and %d left, want %d", done, left, all)
			}
		})

		for range all {
			check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "bench.x", "body", large}}).Err())
		}
		steps("withdraw", func() {
			if got := must[int64](t)(sc.Store.Withdraw(sc.Ctx, "bench.x", time.Time{})); got != all {
				t.Errorf("%d withdrawn, want %d", got, all)
			}
		})
		for range all {
			id := sc.Incoming(t, "topic", "a.b", "body", large, "delay", "1")
			check(t, fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), Due: time.Now().Add(-time.Second)}))
		}
		steps("delayed", func() {
			for got := 0; got < all; {
				moved, next, err := sc.Store.ReleaseDelayed(sc.Ctx, 0, 100)
				check(t, err)
				if got += moved; got < all && (moved == 0 || next != 0) {
					t.Fatalf("%d moved, the next in %s", moved, next)
				}
			}
		})
	})
}
