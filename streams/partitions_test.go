package streams_test

import (
	"errors"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestPartitionsAreNoted: heartbeats raise the number of partitions and never lower it. A lost one is written again from what
// a dispatcher works on.
func TestPartitionsAreNoted(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		const key = "medis:partitions:{medis:dispatchers}"
		open := func(id string, works, spread int) *streams.Store {
			cfg := env.Config(id)
			cfg.Partitions, cfg.Spread = works, spread
			return env.Open(t, cfg)
		}
		beat := func(s *streams.Store, noted string, known int) {
			t.Helper()
			check(t, s.Heartbeat(sc.Ctx, medispatcher.Dispatcher{DeadAfter: time.Minute}))
			if got := sc.Client.Get(sc.Ctx, key).Val(); got != noted || s.Partitions() != known {
				t.Errorf("noted are %s, known %d; want %s and %d", got, s.Partitions(), noted, known)
			}
		}
		two, four, lowered := open("two", 2, 2), open("four", 4, 4), open("lowered", 4, 2)
		beat(two, "2", 2)
		beat(four, "4", 4)
		beat(two, "4", 4)
		beat(lowered, "4", 4)
		looker := open("looker", 1, 1)
		if n := must[int](t)(looker.LearnPartitions(sc.Ctx)); n != 4 || looker.Partitions() != 4 {
			t.Errorf("learned %d, known %d", n, looker.Partitions())
		}

		check(t, sc.Client.Del(sc.Ctx, key).Err()) // Redis lost it while the number is being lowered
		beat(lowered, "4", 4)
		check(t, sc.Client.Del(sc.Ctx, key).Err())
		check(t, sc.Client.RPush(sc.Ctx, key, "x").Err()) // or somebody wrote it by hand
		beat(lowered, "4", 4)
		check(t, sc.Client.Set(sc.Ctx, key, "1000000000", 0).Err())
		if n := must[int](t)(open("another", 1, 1).LearnPartitions(sc.Ctx)); n != 1 {
			t.Errorf("%d partitions are impossible", n)
		}

		check(t, sc.Client.Set(sc.Ctx, key, "4", 0).Err())
		if err := looker.ForgetPartitions(sc.Ctx, 8, 2); !errors.Is(err, medispatcher.ErrConflict) {
			t.Errorf("forgot although there are not 8: %v", err)
		}
		check(t, looker.ForgetPartitions(sc.Ctx, 4, 2))
		beat(lowered, "2", 4) // it still works on those it began with
		beat(two, "2", 2)
	})
}

// TestSpread: new messages go to the partitions that are spread over alone, and all are looked at.
func TestSpread(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		cfg := env.Config("lowered")
		cfg.Partitions, cfg.Spread = 4, 2
		s := env.Open(t, cfg)
		for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
			m := message("t")
			m.Key = key
			must[string](t)(s.Publish(sc.Ctx, m))
		}
		if n := sc.Client.XLen(sc.Ctx, "medis:{0}:incoming").Val() + sc.Client.XLen(sc.Ctx, "medis:{1}:incoming").Val(); n != 6 {
			t.Errorf("%d messages in the first two partitions, want 6", n)
		}
		sc.add(t, "medis:{3}:ch:s", 1)
		sc.add(t, "medis:{3}:dead:s", 2)
		held := must[medispatcher.PartitionHeld](t)(s.PartitionHeld(sc.Ctx, 3, []string{"s", "t"}))
		if held != (medispatcher.PartitionHeld{Partition: 3, Messages: 1, Dead: 2}) {
			t.Errorf("%+v", held)
		}
		if st := must[medispatcher.ChannelStatus](t)(s.Discard(sc.Ctx, "s", true)); st.Ready != 1 || st.Dead != 2 {
			t.Errorf("discarded %+v", st)
		}
		if held := must[medispatcher.PartitionHeld](t)(s.PartitionHeld(sc.Ctx, 3, []string{"s"})); !held.Empty() {
			t.Errorf("left %+v", held)
		}
	})
}
