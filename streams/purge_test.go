package streams_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// add appends n entries to a stream: a channel of "s", or its dead letters.
func (sc *scene) add(t *testing.T, key string, n int) {
	t.Helper()
	for range n {
		check(t, sc.Client.Do(sc.Ctx, "XADD", key, "*", "topic", "a", "body", "x", "~src", "1-1").Err())
	}
}

// full makes Redis refuse commands that need memory. It reports whether this Redis can.
func (sc *scene) full(t *testing.T) bool {
	t.Helper()
	if sc.Server == nil {
		return false
	}
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "1").Err())
	return true
}

func TestPurge(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 2
		sc := newSceneOf(t, env, cfg)
		purge := func(want string) {
			t.Helper()
			ready, buried, err := sc.Store.Purge(sc.Ctx, "s")
			if got := fmt.Sprint(ready, buried, err); got != want {
				t.Errorf("purged %s, want %s", got, want)
			}
		}
		purge("0 0 <nil>")
		if got := sc.Client.Keys(sc.Ctx, "*").Val(); len(got) > 0 {
			t.Errorf("purging nothing created %v", got)
		}
		sc.add(t, "medis:{0}:ch:s", 3)
		sc.add(t, "medis:{1}:ch:s", 5) // has no group yet
		sc.add(t, "medis:{0}:dead:s", 2)
		check(t, sc.Client.XGroupCreate(sc.Ctx, "medis:{0}:ch:s", "push", "0").Err())
		check(t, second(sc.Store.Read(sc.Ctx, []medispatcher.Want{{Channel: channelS, Max: 1}})))
		purge("7 1 <nil>")
		purge("0 0 <nil>")
		if n := sc.Client.XLen(sc.Ctx, "medis:{0}:dead:s").Val(); n != 2 {
			t.Errorf("%d dead letters are left, want 2", n)
		}
		if n := must[map[string]int64](t)(report.New(sc.Store).Counts(sc.Ctx))["purged:s"]; n != 8 {
			t.Errorf("%d counted, want 8", n)
		}
	})
}

// TestPurgeKeepsIDsRising: an entry added after a purge must not get the id of an entry in flight, even
// if the clock was set back.
func TestPurgeKeepsIDsRising(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		const future = "99999999999999-7" // by a clock that was set back since
		check(t, sc.Client.Do(sc.Ctx, "XADD", "medis:{0}:ch:s", future, "topic", "a", "body", "old").Err())
		old := read(t, sc.Store)
		check(t, third(sc.Store.Purge(sc.Ctx, "s")))
		check(t, third(sc.Store.Purge(sc.Ctx, "s"))) // removes the entry with that id
		sc.add(t, "medis:{0}:ch:s", 1)
		after := read(t, sc.Store)
		if len(after) != 1 || after[0].EntryID != "99999999999999-8" {
			t.Fatalf("after the purge: %+v", after)
		}
		done := medispatcher.Settlement{Channel: channelS, EntryID: old[0].EntryID, Outcome: medispatcher.Sent}
		if n, err := sc.Store.Delete(sc.Ctx, 0, []medispatcher.Settlement{done}); n != 0 || err != nil {
			t.Errorf("the outcome of the purged message settled %d, %v", n, err)
		}
		if n := sc.Client.XLen(sc.Ctx, "medis:{0}:ch:s").Val(); n != 1 {
			t.Errorf("%d entries, want the new one", n)
		}
	})
}

// TestThrowingAwayWorksOutOfMemory: purging must work while Redis is full, because it frees memory.
func TestThrowingAwayWorksOutOfMemory(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	sc := newScene(t, env)
	sc.add(t, "medis:{0}:ch:s", 10)
	sc.add(t, "medis:{0}:ch:gone", 10)
	sc.add(t, "medis:{0}:dead:s", 10)
	read(t, sc.Store)
	failed := settlement(must[[]string](t)(streamstest.Mine(sc.Ctx, sc.Store, channelS, 1))[0], medispatcher.Failed)
	check(t, sc.Store.Retry(sc.Ctx, 0, failed))
	letters := must[[]medispatcher.DeadLetter](t)(sc.Store.DeadLetters(sc.Ctx, "s", "", 1))
	sc.full(t)
	if err := sc.Client.Do(sc.Ctx, "XADD", "x", "*", "a", "b").Err(); err == nil {
		t.Fatal("Redis is not full")
	}
	check(t, second(sc.Store.PurgeDead(sc.Ctx, "s", []string{letters[0].ID})))
	check(t, third(sc.Store.PurgeAllDead(sc.Ctx, "s", goOn)))
	check(t, third(sc.Store.Purge(sc.Ctx, "s")))
	check(t, second(sc.Store.Discard(sc.Ctx, "gone", true)))
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "0").Err())
	if got := sc.State(t); got != "#failed:s=1, #purged:s=20" {
		t.Errorf("state %s", got)
	}
	check(t, second(sc.Store.Read(sc.Ctx, []medispatcher.Want{{Channel: channelS, Max: 1}}))) // the group is there
}

