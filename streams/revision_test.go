package streams_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

const revisionKey = "medis:subscriptions:rev"

// readers are the registries of a dispatcher and of a writer.
func readers(t *testing.T, env *streamstest.Env) (sc *scene, dispatcher, writer *streams.Registry) {
	t.Helper()
	sc = newScene(t, env)
	open := func(id string) *streams.Registry {
		return streams.NewRegistry(env.Open(t, env.Config(id)), streamstest.Rules(), func(string, string) {})
	}
	return sc, open("dispatcher"), open("writer")
}

func subDoc(topic string) string { return `{"topic":"` + topic + `","urls":["http://h/"]}` }

// routes lists the subscriptions that would get a message of a topic now.
func routes(t *testing.T, r *streams.Registry, topic string) string {
	t.Helper()
	snapshot, err := r.Latest(t.Context())
	if err != nil {
		return err.Error()
	}
	return strings.Join(snapshot.Router().Route(topic), " ")
}

// TestRevisionNeverRepeats: after Redis lost everything, or its last writes, the same number of changes
// gives another revision, so that dispatchers notice them.
func TestRevisionNeverRepeats(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc, dispatcher, writer := readers(t, env)
		seen := map[string]bool{}
		revision := func() {
			t.Helper()
			text := sc.Client.Get(sc.Ctx, revisionKey).Val()
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 1 || n >= 1<<53 {
				t.Errorf("the revision is %q, not a whole number that JSON can hold", text)
			}
			if seen[text] {
				t.Errorf("revision %s came before", text)
			}
			seen[text] = true
		}
		for i := range 3 {
			topic := fmt.Sprintf("t%d", i)
			put(t, writer, "s", subDoc(topic))
			revision()
			if got := routes(t, dispatcher, topic); got != "s" {
				t.Errorf("round %d: %s goes to %q", i, topic, got)
			}
			env.Flush(t)
			if got := routes(t, dispatcher, topic); got != "" {
				t.Errorf("round %d: no subscription is left, but %s goes to %q", i, topic, got)
			}
		}
		// A revision from a clock that was ahead. Redis loses the next one twice.
		ahead := strconv.FormatInt(time.Now().Add(time.Hour).UnixMicro(), 10)
		for i := range 3 {
			check(t, sc.Client.Set(sc.Ctx, revisionKey, ahead, 0).Err())
			put(t, writer, "s", subDoc(fmt.Sprintf("u%d", i)))
			revision()
			if now, _ := sc.Client.Get(sc.Ctx, revisionKey).Int64(); strconv.FormatInt(now, 10) <= ahead {
				t.Errorf("revision %d follows %s", now, ahead)
			}
		}
	})
}

// TestRevisionByHand: with any value in place of the revision, the fan-out goes on, changes are noticed,
// and the next change corrects the value.
func TestRevisionByHand(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc, dispatcher, writer := readers(t, env)
		for name, spoil := range map[string]func() error{
			"garbage":        func() error { return sc.Client.Set(sc.Ctx, revisionKey, "garbage", 0).Err() },
			"nothing":        func() error { return sc.Client.Del(sc.Ctx, revisionKey).Err() },
			"an old count":   func() error { return sc.Client.Set(sc.Ctx, revisionKey, "7", 0).Err() },
			"a huge number":  func() error { return sc.Client.Set(sc.Ctx, revisionKey, "99999999999999999999", 0).Err() },
			"the last int64": func() error { return sc.Client.Set(sc.Ctx, revisionKey, "9223372036854775807", 0).Err() },
			"a list": func() error {
				return errors.Join(sc.Client.Del(sc.Ctx, revisionKey).Err(), sc.Client.RPush(sc.Ctx, revisionKey, "x").Err())
			},
			"a wrong version of the documents": func() error {
				k := "medis:written:{medis:subscriptions}"
				return errors.Join(sc.Client.Del(sc.Ctx, k).Err(), sc.Client.HSet(sc.Ctx, k, "a", "b").Err())
			},
		} {
			put(t, writer, "s", subDoc("before"))
			if got := routes(t, dispatcher, "before"); got != "s" {
				t.Errorf("%s: before the change, %q", name, got)
			}
			check(t, spoil())
			if got := routes(t, dispatcher, "before"); got != "s" || dispatcher.Problem() != nil {
				t.Errorf("%s: messages go to %q, the problem is %v", name, got, dispatcher.Problem())
			}
			put(t, writer, "s", subDoc("after"))
			if got := routes(t, dispatcher, "after"); got != "s" {
				t.Errorf("%s: a later change is not noticed: %q", name, got)
			}
			if n := must[*streams.Snapshot](t)(dispatcher.Latest(sc.Ctx)).Revision; n < 1_000_000 {
				t.Errorf("%s: the next change leaves the revision %d", name, n)
			}
		}
	})
}

// TestEarlierVersionsCount: dispatchers of earlier versions count changes with INCR. This version notices
// their changes, and they can read the revisions of this version.
func TestEarlierVersionsCount(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc, dispatcher, writer := readers(t, env)
		put(t, writer, "s", subDoc("a"))
		check(t, err2(dispatcher.Latest(sc.Ctx)))
		check(t, sc.Client.HSet(sc.Ctx, "medis:subscriptions", "s", subDoc("b")).Err())
		check(t, sc.Client.Incr(sc.Ctx, revisionKey).Err())
		if got := routes(t, dispatcher, "b"); got != "s" {
			t.Errorf("their change is not noticed: %q", got)
		}
	})
}

