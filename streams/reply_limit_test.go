package streams_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestFanoutBesideAReplyLimit: where Redis closes connections whose answers are long, entries are read a few at a time.
func TestFanoutBesideAReplyLimit(t *testing.T) {
	t.Parallel()
	sc := limited(t)
	registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
	wanted(t, sc, registry, 1)
	const entries = 24
	for range entries {
		check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "t", "body", strings.Repeat("x", 200_000)}}).Err())
	}
	ctx, cancel := context.WithTimeout(sc.Ctx, time.Minute)
	defer cancel()
	var moved atomic.Int64
	w := &streams.FanoutWorker{
		Store: sc.Store, Registry: registry, MaxBody: 1 << 20, Log: slog.New(slog.DiscardHandler),
		Events: streams.FanoutEvents{
			Ready: func(int, []string) {},
			Routed: func(int, medispatcher.Message, streams.Routed, []string) {
				if moved.Add(1) == entries {
					cancel()
				}
			},
		},
	}
	check(t, w.Run(ctx))
	if n := moved.Load(); n != entries {
		t.Errorf("%d of %d entries were moved", n, entries)
	}
}

// limited is a scene beside a Redis that closes connections whose answers are longer than a megabyte.
func limited(t *testing.T) *scene {
	t.Helper()
	return newScene(t, streamstest.Real(t, "--client-output-buffer-limit", "normal 1000000 0 0 replica 0 0 0 pubsub 0 0 0"))
}

// large writes copies with large bodies into a stream.
func large(t *testing.T, sc *scene, stream string, n, size int) {
	t.Helper()
	for i := range n {
		values := []any{"topic", "t", "body", strings.Repeat("x", size), "~src", fmt.Sprintf("%d-1", i+1)}
		check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: stream, Values: values}).Err())
	}
}

// takenBy gives all copies of the channel to a consumer.
func takenBy(t *testing.T, sc *scene, consumer string) {
	t.Helper()
	check(t, sc.Client.XGroupCreate(sc.Ctx, "medis:{0}:ch:s", "push", "0").Err())
	check(t, sc.Client.Eval(sc.Ctx, `redis.call('XREADGROUP', 'GROUP', 'push', ARGV[1], 'STREAMS', KEYS[1], '>') return 1`,
		[]string{"medis:{0}:ch:s"}, consumer).Err())
}

// TestReadsBesideAReplyLimit: where Redis closes connections whose answers are long, reads of messages become as small as they must.
func TestReadsBesideAReplyLimit(t *testing.T) {
	t.Parallel()
	const n, size = 96, 300_000
	for _, runs := range []bool{false, true} {
		t.Run(fmt.Sprint("new, with runs: ", runs), func(t *testing.T) {
			t.Parallel()
			sc := limited(t)
			large(t, sc, "medis:{0}:ch:s", n, size)
			brought, failed := 0, 0
			for more := true; more && failed < 16; {
				got, err := sc.Store.Read(sc.Ctx, []medispatcher.Want{{Channel: channelS, Max: 16, Runs: runs}, {Channel: medispatcher.Channel{Subscription: "idle"}, Max: 3}})
				if err != nil && !errors.Is(err, medispatcher.ErrGroupCreated) {
					failed++
					time.Sleep(2 * streams.CutTogether) // callers wait, too
				}
				brought += len(got)
				more = err != nil || len(got) == 16
			}
			if brought < n/2 || failed > 4 {
				t.Errorf("%d of %d messages came through beside %d reads that failed", brought, n, failed)
			}
		})
	}
	t.Run("due", func(t *testing.T) {
		t.Parallel()
		sc := limited(t)
		const n = 8 // two are too many
		large(t, sc, "medis:{0}:ch:s", n, 600_000)
		takenBy(t, sc, "gone")
		must[int](t)(first(sc.Store.GiveBack(sc.Ctx, channelS, "gone", n)))
		for brought, failed := map[string]bool{}, 0; len(brought) < n; {
			got, _, err := sc.Store.Due(sc.Ctx, 0, []medispatcher.Want{{Channel: channelS, Max: 16}})
			for _, d := range got {
				brought[d.EntryID] = true
			}
			if err == nil {
				continue
			}
			if failed++; failed > 4 {
				t.Fatalf("%d of %d messages came through: %v", len(brought), n, err)
			}
			time.Sleep(2 * streams.CutTogether)
			mine := must[[]string](t)(streamstest.Mine(sc.Ctx, sc.Store, channelS, n))
			mine = slices.DeleteFunc(mine, func(id string) bool { return brought[id] })
			check(t, sc.Store.Release(sc.Ctx, channelS, mine, false))
		}
	})
	t.Run("pending", func(t *testing.T) {
		t.Parallel()
		sc := limited(t)
		large(t, sc, "medis:{0}:ch:s", n, size)
		takenBy(t, sc, "gone")
		brought := 0
		check(t, sc.Store.EachPending(sc.Ctx, channelS, "gone", func(string) bool { return true }, func(medispatcher.Delivery) bool {
			brought++
			return true
		}))
		if brought != n {
			t.Errorf("%d of %d messages came through", brought, n)
		}
	})
	t.Run("dead letters", func(t *testing.T) {
		t.Parallel()
		sc := limited(t)
		large(t, sc, "medis:{0}:dead:s", 20, 10) // the next read asks for many of this size
		large(t, sc, "medis:{0}:dead:s", n, size)
		if got := must[[]medispatcher.DeadLetter](t)(sc.Store.DeadLetters(sc.Ctx, "s", "", n+20)); len(got) != n+20 {
			t.Errorf("%d of %d letters came through", len(got), n+20)
		}
	})
	t.Run("parked", func(t *testing.T) {
		t.Parallel()
		sc := limited(t)
		const list = "medis:recover:l"
		for i := range n {
			check(t, sc.Client.RPush(sc.Ctx, list, fmt.Sprintf("%02d %s", i, strings.Repeat("x", size))).Err())
		}
		lists := streams.NewRecoverLists(sc.Store)
		for brought, failed := 0, 0; brought < n; {
			items, err := lists.Take(sc.Ctx, list, 128, 4<<20)
			if err != nil {
				time.Sleep(2 * streams.CutTogether)
			}
			if failed++; err != nil && failed > 8 {
				t.Fatalf("%d of %d items came through: %v", brought, n, err)
			}
			var tokens []string
			for _, item := range items {
				if want := fmt.Sprintf("%02d ", brought); !strings.HasPrefix(item.Text, want) {
					t.Fatalf("item %.10q, want %q", item.Text, want)
				}
				brought, tokens, failed = brought+1, append(tokens, item.Token), 0
			}
			if len(tokens) > 0 {
				check(t, lists.Drop(sc.Ctx, list, tokens))
			}
		}
	})
}

func first[T any](v T, _ bool, err error) (T, error) { return v, err }