// TestPurgeOfAWrongType: the purge of a key of a wrong type changes nothing and returns an error.
func TestPurgeOfAWrongType(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		check(t, sc.Client.Set(sc.Ctx, "medis:{0}:ch:s", "x", 0).Err())
		check(t, sc.Client.ZAdd(sc.Ctx, "medis:{0}:retry:s", redis.Z{Member: "1-1"}).Err())
		if err := third(sc.Store.Purge(sc.Ctx, "s")); !errors.Is(err, medispatcher.ErrGone) {
			t.Errorf("error %v", err)
		}
		if got := sc.State(t); got != "ch:s=set, retry:s=1" {
			t.Errorf("state %s", got)
		}
		held := must[medispatcher.ChannelStatus](t)(sc.Store.Discard(sc.Ctx, "s", false)) // it holds no messages
		if got := sc.State(t); got != "" || held.Ready+held.Buried+held.Dead != 0 {
			t.Errorf("state %s, held %+v", got, held)
		}
	})
}

func TestDiscardLeavesMessagesAlone(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		for _, fill := range []string{"medis:{0}:ch:s", "medis:{0}:dead:s"} {
			check(t, env.Client.FlushAll(sc.Ctx).Err())
			sc.add(t, fill, 2)
			held := must[medispatcher.ChannelStatus](t)(sc.Store.Discard(sc.Ctx, "s", false))
			if held.Ready+held.Dead != 2 || sc.Client.XLen(sc.Ctx, fill).Val() != 2 {
				t.Errorf("%s: held %+v, state %s", fill, held, sc.State(t))
			}
			held = must[medispatcher.ChannelStatus](t)(sc.Store.Discard(sc.Ctx, "s", true))
			if got := sc.State(t); held.Ready+held.Dead != 2 || got != "" {
				t.Errorf("%s: held %+v, state %s", fill, held, got)
			}
		}
	})
}

// TestAllDead: replay and purge handle the dead letters that exist when they begin, in batches, in every partition.
func TestAllDead(t *testing.T) {
	t.Parallel()
	type all func(s *streams.Store, more func(done, all int64) bool) (done, left int64, err error)
	for name, step := range map[string]all{
		"replay": func(s *streams.Store, more func(done, all int64) bool) (int64, int64, error) {
			return s.ReplayAll(t.Context(), "s", more)
		},
		"purge": func(s *streams.Store, more func(done, all int64) bool) (int64, int64, error) {
			return s.PurgeAllDead(t.Context(), "s", more)
		},
	} {
		t.Run(name, func(t *testing.T) {
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				cfg := env.Config("me")
				cfg.Partitions = 2
				sc := newSceneOf(t, env, cfg)
				sc.add(t, "medis:{0}:dead:s", 250)
				sc.add(t, "medis:{1}:dead:s", 3)
				batches := 0
				done, left, err := step(sc.Store, func(_, of int64) bool {
					batches++
					sc.add(t, "medis:{0}:dead:s", 1) // it died again
					if of != 253 {
						t.Errorf("of %d, want 253", of)
					}
					return true
				})
				if done != 253 || left != 0 || err != nil {
					t.Errorf("%d done, %d left, %v", done, left, err)
				}
				if n := sc.Client.XLen(sc.Ctx, "medis:{0}:dead:s").Val(); n != int64(batches) || batches < 2 {
					t.Errorf("%d letters remain, want those %d that died meanwhile", n, batches)
				}
				sc.add(t, "medis:{1}:dead:s", 10)
				done, left, err = step(sc.Store, func(int64, int64) bool { return false })
				if done != int64(batches) || left != 10 || err != nil {
					t.Errorf("stopped after %d, %d left, %v", done, left, err)
				}
				if want := int64(263 + batches); name == "replay" {
					if n := sc.Client.XLen(sc.Ctx, "medis:{0}:ch:s").Val() + sc.Client.XLen(sc.Ctx, "medis:{1}:ch:s").Val(); n != want-10 {
						t.Errorf("%d READY, want %d", n, want-10)
					}
				}
			})
		})
	}
}

func TestDeadIDsThatCannotBeOne(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		_, err := sc.Store.Replay(sc.Ctx, "s", []string{"0-1-1", "x", "0-2-2", "7-1-1"})
		var problems medispatcher.Problems
		if !errors.As(err, &problems) || len(problems) != 2 || problems[0].Field != "ids[1]" || problems[1].Field != "ids[3]" {
			t.Errorf("error %v", err)
		}
	})
}
