package streamstest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
)

// Scene is one dispatcher "me" on an empty Redis.
type Scene struct {
	*Env
	Ctx    context.Context //nolint:containedctx // the test's
	Store  *streams.Store
	Faults *Faults
}

// NewScene makes a Scene with the default configuration.
func NewScene(t *testing.T, env *Env) *Scene {
	t.Helper()
	return NewSceneOf(t, env, env.Config("me"))
}

// NewSceneOf is NewScene with a configuration of its own.
func NewSceneOf(t *testing.T, env *Env, cfg streams.Config) *Scene {
	t.Helper()
	sc := &Scene{Env: env, Ctx: t.Context(), Store: env.Open(t, cfg), Faults: &Faults{}}
	sc.Store.DB().AddHook(sc.Faults)
	return sc
}

// Must returns the value of a call, and ends the test if it failed.
func Must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Check ends the test if there is an error.
func Check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Incoming writes an entry as any producer would, and lets "me" read it.
func (sc *Scene) Incoming(t *testing.T, fields ...any) string {
	t.Helper()
	_, err := sc.Store.ReadIncoming(sc.Ctx, 0, 1, true) // creates the group
	Check(t, err)
	id := Must[string](t)(sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: fields}).Result())
	for range 3 {
		entries := Must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 10, false))
		if len(entries) > 0 {
			return id
		}
	}
	t.Fatal("the entry was not read")
	return ""
}

// Ready puts one message into the channel of "s".
func (sc *Scene) Ready(t *testing.T) {
	t.Helper()
	id := sc.Incoming(t, "topic", "a.b", "body", "x")
	Must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: id, Message: Message("a.b"), Subs: []string{"s"}}}))
}

// Buried puts one message into the channel of "s", lets "me" read it, and returns its entry id.
func (sc *Scene) Buried(t *testing.T) string {
	t.Helper()
	sc.Ready(t)
	return Read(t, sc.Store)[0].EntryID
}

// Message makes a message with an empty body.
func Message(topic string) medispatcher.Message {
	return medispatcher.Message{Topic: topic, Time: time.UnixMilli(1_700_000_000_000)}
}

// ChannelS is the channel of the subscription "s".
var ChannelS = medispatcher.Channel{Subscription: "s"}

// Read reads up to ten READY messages of "s".
func Read(t *testing.T, s *streams.Store) []medispatcher.Delivery {
	t.Helper()
	wants := []medispatcher.Want{{Channel: ChannelS, Max: 10}}
	got, err := s.Read(t.Context(), wants)
	if errors.Is(err, medispatcher.ErrGroupCreated) {
		got, err = s.Read(t.Context(), wants)
	}
	Check(t, err)
	return got
}

// Settlement is the outcome of a first attempt in ChannelS, with a failure record.
func Settlement(id string, o medispatcher.Outcome) []medispatcher.Settlement {
	return []medispatcher.Settlement{{
		Channel: ChannelS, EntryID: id, Outcome: o, Attempt: 1, Delay: time.Hour,
		Failure: &medispatcher.Failure{Attempts: 1, FirstError: "status 500", LastError: "status 500"},
	}}
}

// Put stores a subscription.
func Put(t *testing.T, registry *streams.Registry, id, doc string) {
	t.Helper()
	_, _, _, err := registry.Put(t.Context(), id, []byte(doc), "")
	Check(t, err)
}

// State describes everything in Redis: sizes, owners and counts, and "inactive": keys that hold something and are missing
// from the active sets. What else is in those sets does not matter.
func (sc *Scene) State(t *testing.T) string {
	t.Helper()
	out := map[string]string{}
	for _, key := range append(sc.Keys(t, "medis:{0}:*"), sc.Keys(t, "medis:recover*")...) {
		name := strings.TrimPrefix(strings.TrimPrefix(key, "medis:{0}:"), "medis:")
		if name == "active" || name == "active:dead" {
			continue
		}
		switch Must[string](t)(sc.Client.Type(sc.Ctx, key).Result()) {
		case "stream":
			n := sc.Client.XLen(sc.Ctx, key).Val()
			parts := []string{fmt.Sprint(n)}
			for _, group := range []string{"fanout", "push"} {
				pending, err := sc.Client.XPending(sc.Ctx, key, group).Result()
				if err != nil || pending.Count == 0 {
					continue
				}
				for _, owner := range slices.Sorted(maps.Keys(pending.Consumers)) {
					if k := pending.Consumers[owner]; k > 0 {
						parts = append(parts, fmt.Sprintf("%s:%d", owner, k))
					}
				}
			}
			if text := strings.Join(parts, " "); text != "0" {
				out[name] = text
			}
		case "zset":
			out[name] = fmt.Sprint(sc.Client.ZCard(sc.Ctx, key).Val())
		case "hash":
			out[name] = fmt.Sprint(sc.Client.HLen(sc.Ctx, key).Val())
		case "set":
			out[name] = fmt.Sprint(sc.Client.SCard(sc.Ctx, key).Val())
		case "list":
			out[name] = fmt.Sprint(sc.Client.LLen(sc.Ctx, key).Val())
		case "string":
			out[name] = "set"
		}
	}
	if missing := sc.Inactive(t, 0); len(missing) > 0 {
		out["inactive"] = strings.Join(missing, " ")
	}
	for what, n := range Must[map[string]int64](t)(report.New(sc.Store).Counts(sc.Ctx)) {
		out["#"+what] = fmt.Sprint(n)
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(out)) {
		lines = append(lines, name+"="+out[name])
	}
	return strings.Join(lines, ", ")
}

// Inactive lists the keys of a partition that hold something and are missing from the active sets.
func (e *Env) Inactive(t testing.TB, p int) (missing []string) {
	t.Helper()
	ctx, prefix := context.Background(), fmt.Sprintf("medis:{%d}:", p)
	for _, key := range e.Keys(t, prefix+"*") {
		kind, sub, _ := strings.Cut(strings.TrimPrefix(key, prefix), ":")
		set, n := prefix+"active", int64(0)
		switch kind {
		case "ch":
			n = e.Client.XLen(ctx, key).Val()
			if pending, err := e.Client.XPending(ctx, key, "push").Result(); err == nil {
				n += pending.Count
			}
		case "dead":
			set += ":dead"
			n = e.Client.XLen(ctx, key).Val()
		}
		if n > 0 && !e.Client.SIsMember(ctx, set, sub).Val() {
			missing = append(missing, strings.TrimPrefix(key, prefix))
		}
	}
	slices.Sort(missing)
	return missing
}
