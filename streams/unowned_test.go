package streams_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// fill writes n entries with that body into the channel of "s", and lets "me" read them.
func (sc *scene) fill(t *testing.T, n, body int) (ids []string) {
	t.Helper()
	read(t, sc.Store) // creates the group
	text := strings.Repeat("x", body)
	for range n {
		id, err := sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:ch:s", Values: []any{"topic", "a.b", "body", text, "~src", "1-1"}}).Result()
		check(t, err)
		ids = append(ids, id)
	}
	for left := n; left > 0; {
		got := must[[]medispatcher.Delivery](t)(sc.Store.Read(sc.Ctx, []medispatcher.Want{{Channel: channelS, Max: min(left, 20)}}))
		left -= len(got)
	}
	return ids
}

// due takes the messages that are due now or within a time for "me". It lists their ids and attempts.
func (sc *scene) due(t *testing.T) map[string]int {
	t.Helper()
	due := map[string]int{}
	for {
		got, _, err := sc.Store.Due(sc.Ctx, 0, []medispatcher.Want{{Channel: channelS, Max: 500}})
		check(t, err)
		if len(got) == 0 {
			return due
		}
		for _, d := range got {
			due[d.EntryID] = d.Attempt
		}
	}
}

// TestUnownedAmongMany: every entry that lost its owner is found, wherever it is, and no other entry.
func TestUnownedAmongMany(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		ids := sc.fill(t, 1000, 10)
		var lost []string
		for i, id := range ids {
			if i < 30 || i%7 == 0 || i > 600 && i < 900 || i > 990 {
				lost = append(lost, id)
			}
		}
		check(t, sc.Client.XAck(sc.Ctx, "medis:{0}:ch:s", "push", lost...).Err())
		for range 5 { // unread entries do not count
			check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:ch:s", Values: []any{"topic", "a.b"}}).Err())
		}
		if n := must[int](t)(sc.Store.Unowned(sc.Ctx, channelS, true)); n != len(lost) {
			t.Errorf("%d would be given back; it should be %d", n, len(lost))
		}
		if n := sc.Client.ZCard(sc.Ctx, "medis:{0}:retry:s").Val(); n != 0 {
			t.Errorf("a dry run changed something: %d due times", n)
		}
		if n := must[int](t)(sc.Store.Unowned(sc.Ctx, channelS, false)); n != len(lost) {
			t.Errorf("%d were given back; it should be %d", n, len(lost))
		}
		given := sc.Client.ZRange(sc.Ctx, "medis:{0}:retry:s", 0, -1).Val()
		slices.SortFunc(given, byEntry)
		if !slices.Equal(given, lost) {
			t.Errorf("given back: %v; it should be %v", given, lost)
		}
		if n := must[int](t)(sc.Store.Unowned(sc.Ctx, channelS, false)); n != 0 {
			t.Errorf("%d were given back again", n)
		}
	})
}

// TestUnownedWithLargeBodies: a step ends when it has copied enough, and the next one continues there.
func TestUnownedWithLargeBodies(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		ids := sc.fill(t, 20, 400_000)
		check(t, sc.Client.XAck(sc.Ctx, "medis:{0}:ch:s", "push", ids[1:19]...).Err())
		if n := must[int](t)(sc.Store.Unowned(sc.Ctx, channelS, false)); n != 18 {
			t.Errorf("%d were given back; it should be 18", n)
		}
	})
}

// TestUnownedAttempts: a message continues with its next attempt, at its due time. A message without a
// due time may be in flight. If that attempt succeeds, the message is not delivered again.
func TestUnownedAttempts(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		ids := sc.fill(t, 4, 10)
		failed := settlement(ids[0], medispatcher.Failed)
		failed[0].Delay = 0
		check(t, sc.Store.Retry(sc.Ctx, 0, failed))
		check(t, sc.Store.Retry(sc.Ctx, 0, settlement(ids[1], medispatcher.Failed))) // in an hour
		check(t, sc.Client.XAck(sc.Ctx, "medis:{0}:ch:s", "push", ids...).Err())
		if n := must[int](t)(sc.Store.Unowned(sc.Ctx, channelS, false)); n != 4 {
			t.Fatalf("%d were given back; it should be 4", n)
		}
		if got := fmt.Sprint(sc.due(t)); got != fmt.Sprint(map[string]int{ids[0]: 2}) {
			t.Errorf("due: %s; it should be %s alone, attempt 2", got, ids[0])
		}
		check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(ids[2], medispatcher.Sent))))
		if n := must[int](t)(sc.Store.Orphans(sc.Ctx, channelS, true, false)); n != 2 {
			t.Errorf("%d wait; it should be 2", n)
		}
		if got := fmt.Sprint(sc.due(t)); got != fmt.Sprint(map[string]int{ids[1]: 2, ids[3]: 1}) {
			t.Errorf("due after all: %s", got)
		}
	})
}

