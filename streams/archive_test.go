package streams_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// archiving is a configuration with an archive.
func archiving(cfg streams.Config) streams.Config {
	cfg.Retention, cfg.ArchiveBytes = time.Hour, 1<<20
	return cfg
}

func newArchive(t *testing.T, env *streamstest.Env) (*scene, *streams.Registry) {
	t.Helper()
	sc := newSceneOf(t, env, archiving(env.Config("me")))
	return sc, streams.NewRegistry(sc.Store, streamstest.Rules(), func(id, problem string) { t.Error(id, problem) })
}

// produce publishes bodies to a topic.
func (sc *scene) produce(t *testing.T, topic string, bodies ...string) {
	t.Helper()
	for _, b := range bodies {
		check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", topic, "body", b}}).Err())
	}
}

// replay begins a replay and carries it out.
func (sc *scene) replay(t *testing.T, registry *streams.Registry, ask medispatcher.ReplayAsk) medispatcher.ReplayProgress {
	t.Helper()
	r := replayOf(t, ask)
	r, _, err := sc.Store.StartReplay(sc.Ctx, r)
	check(t, err)
	done, err := (&streams.Replayer{Store: sc.Store, Registry: registry}).Run(sc.Ctx, r)
	check(t, err)
	return done
}

func replayOf(t *testing.T, ask medispatcher.ReplayAsk) medispatcher.Replay {
	t.Helper()
	since, until, err := ask.Window(time.Now())
	check(t, err)
	return medispatcher.Replay{ID: fmt.Sprint(time.Now().UnixNano()), Subscription: "s", Asked: ask, Since: since, Until: until, Started: time.Now()}
}

// TestArchive: each accepted message is in the archive once, in either layout, whatever became of it.
func TestArchive(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		for _, layout := range []int{1, 2} {
			t.Run(fmt.Sprint("layout ", layout), func(t *testing.T) {
				env.Flush(t)
				sc, registry := newArchive(t, env)
				sc.Store.WriteLayout(layout)
				put(t, registry, "s", `{"topic":"a.*","urls":["http://h/"]}`)
				put(t, registry, "s2", `{"topic":"a.*","urls":["http://h/"]}`)
				sc.produce(t, "a.b", "1")
				check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "a.c", "body", "2", "id", "p", "headers", `{"h":"v"}`}}).Err())
				check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "a.c", "body", "twice", "id", "p"}}).Err())
				sc.produce(t, "nobody", "3")
				sc.worker(t, sc.Store, registry, 4)
				check(t, second(sc.Store.ReplayAllKept(sc.Ctx, medispatcher.PlaceUnrouted, keptRules(), goOn)))
				sc.worker(t, sc.Store, registry, 1) // nobody wants it again
				span := must[medispatcher.ArchiveSpan](t)(sc.Store.ArchiveSpan(sc.Ctx))
				if span.Messages != 3 || span.Bytes < 30 || span.Oldest.IsZero() || span.Newest.Before(span.Oldest) {
					t.Errorf("the archive holds %+v", span)
				}

				check(t, second2(sc.Store.Purge(sc.Ctx, "s")))
				if n := must[medispatcher.ReplayCount](t)((&streams.Replayer{Store: sc.Store, Registry: registry}).Count(sc.Ctx, replayOf(t, medispatcher.ReplayAsk{Since: "1h"}))); n.Looked != 3 || n.Messages != 2 || n.Bytes != 2 {
					t.Errorf("a dry run counts %+v", n)
				}
				if done := sc.replay(t, registry, medispatcher.ReplayAsk{Since: "1h"}); done.Looked != 3 || done.Replayed != 2 || done.Done != 1 {
					t.Errorf("replayed: %+v", done)
				}
				var got []string
				for _, d := range read(t, sc.Store) {
					m := d.Message
					got = append(got, fmt.Sprint(m.Topic, " ", string(m.Body), " ", m.Generated, " ", m.Headers, " ", d.Replay, " ", d.Attempt))
				}
				if want := []string{"a.b 1 true map[] true 1", "a.c 2 false map[h:v] true 1"}; !slices.Equal(got, want) {
					t.Errorf("the channel has %q, want %q", got, want)
				}
				if left := must[[]medispatcher.Replay](t)(sc.Store.Replays(sc.Ctx)); len(left) > 0 {
					t.Errorf("it is not over: %+v", left)
				}
			})
		}
	})
}

func second2[A, B any](_ A, _ B, err error) error { return err }

