package streams_test

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

const largestID = "18446744073709551615-18446744073709551615"

// TestLargestIDEndsNothing: after an entry with the largest possible id, Redis refuses every later one.
// The entry is moved like any other, and then the stream accepts messages again.
func TestLargestIDEndsNothing(t *testing.T) {
	t.Parallel()
	for _, id := range []string{largestID, "18446744073709551615-0"} {
		sc := newScene(t, streamstest.Real(t))
		registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
		put(t, registry, "s", `{"topic":"t","urls":["http://h/"]}`)
		ctx, cancel := context.WithCancel(sc.Ctx)
		told := make(chan string, 10)
		w := &streams.FanoutWorker{
			Store: sc.Store, Registry: registry, MaxBody: 100, Log: slog.New(slog.DiscardHandler),
			Events: streams.FanoutEvents{
				Ready:  func(int, []string) {},
				Routed: func(_ int, m medispatcher.Message, _ streams.Routed, _ []string) { told <- string(m.Body) },
			},
		}
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		xadd := func(id, body string) error {
			return sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", ID: id, Values: []any{"topic", "t", "body", body}}).Err()
		}
		check(t, xadd("*", "before"))
		<-told
		check(t, xadd(id, "the last"))
		<-told
		deadline := time.Now().Add(20 * time.Second)
		for {
			last := must[*redis.XInfoStream](t)(sc.Client.XInfoStream(sc.Ctx, "medis:{0}:incoming").Result()).LastGeneratedID
			if last == "0-0" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the last id is still %s", last)
			}
			time.Sleep(5 * time.Millisecond) // Redis sends no event
		}
		check(t, xadd("*", "after"))
		if got := <-told; got != "after" {
			t.Errorf("got %q", got)
		}
		cancel()
		check(t, <-done)
		if got := read(t, sc.Store); len(got) != 3 {
			t.Errorf("%d copies, want 3", len(got))
		}
	}
}

// TestIDsAreLeftAlone: a stream that is not empty, or whose ids may come from a clock, is not renewed.
func TestIDsAreLeftAlone(t *testing.T) {
	t.Parallel()
	sc := newScene(t, streamstest.Real(t))
	key := "medis:{0}:incoming"
	soon := time.Now().Add(10 * time.Minute).UnixMilli()
	for _, c := range []struct {
		id   string
		del  bool
		want int
	}{{"1-1", true, 0}, {redisID(soon), true, 0}, {largestID, false, 2}, {largestID, true, 1}, {"1-1", true, 0}} {
		check(t, sc.Client.Del(sc.Ctx, key).Err())
		check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: key, ID: c.id, Values: []any{"topic", "t", "body", "x"}}).Err())
		if c.del {
			check(t, sc.Client.XDel(sc.Ctx, key, c.id).Err())
		}
		if got := must[int](t)(streams.Renew(sc.Ctx, sc.Store, 0)); got != c.want {
			t.Errorf("%s, deleted %t: %d, want %d", c.id, c.del, got, c.want)
		}
	}
	check(t, sc.Client.Del(sc.Ctx, key).Err())
	if got := must[int](t)(streams.Renew(sc.Ctx, sc.Store, 0)); got != 0 {
		t.Errorf("%d for a missing stream, want 0", got)
	}
}

func redisID(ms int64) string { return strconv.FormatInt(ms, 10) + "-0" }

// TestChannelWithoutIDs: a channel whose ids are used up is created again once it is empty. Until then
// its copies go to the quarantine, and each other subscription gets its copy once.
func TestChannelWithoutIDs(t *testing.T) {
	t.Parallel()
	sc := newScene(t, streamstest.Real(t))
	route := func() streams.Routed {
		id := sc.Incoming(t, "topic", "a.b", "body", "x")
		return must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: id, Message: message("a.b"), Subs: []string{"r", "s", "u"}}}))[0]
	}
	route()
	check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:ch:s", ID: largestID, Values: []any{"topic", "a.b", "body", "hand"}}).Err())
	if got := route(); got.Result != streams.RoutedCopied || len(got.Failed) != 1 || got.Failed[0] != "s" {
		t.Errorf("routed %+v, want all but s", got)
	}
	if got, want := sc.State(t), "#quarantined=1, #received:a.b=2, ch:r=2, ch:s=2, ch:u=2, quarantine=1, quarantine:size=2"; got != want {
		t.Errorf("state\n got  %s\n want %s", got, want)
	}
	for _, d := range read(t, sc.Store) {
		check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(d.EntryID, medispatcher.Sent))))
	}
	if got := route(); len(got.Failed) != 0 {
		t.Errorf("routed %+v, want all", got)
	}
	if got := read(t, sc.Store); len(got) != 1 {
		t.Errorf("%d copies, want 1", len(got))
	}
}

// TestOrderedChannelWithoutIDs: in a channel that is created again, a key still has one message at a time.
func TestOrderedChannelWithoutIDs(t *testing.T) {
	t.Parallel()
	sc := newScene(t, streamstest.Real(t))
	sc.Store.WriteLayout(2)
	copyKeyed(t, sc, "a:a1")
	check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:ch:s", ID: largestID, Values: []any{"topic", "a.b", "body", "hand"}}).Err())
	for _, d := range read(t, sc.Store) {
		check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(d.EntryID, medispatcher.Sent))))
	}
	copyKeyed(t, sc, "a:a2", "a:a3")
	for _, want := range []string{"a2", "a3"} {
		got := read(t, sc.Store)
		expect(t, "next", bodies(got), want)
		for _, d := range got {
			check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(d.EntryID, medispatcher.Sent))))
		}
	}
}