// TestUnownedAfterAGroupWasMovedOn: entries that XGROUP SETID, or DESTROY and CREATE at $, skipped.
func TestUnownedAfterAGroupWasMovedOn(t *testing.T) {
	t.Parallel()
	for name, hand := range map[string][][]any{
		"SETID":                     {{"XGROUP", "SETID", "medis:{0}:ch:s", "push", "$"}},
		"SETID into the future":     {{"XGROUP", "SETID", "medis:{0}:ch:s", "push", "99999999999999-0"}},
		"SETID to the last id":      {{"XGROUP", "SETID", "medis:{0}:ch:s", "push", "18446744073709551615-18446744073709551615"}},
		"DESTROY, and CREATE at $":  {{"XGROUP", "DESTROY", "medis:{0}:ch:s", "push"}, {"XGROUP", "CREATE", "medis:{0}:ch:s", "push", "$"}},
		"DESTROY, and CREATE there": {{"XGROUP", "DESTROY", "medis:{0}:ch:s", "push"}, {"XGROUP", "CREATE", "medis:{0}:ch:s", "push", "99999999999999-0"}},
	} {
		t.Run(name, func(t *testing.T) {
			sc := newScene(t, streamstest.Real(t)) // miniredis has no SETID
			sc.fill(t, 2, 10)
			add := func(n int) {
				for range n {
					check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:ch:s", Values: []any{"topic", "a.b"}}).Err())
				}
			}
			add(500)
			for _, command := range hand {
				check(t, sc.Client.Do(sc.Ctx, command...).Err())
			}
			n := must[int](t)(sc.Store.Unowned(sc.Ctx, channelS, false))
			if want := map[bool]int{true: 502, false: 500}[len(hand) == 2]; n != want {
				t.Errorf("%d were given back; it should be %d", n, want)
			}
			// New entries are read as usual.
			add(3)
			if got := must[[]medispatcher.Delivery](t)(sc.Store.Read(sc.Ctx, []medispatcher.Want{{Channel: channelS, Max: 10}})); len(got) != 3 {
				t.Errorf("%d new ones were read; it should be 3", len(got))
			}
		})
	}
}

// TestUnownedIncoming: this process becomes their owner, and its fan-out moves them. If amender gives
// them back, the fan-out of any dispatcher does.
func TestUnownedIncoming(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		var ids []string
		for range 3 {
			ids = append(ids, sc.Incoming(t, "topic", "a.b", "body", "x"))
		}
		check(t, sc.Client.XAck(sc.Ctx, "medis:{0}:incoming", "fanout", ids[:2]...).Err())
		// The dispatcher has it in hand, but nobody owns it.
		routed := must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: ids[0], Message: message("a.b"), Subs: []string{"s"}}}))
		if routed[0].Result != streams.RoutedGone {
			t.Errorf("moved although nobody owns it: %+v", routed)
		}
		if n := must[int](t)(sc.Store.UnownedIncoming(sc.Ctx, 0, true, false)); n != 2 {
			t.Errorf("%d were given back; it should be 2", n)
		}
		if own := must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 10, true)); len(own) != 3 {
			t.Errorf("it owns %d; it should be 3", len(own))
		}
		check(t, sc.Client.XGroupDelConsumer(sc.Ctx, "medis:{0}:incoming", "fanout", "me").Err())
		if n := must[int](t)(sc.Store.UnownedIncoming(sc.Ctx, 0, false, false)); n != 3 {
			t.Errorf("%d were given back; it should be 3", n)
		}
		if moved, _, err := sc.Store.GiveBackIncoming(sc.Ctx, 0, "~buried", 10, true); err != nil || moved != 3 {
			t.Errorf("%d moved, %v", moved, err)
		}
	})
}
