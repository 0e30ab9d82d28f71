package streams_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestDelayedKeepTheirOrder: delayed messages that came in the same millisecond, and are due in the same one, are released in the order in which
// they came. Ids of entries are numbers, though a sorted set compares them as texts.
func TestDelayedKeepTheirOrder(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		due := time.Now().Add(-time.Minute)
		var routings []streams.Routing
		var want, got []string
		for seq := range 120 { // more than are released at once
			id := fmt.Sprintf("%d-%d", due.Add(-time.Second).UnixMilli(), seq+1)
			check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", ID: id, Values: []any{"topic", "a.b", "body", "x", "delay", "1000"}}).Err())
			routings, want = append(routings, streams.Routing{EntryID: id, Message: message("a.b"), Due: due}), append(want, id)
		}
		must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 1, true)) // creates the group
		for n := 0; n < len(want); {
			n += len(must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, len(want), false)))
		}
		_, err := sc.Store.Fanout(sc.Ctx, 0, routings)
		check(t, err)
		for len(got) < len(want) {
			moved, next, err := sc.Store.ReleaseDelayed(sc.Ctx, 0, 50)
			check(t, err)
			for _, e := range sc.Client.XRange(sc.Ctx, "medis:{0}:incoming", "-", "+").Val() {
				got = append(got, fmt.Sprint(e.Values["~released"]))
			}
			check(t, sc.Client.XTrimMaxLen(sc.Ctx, "medis:{0}:incoming", 0).Err())
			if moved == 0 {
				t.Fatalf("%d released, the next in %s", len(got), next)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("released in the order %v", got)
		}
	})
}

// TestDelayedInItsMillisecond: messages are due in the whole millisecond, whatever their place in it.
func TestDelayedInItsMillisecond(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	due := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	env.Mini.SetTime(due)
	sc := newScene(t, env)
	sc.Store.UseMonotonic(func() time.Duration { return 0 }) // the clock stands still
	var routings []streams.Routing
	for _, seq := range []int{1, 4000} {
		id := fmt.Sprintf("%d-%d", due.Add(-time.Second).UnixMilli(), seq)
		check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", ID: id, Values: []any{"topic", "a.b", "body", "x", "delay", "1000"}}).Err())
		routings = append(routings, streams.Routing{EntryID: id, Message: message("a.b"), Due: due})
	}
	must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 1, true)) // creates the group
	must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 2, false))
	check(t, second(sc.Store.Fanout(sc.Ctx, 0, routings)))
	if moved, next, err := sc.Store.ReleaseDelayed(sc.Ctx, 0, 10); moved != 2 || err != nil {
		t.Errorf("%d released, the next in %s, %v", moved, next, err)
	}
}