// TestArchiveIsBounded: it holds neither more bytes than it may, nor what is too old.
func TestArchiveIsBounded(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc, registry := newArchive(t, env)
		put(t, registry, "s", `{"topic":"t","urls":["http://h/"]}`)
		const n = 60
		for i := range n {
			sc.produce(t, "t", fmt.Sprint(i, strings.Repeat("x", 50_000)))
		}
		sc.worker(t, sc.Store, registry, n)
		span := must[medispatcher.ArchiveSpan](t)(sc.Store.ArchiveSpan(sc.Ctx))
		if span.Bytes > 1<<20 || span.Bytes < 800_000 || span.Messages < 15 {
			t.Errorf("the archive holds %+v", span)
		}
		dropped := must[map[string]int64](t)(report.New(sc.Store).Counts(sc.Ctx))["archive_dropped"]
		if dropped+span.Messages != n {
			t.Errorf("%d dropped, %d left of %d", dropped, span.Messages, n)
		}
		if gone := must[int64](t)(sc.Store.TrimArchive(sc.Ctx, 0, time.Hour, false)); gone != 0 {
			t.Errorf("%d young messages are gone", gone)
		}
		if gone := must[int64](t)(sc.Store.TrimArchive(sc.Ctx, 0, -time.Minute, true)); gone != span.Messages {
			t.Errorf("%d of %d old messages are gone", gone, span.Messages)
		}
		if keys := sc.Keys(t, "medis:{0}:archive*"); len(keys) > 0 {
			t.Errorf("%q are left", keys)
		}
	})
}

// TestReplayInterrupted: a replay that was interrupted, or lost a reply, goes on where it was. Two at a time share the work. One in
// other words has to wait.
func TestReplayInterrupted(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc, registry := newArchive(t, env)
		put(t, registry, "s", `{"topic":"t","urls":["http://h/"]}`)
		const n = 300
		var bodies []string
		for i := range n {
			bodies = append(bodies, fmt.Sprint(i))
		}
		sc.produce(t, "t", bodies...)
		sc.worker(t, sc.Store, registry, n)
		check(t, second2(sc.Store.Purge(sc.Ctx, "s")))

		ask := medispatcher.ReplayAsk{Since: "1h", Topic: "t"}
		r, joined, err := sc.Store.StartReplay(sc.Ctx, replayOf(t, ask))
		check(t, err)
		if joined {
			t.Error("it joined another one")
		}
		if _, _, err := sc.Store.StartReplay(sc.Ctx, replayOf(t, medispatcher.ReplayAsk{Since: "2h"})); !isBusy(err) {
			t.Errorf("another one: %v", err)
		}
		ctx, cancel := context.WithCancel(sc.Ctx)
		steps := 0
		_, err = (&streams.Replayer{Store: sc.Store, Registry: registry, Tell: func(medispatcher.ReplayProgress) {
			if steps++; steps == 3 {
				cancel()
			}
		}}).Run(ctx, r)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted: %v", err)
		}
		again, joined, err := sc.Store.StartReplay(sc.Ctx, replayOf(t, ask))
		check(t, err)
		if !joined || again.ID != r.ID {
			t.Errorf("the same words begin %+v", again)
		}
		sc.Faults.Next(streamstest.After, 1, "evalsha")
		sc.Faults.Skip(2)
		if _, err := (&streams.Replayer{Store: sc.Store, Registry: registry}).Run(sc.Ctx, again); !errors.Is(err, streamstest.ErrInjected) {
			t.Errorf("no fault was met: %v", err)
		}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if done, err := (&streams.Replayer{Store: sc.Store, Registry: registry}).Run(sc.Ctx, again); err != nil || done.Replayed != n || done.Done != 1 {
					t.Error(done, err)
				}
			})
		}
		both.Wait()
		if got := sc.copiesOf(t, "s"); !slices.Equal(got, bodies) {
			t.Errorf("the channel has %d messages, want each of %d once, in order", len(got), n)
		}
		// It is over: whoever comes late does nothing.
		check(t, second((&streams.Replayer{Store: sc.Store, Registry: registry}).Run(sc.Ctx, again)))
		if got := sc.copiesOf(t, "s"); len(got) != n {
			t.Errorf("the channel has %d messages in the end", len(got))
		}
	})
}

func isBusy(err error) bool {
	var busy *medispatcher.ReplayBusyError
	return errors.As(err, &busy)
}

