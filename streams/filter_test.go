package streams_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/internal/filter"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestFilters: a message is copied to the subscriptions whose filters match or fail, also right after a filter was
// changed. One that all filters refuse is not among the unrouted messages.
func TestFilters(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		registry := streams.NewRegistry(sc.Store, filter.In(streamstest.Rules()), func(_, problem string) { t.Error(problem) })
		type routed struct {
			id, result, verdicts string
		}
		told := make(chan routed, 10)
		failed := make(chan string, 100)
		w := &streams.FanoutWorker{
			Store: sc.Store, Registry: registry, MaxBody: 1000, Log: slog.New(slog.DiscardHandler),
			Events: streams.FanoutEvents{
				Ready: func(int, []string) {},
				FilterFailed: func(m *medispatcher.Message, sub string, err error) {
					failed <- fmt.Sprint(m.ID, " ", sub, ": ", err)
				},
				Unroutable: func(int, streams.Entry, medispatcher.Message) { t.Error("a message is unroutable") },
				Routed: func(_ int, m medispatcher.Message, r streams.Routed, _ []string) {
					var verdicts []string
					for i, v := range r.Verdicts {
						verdicts = append(verdicts, fmt.Sprint(r.Wanted[i], "=", v))
					}
					told <- routed{m.ID, string(r.Result), strings.Join(verdicts, " ")}
				},
			},
		}
		put(t, registry, "large", `{"topic":"order.*","urls":["http://h/"],"filter":"body.total > 100"}`)
		put(t, registry, "german", `{"topic":"order.>","urls":["http://h/"],"filter":"headers['country'] == 'DE'"}`)
		put(t, registry, "vip", `{"topic":"vip","urls":["http://h/"],"filter":"key == 'vip'"}`)
		// A dispatcher of a later version may have stored an expression that this one cannot read.
		check(t, sc.Client.HSet(sc.Ctx, "medis:subscriptions", "later", `{"topic":"later","urls":["http://h/"],"filter":"body.later(1)"}`).Err())

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		send := func(want routed, values ...any) {
			t.Helper()
			values = append(values, "id", want.id)
			check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: values}).Err())
			if got := <-told; got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		}
		send(routed{"1", "copied", "german=1 large=0"}, "topic", "order.paid", "body", `{"total":150.5}`, "headers", `{"country":"FR"}`)
		send(routed{"2", "copied", "german=0 large=1"}, "topic", "order.paid", "body", `{"total":5}`, "headers", `{"country":"DE"}`)
		send(routed{"3", "filtered", "german=1 large=1"}, "topic", "order.paid", "body", `{"total":5}`, "headers", `{"country":"FR"}`)
		send(routed{"4", "copied", "german=1 large=2"}, "topic", "order.paid", "body", `total`, "headers", `{"country":"FR"}`)
		send(routed{"5", "copied", "later=2"}, "topic", "later", "body", `{}`)
		put(t, registry, "vip", `{"topic":"vip","urls":["http://h/"],"filter":"key == 'other'"}`)
		send(routed{"6", "filtered", "vip=1"}, "topic", "vip", "body", `{}`, "key", "vip")
		put(t, registry, "vip", `{"topic":"vip","urls":["http://h/"]}`)
		send(routed{"7", "copied", ""}, "topic", "vip", "body", `{}`, "key", "vip")
		unnamed := must[string](t)(sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "later", "body", `{}`}}).Result())
		<-told
		cancel()
		check(t, <-done)

		copies := map[string]int64{}
		for _, sub := range []string{"large", "german", "vip", "later"} {
			copies[sub] = sc.Client.XLen(sc.Ctx, "medis:{0}:ch:"+sub).Val()
		}
		if want := map[string]int64{"large": 2, "german": 1, "vip": 1, "later": 2}; !maps.Equal(copies, want) {
			t.Errorf("copies %v, want %v", copies, want)
		}
		close(failed)
		var problems []string
		for problem := range failed {
			problems = append(problems, problem)
		}
		problems = slices.Compact(problems) // a repeated step asks again
		if len(problems) != 3 || !strings.HasPrefix(problems[0], "4 large: no such key: total") || !strings.HasPrefix(problems[1], "5 later: line 1, column 11: ") ||
			!strings.HasPrefix(problems[2], "0-"+unnamed+" later: ") {
			t.Errorf("failed: %q", problems)
		}
		if n := sc.Client.XLen(sc.Ctx, "medis:{0}:incoming").Val() + sc.Client.XLen(sc.Ctx, "medis:{0}:unrouted").Val(); n != 0 {
			t.Errorf("%d messages are incoming or unrouted", n)
		}
	})
}

// TestFilterCounts: what filters did is counted in steps that are small.
func TestFilterCounts(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		counts := map[string]streams.FilterCounts{}
		for i := range 450 {
			counts[fmt.Sprint("s", i)] = streams.FilterCounts{Filtered: 2, Failed: int64(i % 2)}
		}
		check(t, sc.Store.AddFilterCounts(sc.Ctx, 0, counts))
		check(t, sc.Store.AddFilterCounts(sc.Ctx, 0, counts))
		check(t, sc.Store.AddFilterCounts(sc.Ctx, 0, nil))
		totals := sc.Client.HGetAll(sc.Ctx, "medis:stats:{0}:total").Val()
		if totals["filtered:s1"] != "4" || totals["filter_failed:s1"] != "2" || totals["filter_failed:s2"] != "" || totals["filtered:"] != "1800" {
			t.Errorf("totals: %s %s %s %s", totals["filtered:s1"], totals["filter_failed:s1"], totals["filter_failed:s2"], totals["filtered:"])
		}
	})
}
