package streams_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestOrderedWorkers: three dispatchers with two workers each move the entries of one partition, and one that is dead owns the
// oldest of them. What goes to an ordered subscription is in the order in which it was accepted.
func TestOrderedWorkers(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		sc.Store.WriteLayout(2)
		registry := streams.NewRegistry(sc.Store, streamstest.Rules(), nil)
		put(t, registry, "s", `{"topic":"a.b","urls":["http://a/"],"ordered":true}`)
		put(t, registry, "other", `{"topic":"a.b","urls":["http://a/"]}`)
		const keys, each = 5, 60
		publish := func(from, to int) {
			for n := from; n < to; n++ {
				for k := range keys {
					check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "a.b", "body", fmt.Sprint(n), "key", fmt.Sprint("k", k)}}).Err())
				}
			}
		}
		must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 1, false)) // creates the group
		publish(0, 2)
		dead := env.Open(t, env.Config("dead"))
		if n := len(must[[]streams.Entry](t)(dead.ReadIncoming(sc.Ctx, 0, 7, false))); n != 7 {
			t.Fatal(n)
		}
		ctx, cancel := context.WithCancel(sc.Ctx)
		done := make(chan error, 6)
		for d := range 3 {
			store := env.Open(t, env.Config(fmt.Sprint("d", d)))
			store.WriteLayout(2)
			registry := streams.NewRegistry(store, streamstest.Rules(), func(string, string) {})
			for range 2 {
				w := &streams.FanoutWorker{Store: store, Registry: registry, MaxBody: 1 << 20, Log: slog.New(slog.DiscardHandler), Events: streams.FanoutEvents{
					Ready: func(int, []string) {}, Unroutable: func(int, streams.Entry, medispatcher.Message) {},
				}}
				go func() { done <- w.Run(ctx) }()
			}
		}
		publish(2, each)
		length := func(key string) int64 { return sc.Client.XLen(sc.Ctx, key).Val() }
		for deadline := time.Now().Add(30 * time.Second); length("medis:{0}:incoming") > 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d entries are not moved", length("medis:{0}:incoming"))
			}
		}
		cancel()
		for range 6 {
			check(t, <-done)
		}
		if n := length("medis:{0}:ch:other"); n != keys*each {
			t.Errorf("%d copies without order", n)
		}
		got := map[string][]string{}
		for list := read(t, sc.Store); len(list) > 0; list = read(t, sc.Store) {
			var sent []medispatcher.Settlement
			for _, d := range list {
				got[d.Message.Key] = append(got[d.Message.Key], string(d.Message.Body))
				sent = append(sent, settlement(d.EntryID, medispatcher.Sent)...)
			}
			check(t, second(sc.Store.Delete(sc.Ctx, 0, sent)))
		}
		var want []string
		for n := range each {
			want = append(want, fmt.Sprint(n))
		}
		for k := range keys {
			if list := got[fmt.Sprint("k", k)]; !slices.Equal(list, want) {
				t.Errorf("key %d: %s", k, strings.Join(list, " "))
			}
		}
	})
}