// copiesOf are the bodies in a channel.
func (sc *scene) copiesOf(t *testing.T, sub string) (bodies []string) {
	t.Helper()
	for _, e := range sc.Client.XRange(sc.Ctx, "medis:{0}:ch:"+sub, "-", "+").Val() {
		bodies = append(bodies, bodyOf(e))
	}
	return bodies
}

// TestReplayForNew: a new subscription gets each message once, those from the archive and those routed to it, though two
// dispatchers move messages meanwhile, and one of them learns late of the subscription.
func TestReplayForNew(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc, registry := newArchive(t, env)
		put(t, registry, "old", `{"topic":"t","urls":["http://h/"]}`)
		ctx, stop := context.WithCancel(sc.Ctx)
		var working sync.WaitGroup
		done := make(chan struct{}, 10_000)
		for _, name := range []string{"one", "two"} {
			store := sc.Open(t, archiving(env.Config(name)))
			w := &streams.FanoutWorker{
				Store: store, Registry: streams.NewRegistry(store, streamstest.Rules(), func(id, problem string) { t.Error(id, problem) }),
				MaxBody: 1 << 20, Log: slog.New(slog.DiscardHandler),
				Events: streams.FanoutEvents{
					Ready:  func(int, []string) {},
					Routed: func(int, medispatcher.Message, streams.Routed, []string) { done <- struct{}{} },
				},
			}
			working.Go(func() { check(t, w.Run(ctx)) })
		}
		const n = 600
		var bodies []string
		for i := range n {
			bodies = append(bodies, fmt.Sprint(i))
		}
		sc.produce(t, "t", bodies[:50]...)
		made := make(chan struct{})
		go func() {
			defer close(made)
			for _, b := range bodies[50:] {
				sc.produce(t, "t", b)
			}
		}()
		for range 200 {
			<-done
		}
		r := replayOf(t, medispatcher.ReplayAsk{Since: "1h"})
		r.New = true
		check(t, registry.PutAll(sc.Ctx, []medispatcher.SubscriptionPut{{ID: "s", Document: []byte(`{"topic":"t","urls":["http://h/"]}`), Replay: &r}})[0].Err)
		r = must[medispatcher.Replay](t)(sc.Store.ReplayOf(sc.Ctx, "s"))
		if r.Revision == 0 {
			t.Error("the revision of the subscription is unknown")
		}
		check(t, second((&streams.Replayer{Store: sc.Store, Registry: registry}).Run(sc.Ctx, r)))
		<-made
		for range n - 200 {
			<-done
		}
		stop()
		working.Wait()
		got := sc.copiesOf(t, "s")
		slices.Sort(got)
		slices.Sort(bodies)
		if !slices.Equal(got, bodies) {
			t.Errorf("the subscription has %d messages, %d different ones, want %d", len(got), len(slices.Compact(got)), n)
		}
	})
}

// TestFence: a step that was routed by subscriptions from before a replay for a new one is refused, and the worker routes again.
func TestFence(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc, registry := newArchive(t, env)
		put(t, registry, "old", `{"topic":"t","urls":["http://h/"]}`)
		before := must[*streams.Snapshot](t)(registry.Latest(sc.Ctx))
		id := sc.Incoming(t, "topic", "t", "body", "late")
		r := replayOf(t, medispatcher.ReplayAsk{Since: "1h"})
		check(t, registry.PutAll(sc.Ctx, []medispatcher.SubscriptionPut{{ID: "s", Document: []byte(`{"topic":"t","urls":["http://h/"]}`), Replay: &r}})[0].Err)
		r = must[medispatcher.Replay](t)(sc.Store.ReplayOf(sc.Ctx, "s"))
		check(t, second((&streams.Replayer{Store: sc.Store, Registry: registry}).Run(sc.Ctx, r)))

		step := func(by streams.RoutedBy, subs ...string) streams.RoutedResult {
			m := message("t")
			routed, _, err := sc.Store.FanoutHand(sc.Ctx, 0, by, []streams.Routing{{EntryID: id, Message: m, Subs: subs}}, []medispatcher.Want{{Channel: channelS, Max: 1}})
			check(t, err)
			return routed[0].Result
		}
		if got := step(streams.RoutedBy{Revision: before.Revision}, "old"); got != streams.RoutedOutdated {
			t.Errorf("routed by the subscriptions from before: %s", got)
		}
		if got := step(streams.RoutedBy{Revision: r.Revision}, "old", "s"); got != streams.RoutedCopied {
			t.Errorf("routed by those with the new one: %s", got)
		}
	})
}
