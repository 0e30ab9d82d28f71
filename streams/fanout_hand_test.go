package streams_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestFanoutHand: a step takes messages of channels in which nothing else is READY.
func TestFanoutHand(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		layout int
		before func(t *testing.T, sc *scene) // brings s, s2 and s3 to their start; their groups exist
		most   int
		want   []string // bodies taken of each channel
		state  string
	}{
		"idle":                        {1, nil, 10, []string{"s a", "s b", "s2 a", "s2 b"}, "ch:s=2 me:2, ch:s2=2 me:2, ch:s3=2"},
		"idle, in the second layout":  {2, nil, 10, []string{"s a", "s b", "s2 a", "s2 b"}, "ch:s=2 me:2, ch:s2=2 me:2, ch:s3=2"},
		"idle, with one slot":         {2, nil, 1, []string{"s a", "s2 a"}, "ch:s=2 me:1, ch:s2=2 me:1, ch:s3=2"},
		"others are in flight":        {2, func(t *testing.T, sc *scene) { sc.Ready(t); read(t, sc.Store) }, 10, []string{"s a", "s b", "s2 a", "s2 b"}, "ch:s=3 me:3, ch:s2=2 me:2, ch:s3=2"},
		"another one is READY":        {2, func(t *testing.T, sc *scene) { sc.Ready(t) }, 10, []string{"s2 a", "s2 b"}, "ch:s=3, ch:s2=2 me:2, ch:s3=2"},
		"one is READY, one in flight": {2, func(t *testing.T, sc *scene) { sc.Ready(t); read(t, sc.Store); sc.Ready(t) }, 10, []string{"s2 a", "s2 b"}, "ch:s=4 me:1, ch:s2=2 me:2, ch:s3=2"},
		"one is new":                  {2, func(_ *testing.T, sc *scene) { sc.Client.Del(sc.Ctx, "medis:{0}:ch:s") }, 10, []string{"s a", "s b", "s2 a", "s2 b"}, "ch:s=2 me:2, ch:s2=2 me:2, ch:s3=2"},
		"one lost its group": {2, func(_ *testing.T, sc *scene) {
			sc.Client.SAdd(sc.Ctx, "medis:{0}:active", "s", "s2", "s3")
			sc.Client.Del(sc.Ctx, "medis:{0}:ch:s")
		}, 10, []string{"s2 a", "s2 b"}, "ch:s=2, ch:s2=2 me:2, ch:s3=2"},
		"one is of a wrong type":        {2, func(_ *testing.T, sc *scene) { sc.Client.Set(sc.Ctx, "medis:{0}:ch:s", "x", 0) }, 10, []string{"s2 a", "s2 b"}, "ch:s=set, ch:s2=2 me:2, ch:s3=2"},
		"the second is of a wrong type": {2, func(_ *testing.T, sc *scene) { sc.Client.Set(sc.Ctx, "medis:{0}:ch:s2", "x", 0) }, 10, []string{"s a", "s b"}, "ch:s=2 me:2, ch:s2=set, ch:s3=2"},
	}
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				env.Flush(t)
				sc := newScene(t, env)
				sc.Store.WriteLayout(c.layout)
				subs := []string{"s", "s2", "s3"}
				for _, sub := range subs {
					check(t, sc.Client.XGroupCreateMkStream(sc.Ctx, "medis:{0}:ch:"+sub, "push", "0").Err())
				}
				if c.before != nil {
					c.before(t, sc)
				}
				var routings []streams.Routing
				for _, body := range []string{"a", "b"} {
					m := message("a.b")
					m.Body = []byte(body)
					routings = append(routings, streams.Routing{EntryID: sc.Incoming(t, "topic", "a.b", "body", body), Message: m, Subs: subs})
				}
				hand := []medispatcher.Want{
					{Channel: channelS, Max: c.most}, {Channel: medispatcher.Channel{Subscription: "s2"}, Max: c.most},
					{Channel: medispatcher.Channel{Subscription: "not copied to"}, Max: c.most},
				}
				routed, taken, err := sc.Store.FanoutHand(sc.Ctx, 0, streams.RoutedBy{}, routings, hand)
				check(t, err)
				for _, r := range routed {
					if r.Result != streams.RoutedCopied {
						t.Errorf("%+v", routed)
					}
				}
				var got []string
				for _, d := range taken {
					got = append(got, d.Subscription+" "+string(d.Message.Body))
					if d.Attempt != 1 || d.Message.Topic != "a.b" || !d.Message.Generated {
						t.Errorf("%+v", d)
					}
				}
				if !reflect.DeepEqual(got, c.want) {
					t.Errorf("taken %v; it should be %v", got, c.want)
				}
				if state := sc.State(t); !strings.Contains(state, c.state) {
					t.Errorf("state %s; it should hold %s", state, c.state)
				}
				for _, d := range taken { // they settle like any other
					n := must[int64](t)(sc.Store.Delete(sc.Ctx, 0, []medispatcher.Settlement{{Channel: d.Channel, EntryID: d.EntryID, Outcome: medispatcher.Sent, Attempt: 1}}))
					if n != 1 {
						t.Errorf("%d settled", n)
					}
				}
			})
		}
	})
}

