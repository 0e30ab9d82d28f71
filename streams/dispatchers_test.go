package streams_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestDispatchersCost: however many dispatchers there are, a look at all of them is two commands, and one more where an
// info changed.
func TestDispatchersCost(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		stores := []*streams.Store{sc.Store}
		for i := range 9 {
			stores = append(stores, env.Open(t, env.Config(fmt.Sprintf("d%d", i))))
		}
		for _, s := range stores {
			check(t, s.Heartbeat(sc.Ctx, medispatcher.Dispatcher{Host: "h", DeadAfter: time.Minute}))
		}
		asked := 0
		sc.Store.DB().AddHook(counting{&asked})
		look := func(what string, want int) {
			t.Helper()
			asked = 0
			list := must[[]medispatcher.Dispatcher](t)(sc.Store.Dispatchers(sc.Ctx))
			if len(list) != 10 || slices.ContainsFunc(list, func(d medispatcher.Dispatcher) bool { return !d.Alive || d.Host != "h" }) {
				t.Errorf("%s: %+v", what, list)
			}
			if asked != want {
				t.Errorf("%s: %d commands, want %d", what, asked, want)
			}
		}
		must[[]medispatcher.Dispatcher](t)(sc.Store.Dispatchers(sc.Ctx)) // it hears the time as well
		look("the second", 2)
		check(t, stores[5].Heartbeat(sc.Ctx, medispatcher.Dispatcher{Host: "h", Short: "ports", DeadAfter: time.Minute}))
		look("an info changed", 3)
		last, age := sc.Store.LastDispatchers()
		if len(last) != 10 || age > time.Minute {
			t.Errorf("the last list is %+v, %s old", last, age)
		}
	})
}

// counting counts commands, those in pipes among them.
type counting struct{ n *int }

func (c counting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { *c.n++; return next(ctx, cmd) }
}

func (c counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { *c.n += len(cmds); return next(ctx, cmds) }
}

// TestDispatchersOfEarlierVersions: a version before the book writes and reads the key of each dispatcher alone. It sees this
// one, and is seen.
func TestDispatchersOfEarlierVersions(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		check(t, sc.Store.Heartbeat(sc.Ctx, medispatcher.Dispatcher{Host: "new", DeadAfter: time.Minute}))
		now := float64(sc.Store.DB().Now().UnixMilli())
		check(t, sc.Client.ZAdd(sc.Ctx, "medis:dispatchers", redis.Z{Score: now, Member: "early"}, redis.Z{Score: now - 20_000, Member: "lost"}).Err())
		check(t, sc.Client.Set(sc.Ctx, "medis:dispatcher:early", `{"host":"old","dead_after_ns":90000000000}`, 0).Err())
		list := must[[]medispatcher.Dispatcher](t)(sc.Store.Dispatchers(sc.Ctx))
		byID := map[string]medispatcher.Dispatcher{}
		for _, d := range list {
			byID[d.ID] = d
		}
		if d := byID["early"]; len(list) != 3 || d.Host != "old" || d.DeadAfter != 90*time.Second || !d.Alive {
			t.Errorf("an earlier version is seen as %+v", d)
		}
		if d := byID["lost"]; d.DeadAfter != 10*time.Second || d.Alive {
			t.Errorf("a dispatcher whose info is lost is seen as %+v", d)
		}
		var seen medispatcher.Dispatcher
		check(t, json.Unmarshal([]byte(sc.Client.Get(sc.Ctx, "medis:dispatcher:me").Val()), &seen))
		if seen.Host != "new" || seen.DeadAfter != time.Minute {
			t.Errorf("an earlier version sees %+v", seen)
		}

		// A key of another type, made by hand, is no reason to see nobody; the next info replaces it.
		check(t, sc.Client.Del(sc.Ctx, "medis:book:{medis:dispatchers}").Err())
		check(t, sc.Client.Set(sc.Ctx, "medis:book:{medis:dispatchers}", "x", 0).Err())
		if list := must[[]medispatcher.Dispatcher](t)(sc.Store.Dispatchers(sc.Ctx)); len(list) != 3 {
			t.Errorf("with a broken book: %+v", list)
		}
		check(t, sc.Store.Heartbeat(sc.Ctx, medispatcher.Dispatcher{Host: "newer", DeadAfter: time.Minute}))
		if got := sc.Client.HLen(sc.Ctx, "medis:book:{medis:dispatchers}").Val(); got != 2 {
			t.Errorf("the book has %d fields, want an info and the page", got)
		}
	})
}

// TestJoiningAndLeavingKeepTheLines: a dispatcher that joins, or leaves while others read the list, never looks like one of
// an earlier version. Otherwise a restart would cost ordered subscriptions their order.
func TestJoiningAndLeavingKeepTheLines(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		d := medispatcher.Dispatcher{DeadAfter: time.Minute}
		watching, joining := env.Open(t, env.Config("watching")), env.Open(t, env.Config("joining"))
		check(t, watching.Heartbeat(t.Context(), d))
		kept := func(when string) {
			t.Helper()
			must[[]medispatcher.Dispatcher](t)(watching.Dispatchers(t.Context()))
			if !must[bool](t)(watching.Lines(t.Context())) {
				t.Error("no lines " + when)
			}
		}
		steps := 0
		joining.DB().AddHook(hook(func(redis.Cmder) error {
			steps++
			kept(fmt.Sprint("before step ", steps, " of the one that joins"))
			return nil
		}))
		check(t, joining.Heartbeat(t.Context(), d))
		if steps < 3 {
			t.Errorf("%d steps, want at least those of the infos and the heartbeat", steps)
		}
		kept("when it has joined")
		check(t, joining.Heartbeat(t.Context(), medispatcher.Dispatcher{DeadAfter: time.Minute, Host: "changed"}))
		left := false
		watching.DB().AddHook(afterList{func() {
			if !left {
				left = true
				check(t, joining.Leave(t.Context()))
			}
		}})
		kept("while the other one leaves")
		if !left {
			t.Error("nobody left")
		}
	})
}

// afterList is a hook that does something when the list of dispatchers was read.
type afterList struct{ do func() }

func (h afterList) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h afterList) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h afterList) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if cmds[0].Name() == "zrange" {
			h.do()
		}
		return err
	}
}
