package streams_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

func TestHeartbeatIntroduces(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		d := medispatcher.Dispatcher{Host: "h", DeadAfter: 30 * time.Second}
		const info, book = "medis:dispatcher:me", "medis:book:{medis:dispatchers}"
		beat := func() medispatcher.Dispatcher {
			t.Helper()
			check(t, sc.Store.Heartbeat(sc.Ctx, d))
			list := must[[]medispatcher.Dispatcher](t)(sc.Store.Dispatchers(sc.Ctx))
			if len(list) != 1 || list[0].ID != "me" || !list[0].Alive {
				t.Fatalf("dispatchers %+v", list)
			}
			return list[0]
		}
		if got := beat(); got.DeadAfter != 30*time.Second || got.Host != "h" {
			t.Errorf("introduced %+v", got)
		}

		// An unchanged info is not written again.
		const marked = `{"host":"marked","dead_after_ns":30000000000}`
		check(t, sc.Client.Set(sc.Ctx, info, marked, 0).Err())
		check(t, sc.Client.HSet(sc.Ctx, book, "me", marked, "~page", "marked").Err())
		if got := beat(); got.Host != "marked" {
			t.Errorf("the info was written at every heartbeat: %+v", got)
		}
		since := time.UnixMilli(1_700_000_000_000).UTC()
		d.Held = []medispatcher.Breaker{{Subscription: "s", Since: since}}
		if got := beat(); len(got.Held) != 1 || got.Held[0] != d.Held[0] {
			t.Errorf("the info was not updated: %+v", got)
		}

		// After Redis lost everything, the next heartbeat writes the info again.
		check(t, sc.Client.FlushAll(sc.Ctx).Err())
		if got := beat(); got.Host != "h" {
			t.Errorf("the info is lost: %+v", got)
		}

		// If Redis refuses the info, the heartbeat still counts, and the info is written again later.
		d.Held = nil
		refused := 0
		refuse := true
		sc.Store.DB().AddHook(hook(func(cmd redis.Cmder) error {
			if refuse && slices.Contains(cmd.Args(), any(info)) {
				refused++
				return streamstest.ErrInjected
			}
			return nil
		}))
		if err := sc.Store.Heartbeat(sc.Ctx, d); err != nil || refused != 1 {
			t.Errorf("a refused info: %v, %d refused", err, refused)
		}
		refuse = false
		if got := beat(); len(got.Held) != 0 {
			t.Errorf("the info was not repeated: %+v", got)
		}
		check(t, sc.Store.Leave(sc.Ctx))
		if n := sc.Client.Exists(sc.Ctx, info, "medis:dispatchers").Val() + sc.Client.HLen(sc.Ctx, book).Val() - 1; n != 0 {
			t.Error("something of the dispatcher is left")
		}
	})
}

// hook is called before each command.
type hook func(cmd redis.Cmder) error

func (h hook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := h(cmd); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestHeartbeatOutOfMemory: while Redis is full, a living dispatcher does not look dead, and its info stays.
func TestHeartbeatOutOfMemory(t *testing.T) {
	t.Parallel()
	sc := newScene(t, streamstest.Real(t))
	sc.full(t)
	check(t, sc.Store.Heartbeat(sc.Ctx, medispatcher.Dispatcher{Host: "h", DeadAfter: time.Hour}))
	list := must[[]medispatcher.Dispatcher](t)(sc.Store.Dispatchers(sc.Ctx))
	if len(list) != 1 || !list[0].Alive || list[0].Host != "h" {
		t.Errorf("dispatchers %+v", list)
	}
}