// TestFanoutHandSame: a copy that a step takes does not come back from Redis, and is the same as one that is read.
func TestFanoutHandSame(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for _, layout := range []int{1, 2} {
			for name, values := range map[string][]any{
				"plain":            {"body", "x"},
				"empty":            {"body", ""},
				"bytes":            {"body", "a\x00\r\n\n\xffz"},
				"all fields":       {"body", "x", "id", "mine", "sender", "me", "key", "k", "type", "text/plain", "headers", `{"a":"b"}`, "time", "1700000000000"},
				"a body that lies": {"body", "topic other\nid other\n\nx", "key", "k"},
				"a field twice":    {"body", "x", "key", "a", "body", "y", "key", "b"},
				"a large body":     {"body", strings.Repeat("x", 300_000)},
			} {
				env.Flush(t)
				sc := newScene(t, env)
				sc.Store.WriteLayout(layout)
				other := medispatcher.Channel{Subscription: "s2"}
				for _, c := range []medispatcher.Channel{channelS, other} {
					check(t, sc.Client.XGroupCreateMkStream(sc.Ctx, "medis:{0}:ch:"+c.Subscription, "push", "0").Err())
				}
				id := sc.Incoming(t, append([]any{"topic", "a.b"}, values...)...)
				f := medispatcher.EntryValues{Topic: "a.b"}
				for i := 0; i < len(values); i += 2 {
					f.Set(values[i].(string), values[i+1].(string))
				}
				m := must[medispatcher.Message](t)(f.Checked(time.UnixMilli(1_600_000_000_000)))
				_, taken, err := sc.Store.FanoutHand(sc.Ctx, 0, streams.RoutedBy{}, []streams.Routing{{EntryID: id, Message: m, Subs: []string{"s", "s2"}}}, []medispatcher.Want{{Channel: channelS, Max: 1}})
				check(t, err)
				got := must[[]medispatcher.Delivery](t)(sc.Store.Read(sc.Ctx, []medispatcher.Want{{Channel: other, Max: 1}}))
				if len(taken) != 1 || len(got) != 1 {
					t.Fatal(name, taken, got)
				}
				taken[0].Channel, taken[0].EntryID = got[0].Channel, got[0].EntryID
				if !reflect.DeepEqual(taken, got) {
					t.Errorf("%s in layout %d: taken %+v, read %+v", name, layout, taken, got)
				}
			}
		}
	})
}

