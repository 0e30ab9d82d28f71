package streams_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// sweeps are the sweeps of a dispatcher among three subscriptions.
type sweeps struct {
	*scene
	walked bool // the last one walked through every channel
}

func newSweeps(t *testing.T, sc *scene) *sweeps {
	t.Helper()
	check(t, sc.Store.Heartbeat(sc.Ctx, medispatcher.Dispatcher{ID: "me", DeadAfter: time.Minute}))
	return &sweeps{scene: sc}
}

// found lists the channels that a sweep finds.
func (s *sweeps) found(t *testing.T) (subs []string) {
	t.Helper()
	s.walked = false
	list, err := s.Store.Waiting(s.Ctx, func() []string { s.walked = true; return []string{"idle", "s", "s2"} })
	check(t, err)
	for _, w := range list {
		subs = append(subs, w.Subscription)
	}
	slices.Sort(subs)
	return subs
}

func (s *sweeps) expect(t *testing.T, what string, walked bool, want ...string) {
	t.Helper()
	if got := s.found(t); !slices.Equal(got, want) || s.walked != walked {
		t.Errorf("%s: found %v, walked %t; it should be %v, %t", what, got, s.walked, want, walked)
	}
}

// older writes the heartbeat of a dispatcher that does not keep the active sets, and has this one look at it.
func (s *sweeps) older(t *testing.T, there bool) {
	t.Helper()
	if there {
		s.Client.ZAdd(s.Ctx, "medis:dispatchers", redis.Z{Score: float64(s.Store.Now().UnixMilli()), Member: "old"})
		s.Client.Set(s.Ctx, "medis:dispatcher:old", `{"id":"old","version":"1","dead_after_ns":60000000000}`, 0)
	} else {
		s.Client.ZRem(s.Ctx, "medis:dispatchers", "old")
	}
	_, err := s.Store.Dispatchers(s.Ctx)
	check(t, err)
}

// hide takes a name out of the active set, as a dispatcher of an earlier version, which does not write it, would leave it.
func (s *sweeps) hide(sub string) { s.Client.SRem(s.Ctx, "medis:{0}:active", sub) }

// TestActive: a sweep walks the active set alone, and every channel where the set cannot be complete.
func TestActive(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		s := newSweeps(t, sc)
		sc.Ready(t)
		s.hide("s")
		s.expect(t, "the first sweep on an old installation", true, "s")
		s.expect(t, "the next one", false, "s")
		if missing := sc.Inactive(t, 0); len(missing) > 0 {
			t.Error("the walk did not complete the set:", missing)
		}

		s.hide("s")
		s.expect(t, "a name that a hand took out", false)
		if n := must[int](t)(sc.Store.Recheck(sc.Ctx, 0, []string{"idle", "s", "s2"})); n != 1 {
			t.Errorf("the recheck found %d, want 1", n)
		}
		s.expect(t, "after the recheck", false, "s")

		sc.Client.Del(sc.Ctx, "medis:{0}:active")
		s.expect(t, "the set was deleted", true, "s")
		sc.Client.Del(sc.Ctx, "medis:{0}:active")
		sc.Client.Set(sc.Ctx, "medis:{0}:active", "x", 0)
		if _, err := sc.Store.Waiting(sc.Ctx, func() []string { return []string{"s"} }); err == nil {
			t.Error("no error with a key of another type")
		}
		sc.Client.Del(sc.Ctx, "medis:{0}:active")
		s.expect(t, "the key of another type is gone", true, "s")

		check(t, sc.Store.AuditChannels(sc.Ctx, 0, []string{"s"}))
		s.expect(t, "an audit of a channel with a message", false, "s")
		d := read(t, sc.Store)[0]
		check(t, sc.Store.AuditChannels(sc.Ctx, 0, []string{"s"}))
		s.expect(t, "an audit of one in flight", false, "s")
		must[int64](t)(sc.Store.Delete(sc.Ctx, 0, settlement(d.EntryID, medispatcher.Sent)))
		check(t, sc.Store.AuditChannels(sc.Ctx, 0, []string{"s"}))
		if subs, complete, err := sc.Store.Active(sc.Ctx, 0); len(subs) > 0 || !complete || err != nil {
			t.Errorf("active: %v, complete: %t, %v", subs, complete, err)
		}
	})
}

// TestActiveBesideAnOlderDispatcher: while a dispatcher is on the list that does not write the active set, nobody relies on it.
func TestActiveBesideAnOlderDispatcher(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		s := newSweeps(t, sc)
		s.expect(t, "the first sweep", true)
		s.older(t, true)
		sc.Ready(t)
		s.hide("s")
		s.expect(t, "an older one runs", true, "s")
		ids := []string{"s"}
		for i := range 100 {
			ids = append(ids, fmt.Sprint("idle-", i))
		}
		if rows := must[[]medispatcher.ChannelStatus](t)(report.New(env.Open(t, env.Config("cli"))).ChannelStatus(sc.Ctx, ids)); rows[0].Ready != 1 {
			t.Errorf("status: %+v", rows[0])
		}
		s.hide("s")
		s.expect(t, "it still runs", true, "s")
		if _, complete, err := sc.Store.Active(sc.Ctx, 0); complete || err != nil {
			t.Errorf("complete: %t, %v", complete, err)
		}
		s.hide("s")
		s.older(t, false)
		s.expect(t, "it is gone", true, "s")
		s.expect(t, "the next sweep", false, "s")
		next := env.Open(t, env.Config("next"))
		s.hide("s")
		list := must[[]medispatcher.Waiting](t)(next.Waiting(sc.Ctx, func() []string { return []string{"s"} }))
		if len(list) != 1 {
			t.Error("a dispatcher that starts does not walk")
		}
	})
}

// TestActiveStatus: the counts of many subscriptions are those of each, whether they are READY, BURIED or DEAD.
func TestActiveStatus(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		s := newSweeps(t, sc)
		s.expect(t, "the first sweep", true)
		id := sc.Buried(t)
		check(t, sc.Store.Kill(sc.Ctx, 0, settlement(id, medispatcher.Exhausted)))
		sc.Ready(t)
		ids := []string{"s"}
		for i := range 100 {
			ids = append(ids, fmt.Sprint("idle-", i))
		}
		r := report.New(sc.Store)
		rows := must[[]medispatcher.ChannelStatus](t)(r.ChannelStatus(sc.Ctx, ids))
		alone := must[[]medispatcher.ChannelStatus](t)(r.ChannelStatus(sc.Ctx, ids[:1]))
		rows[0].OldestMS, alone[0].OldestMS = 0, 0
		if !reflect.DeepEqual(rows[0], alone[0]) || rows[0].Dead != 1 || rows[0].Ready != 1 || rows[1].Ready != 0 {
			t.Errorf("%+v, alone %+v, idle %+v", rows[0], alone[0], rows[1])
		}
		_, _, err := sc.Store.ReplayAll(sc.Ctx, "s", func(int64, int64) bool { return true })
		check(t, err)
		if sc.Client.SIsMember(sc.Ctx, "medis:{0}:active:dead", "s").Val() {
			t.Error("it has no dead letters any more, and is in their set")
		}
	})
}
