package streams_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestLinesAreLookedAtWhenOrderChanges: a look asks Redis for every key that has copies, so other changes cause none.
func TestLinesAreLookedAtWhenOrderChanges(t *testing.T) {
	t.Parallel()
	plain, ordered := &medispatcher.Subscription{ID: "s"}, &medispatcher.Subscription{ID: "s", Ordered: true}
	paused := &medispatcher.Subscription{ID: "s", Ordered: true, Paused: true}
	const partitions = 3
	for _, c := range []struct {
		what   string
		change medispatcher.SubscriptionChange
		asked  int
	}{
		{"ordered from the start", medispatcher.SubscriptionChange{Now: ordered}, partitions},
		{"becomes ordered", medispatcher.SubscriptionChange{Was: plain, Now: ordered}, partitions},
		{"is no longer ordered", medispatcher.SubscriptionChange{Was: ordered, Now: plain}, partitions},
		{"was ordered, and is removed", medispatcher.SubscriptionChange{Was: ordered}, partitions},
		{"is paused", medispatcher.SubscriptionChange{Was: ordered, Now: paused}, 0},
		{"was never ordered", medispatcher.SubscriptionChange{Now: plain}, 0},
	} {
		w := streams.NewLineWorker(nil, nil, partitions, nil, nil)
		w.Apply([]medispatcher.SubscriptionChange{c.change})
		if n := w.Asked(); n != c.asked {
			t.Errorf("%s: %d channels are looked at, want %d", c.what, n, c.asked)
		}
	}
}

// TestOrderEndedWhileNoneRan: what waits in the lines of a subscription that was no longer ordered when the first dispatcher
// started is READY at once, not after the next look at all lines.
func TestOrderEndedWhileNoneRan(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(_, problem string) { t.Error(problem) })
		copyKeyed(t, sc, "a:a1", "a:a2", "a:a3")
		put(t, registry, "s", `{"topic":"a.b","urls":["http://h/"]}`)
		ready := make(chan []string, 1)
		w := streams.NewLineWorker(sc.Store, registry, 1, func(_ int, subs []string) { ready <- subs }, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		select {
		case <-ready:
		case <-ctx.Done():
			t.Error("what waits is not READY")
		}
		cancel()
		check(t, <-done)
		expect(t, "READY", bodies(read(t, sc.Store)), "a1 a2 a3")
	})
}