// TestFanoutHandReplyLost: messages that were taken with a lost reply are found as after any read.
func TestFanoutHandReplyLost(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		check(t, sc.Client.XGroupCreateMkStream(sc.Ctx, "medis:{0}:ch:s", "push", "0").Err())
		id := sc.Incoming(t, "topic", "a.b", "body", "x")
		check(t, fanout(sc, streams.Routing{EntryID: "0-1", Message: message("a.b"), Subs: []string{"s"}})) // loads the script
		step := func() ([]streams.Routed, []medispatcher.Delivery, error) {
			return sc.Store.FanoutHand(sc.Ctx, 0, streams.RoutedBy{}, []streams.Routing{{EntryID: id, Message: message("a.b"), Subs: []string{"s"}}}, []medispatcher.Want{{Channel: channelS, Max: 1}})
		}
		sc.Faults.Next(streamstest.After, 1, "evalsha")
		routed, taken, err := step()
		if !errors.Is(err, streamstest.ErrInjected) || routed != nil || taken != nil {
			t.Fatal(routed, taken, err)
		}
		if mine := must[[]string](t)(streamstest.Mine(sc.Ctx, sc.Store, channelS, 10)); len(mine) != 1 {
			t.Errorf("it owns %v", mine)
		}
		routed, taken, err = step()
		if err != nil || routed[0].Result != streams.RoutedGone || len(taken) > 0 {
			t.Error(routed, taken, err)
		}
	})
}

// TestWorkerHandsOver: a worker offers the copies of a step, and rings for those that were not taken.
func TestWorkerHandsOver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entries, size int
		take          map[string]int // of each message, by subscription
		offered, took int
		ready         string // for the first step
	}{
		"all of it":  {1, 10, map[string]int{"s00000": 1, "s00001": 1}, 2, 2, "[]"},
		"one of two": {1, 10, map[string]int{"s00001": 1}, 2, 1, "[s00000]"},
		"nothing":    {1, 10, nil, 2, 0, "[s00000 s00001]"},
		"a part":     {3, 10, map[string]int{"s00000": 3, "s00001": 2}, 6, 5, "[s00001]"},
		"many":       {20, 10, map[string]int{"s00000": 20}, 40, 20, "[s00001]"},
		"large ones": {3, 150_000, map[string]int{"s00000": 3}, 6, 3, "[s00001]"},
	} {
		t.Run(name, func(t *testing.T) {
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				sc := newScene(t, env)
				registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
				for _, sub := range wanted(t, sc, registry, 2) {
					check(t, sc.Client.XGroupCreateMkStream(sc.Ctx, "medis:{0}:ch:"+sub, "push", "0").Err())
				}
				_, err := sc.Store.ReadIncoming(sc.Ctx, 0, 1, true) // creates the group
				check(t, err)
				pipe := sc.Client.TxPipeline()
				for range c.entries {
					pipe.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "t", "body", strings.Repeat("x", c.size)}})
				}
				_, err = pipe.Exec(sc.Ctx)
				check(t, err)

				ctx, cancel := context.WithTimeout(sc.Ctx, time.Minute)
				defer cancel()
				offered, took, calls, left := 0, 0, 0, c.entries
				var ready []string
				w := &streams.FanoutWorker{
					Store: sc.Store, Registry: registry, MaxBody: 1 << 20, Log: slog.New(slog.DiscardHandler),
					Events: streams.FanoutEvents{
						Hand: func(copies []medispatcher.Want, largest int) (wants []medispatcher.Want, _ func([]medispatcher.Delivery, error)) {
							if largest != c.size {
								t.Errorf("the largest body has %d bytes", largest)
							}
							for _, w := range copies {
								offered += w.Max
								if w.Max = c.take[w.Subscription]; w.Max > 0 {
									wants = append(wants, w)
								}
							}
							return wants, func(got []medispatcher.Delivery, err error) { took, calls = took+len(got), calls+1; check(t, err) }
						},
						Ready: func(_ int, subs []string) { ready = append(ready, subs...) },
						Routed: func(int, medispatcher.Message, streams.Routed, []string) {
							if left--; left == 0 {
								cancel()
							}
						},
					},
				}
				check(t, w.Run(ctx))
				if offered != c.offered || took != c.took || fmt.Sprint(ready) != c.ready || calls > 1 {
					t.Errorf("offered %d, took %d in %d calls, rang for %v; it should be %d, %d and %s", offered, took, calls, ready, c.offered, c.took, c.ready)
				}
			})
		})
	}
}