// TestWriterDiesBetweenSteps: dispatchers notice a change whose revision was never counted, and also that
// a failover lost a change of the documents.
func TestWriterDiesBetweenSteps(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc, dispatcher, _ := readers(t, env)
		writer := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
		put(t, writer, "s", subDoc("a"))
		check(t, err2(dispatcher.Latest(sc.Ctx)))
		saved := sc.Client.HGetAll(sc.Ctx, "medis:subscriptions").Val()
		written := sc.Client.Get(sc.Ctx, "medis:written:{medis:subscriptions}").Val()

		ctx, die := context.WithCancel(sc.Ctx)
		sc.Store.DB().AddHook(after{"evalsha", die})
		if _, _, _, err := writer.Put(ctx, "s", []byte(subDoc("b")), ""); !errors.Is(err, context.Canceled) {
			t.Fatalf("the writer did not die: %v", err)
		}
		if got := routes(t, dispatcher, "b"); got != "s" {
			t.Errorf("the change is not noticed: %q", got)
		}
		// A replica that missed the last write becomes the master, but only for the documents.
		check(t, sc.Client.HSet(sc.Ctx, "medis:subscriptions", "s", saved["s"]).Err())
		check(t, sc.Client.Set(sc.Ctx, "medis:written:{medis:subscriptions}", written, 0).Err())
		if got := routes(t, dispatcher, "a"); got != "s" {
			t.Errorf("the loss of the change is not noticed: %q", got)
		}
	})
}

// after calls a function after a command has run.
type after struct {
	name string
	then func()
}

func (a after) DialHook(next redis.DialHook) redis.DialHook { return next }

func (a after) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == a.name && err == nil {
			a.then()
		}
		return err
	}
}

func (a after) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestSubscriptionsUnreadable: an unreadable list of subscriptions routes nothing and is reported. One
// unreadable document does not affect the others.
func TestSubscriptionsUnreadable(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc, dispatcher, writer := readers(t, env)
		put(t, writer, "good", subDoc("t"))
		check(t, sc.Client.HSet(sc.Ctx, "medis:subscriptions", "bad", "{garbage").Err())
		if got := routes(t, dispatcher, "t"); got != "good" {
			t.Errorf("with one unreadable document, messages go to %q", got)
		}
		check(t, sc.Client.Del(sc.Ctx, "medis:subscriptions").Err())
		if got := routes(t, dispatcher, "t"); got != "" {
			t.Errorf("the documents were deleted by hand, but messages go to %q", got)
		}
		check(t, sc.Client.Set(sc.Ctx, "medis:subscriptions", "x", 0).Err())
		if _, err := dispatcher.Latest(sc.Ctx); err == nil || !strings.Contains(err.Error(), "medis:subscriptions is of a wrong type") || !errors.Is(dispatcher.Problem(), err) {
			t.Errorf("a key of a wrong type: %v, and the problem is %v", err, dispatcher.Problem())
		}
		if bad := streamstest.Examine(t, sc.Store); !strings.Contains(bad["Messages/key types"], "medis:subscriptions (a string, should be a hash)") {
			t.Errorf("doctor says %v", bad)
		}
		check(t, sc.Client.Del(sc.Ctx, "medis:subscriptions").Err())
		put(t, writer, "good", subDoc("t"))
		if got := routes(t, dispatcher, "t"); got != "good" || dispatcher.Problem() != nil {
			t.Errorf("put again: messages go to %q, the problem is %v", got, dispatcher.Problem())
		}
	})
}

// TestPutByHand: documents written or deleted by hand are noticed because their number changes.
func TestPutByHand(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc, dispatcher, writer := readers(t, env)
		put(t, writer, "s", subDoc("t"))
		check(t, err2(dispatcher.Latest(sc.Ctx)))
		check(t, sc.Client.HSet(sc.Ctx, "medis:subscriptions", "other", subDoc("t")).Err())
		if got := strings.Fields(routes(t, dispatcher, "t")); !slices.Contains(got, "other") || len(got) != 2 {
			t.Errorf("messages go to %v", got)
		}
		check(t, sc.Client.HDel(sc.Ctx, "medis:subscriptions", "s").Err())
		if got := routes(t, dispatcher, "t"); got != "other" {
			t.Errorf("messages go to %q", got)
		}
	})
}

func err2[T any](_ T, err error) error { return err }

// TestUnreadableDocument: a process that knows the subscription keeps its last good settings. Another
// one ignores the subscription. Both use all other subscriptions.
func TestUnreadableDocument(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc, dispatcher, writer := readers(t, env)
		for _, id := range []string{"a", "b"} {
			_, _, _, err := writer.Put(sc.Ctx, id, []byte(subDoc("t")), "")
			check(t, err)
		}
		if got := routes(t, dispatcher, "t"); got != "a b" {
			t.Fatalf("routed to %q", got)
		}
		check(t, sc.Client.HSet(sc.Ctx, "medis:subscriptions", "a", "garbage").Err())
		second := streams.NewRegistry(env.Open(t, env.Config("second")), streamstest.Rules(), func(string, string) {})
		for r, want := range map[*streams.Registry]string{dispatcher: "a b", second: "b"} {
			if _, err := r.Refresh(sc.Ctx); err != nil {
				t.Fatal(err)
			}
			if got := routes(t, r, "t"); got != want {
				t.Errorf("routed to %q, want %q", got, want)
			}
		}
	})
}
