package streams_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

const unroutedKey = "medis:{0}:unrouted"

// TestUnroutedIsWhole: an unrouted entry has the fields of a channel's entry, and the worker reports it correctly.
func TestUnroutedIsWhole(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		told := make(chan medispatcher.Message, 10)
		w := &streams.FanoutWorker{
			Store: sc.Store, Registry: streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {}),
			MaxBody: 100, Log: slog.New(slog.DiscardHandler),
			Events: streams.FanoutEvents{Unroutable: func(_ int, _ streams.Entry, m medispatcher.Message) { told <- m }},
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		xadd := func(values ...any) string {
			return must[string](t)(sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: values}).Result())
		}
		first := xadd("topic", "nobody", "body", "one")
		second := xadd("topic", "nobody", "body", "two", "id", "p1", "sender", "me", "key", "k", "type", "text/plain", "headers", `{"a":"b"}`, "time", "1700000000000", "other", "x")
		for range 2 {
			<-told
		}
		cancel()
		check(t, <-done)
		kept := sc.Client.XRange(sc.Ctx, unroutedKey, "-", "+").Val()
		if len(kept) != 2 {
			t.Fatalf("%d are kept, want 2", len(kept))
		}
		if got := kept[0].Values; got["body"] != "one" || got["~src"] != first || got["~entry"] != first || fmt.Sprint(got["time"]) != strings.Split(first, "-")[0] || len(got) != 5 {
			t.Errorf("kept %v of entry %s", got, first)
		}
		want := map[string]any{"time": "1700000000000", "topic": "nobody", "body": "two", "id": "p1", "sender": "me", "key": "k", "type": "text/plain", "headers": `{"a":"b"}`, "~entry": second}
		if got := kept[1].Values; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("kept %v\nwant %v", got, want)
		}
	})
}

// TestUnroutedMayComeAgain: the id of an unrouted message does not count as a duplicate once a subscription wants it.
func TestUnroutedMayComeAgain(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		m := message("a.b")
		m.ID = "p1"
		route := func(subs ...string) streams.RoutedResult {
			id := sc.Incoming(t, "topic", "a.b", "body", "x", "id", "p1")
			return must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: id, Message: m, Subs: subs}}))[0].Result
		}
		for i, step := range []struct {
			subs []string
			want streams.RoutedResult
		}{
			{nil, streams.RoutedUnroutable},
			{nil, streams.RoutedUnroutable},
			{[]string{"s"}, streams.RoutedCopied},
			{nil, streams.RoutedDuplicate},
			{[]string{"s"}, streams.RoutedDuplicate},
		} {
			if got := route(step.subs...); got != step.want {
				t.Errorf("step %d: %s, want %s", i, got, step.want)
			}
		}
		if n := sc.Client.XLen(sc.Ctx, unroutedKey).Val(); n != 2 {
			t.Errorf("%d unrouted, want 2", n)
		}
	})
}

// TestKeptWithinBounds: the oldest messages are deleted and counted, and the recorded size is right.
func TestKeptWithinBounds(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for _, c := range []struct {
			key, lost string
			add       func(sc *scene, i, size int)
		}{
			{unroutedKey, "unrouted_lost", func(sc *scene, _, size int) {
				id := sc.Incoming(t, "topic", "a.b", "body", strings.Repeat("x", size))
				check(t, fanout(sc, streams.Routing{EntryID: id, Message: message("a.b")}))
			}},
			{"medis:{0}:quarantine", "quarantine_lost", func(sc *scene, _, size int) {
				id := sc.Incoming(t, "tropic", "a.b", "body", strings.Repeat("x", size))
				check(t, fanout(sc, streams.Routing{EntryID: id, Reason: "DECODERR"}))
			}},
			{"medis:{0}:quarantine", "quarantine_lost", func(sc *scene, i, size int) {
				check(t, writeOnce(sc, medispatcher.Once{Token: fmt.Sprint(i), Reason: "RECOVFAILDECODE", Raw: strings.Repeat("x", size)}))
			}},
		} {
			env.Flush(t)
			sc := newScene(t, env)
			cfg := env.Config("me")
			cfg.Unrouted = streams.Bound{Entries: 5, Bytes: 4000}
			cfg.Quarantine = cfg.Unrouted
			sc.Store = env.Open(t, cfg)
			// kept counts the entries, and checks the recorded size against their sum.
			kept := func() int {
				sum := 0
				entries := sc.Client.XRange(sc.Ctx, c.key, "-", "+").Val()
				for _, e := range entries {
					for name, value := range e.Values {
						sum += len(name) + len(value.(string))
					}
				}
				want := map[string]string{"entries": fmt.Sprint(len(entries)), "bytes": fmt.Sprint(sum)}
				if got := sc.Client.HGetAll(sc.Ctx, c.key+":size").Val(); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: its size is %v, want %v", c.key, got, want)
				}
				return len(entries)
			}
			added := 0
			for _, step := range []struct{ size, want int }{
				{10, 1}, {10, 2}, {10, 3}, {10, 4}, {10, 5}, {10, 5}, {10, 5}, // by number
				{2000, 5}, {1600, 5}, {1000, 2}, {10, 3}, // by bytes
				{9000, 1}, {10, 1}, {10, 2}, // the newest is kept
			} {
				c.add(sc, added, step.size)
				added++
				if got := kept(); got != step.want {
					t.Errorf("%s: %d are kept after a body of %d bytes, want %d", c.key, got, step.size, step.want)
				}
			}
			lost := sc.Client.HGet(sc.Ctx, "medis:stats:{0}:total", c.lost).Val()
			if lost != fmt.Sprint(added-kept()) {
				t.Errorf("%s is %s, want %d", c.lost, lost, added-kept())
			}
			// Entries deleted by hand do not count towards the size for ever.
			check(t, sc.Client.XTrimMaxLen(sc.Ctx, c.key, 0).Err())
			c.add(sc, added, 10)
			if got := kept(); got != 1 {
				t.Errorf("%s: %d are kept, want 1", c.key, got)
			}
		}
	})
}

// TestFullRedisKeepsUnroutedWhole: a full Redis leaves the entry and its remembered id unchanged.
func TestFullRedisKeepsUnroutedWhole(t *testing.T) {
	t.Parallel()
	sc := newScene(t, streamstest.Real(t))
	id := sc.Incoming(t, "topic", "a.b", "body", "x", "id", "p1")
	m := message("a.b")
	m.ID = "p1"
	before := sc.State(t)
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "1").Err())
	if err := fanout(sc, streams.Routing{EntryID: id, Message: m}); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("fan-out: %v, want OOM", err)
	}
	if got := sc.State(t); got != before {
		t.Errorf("state\n got  %s\n want %s", got, before)
	}
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "0").Err())
	check(t, fanout(sc, streams.Routing{EntryID: id, Message: m}))
	if got, want := sc.State(t), "#received:a.b=1, #unroutable:a.b=1, unrouted=1, unrouted:size=2"; got != want {
		t.Errorf("state\n got  %s\n want %s", got, want)
	}
}
