package streams_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// wanted stores n subscriptions to the topic t, and returns their ids, sorted.
func wanted(t *testing.T, sc *scene, registry *streams.Registry, n int) []string {
	t.Helper()
	ids := make([]string, n)
	docs := make([]any, 0, 2*n)
	for i := range ids {
		ids[i] = fmt.Sprintf("s%05d", i)
		docs = append(docs, ids[i], `{"topic":"t","urls":["http://h/"]}`)
	}
	check(t, sc.Client.HSet(sc.Ctx, "medis:subscriptions", docs...).Err())
	put(t, registry, ids[0], `{"topic":"t","urls":["http://h/"]}`) // announces the change
	return ids
}

// outcome is what a worker reported.
type outcome struct {
	mu     sync.Mutex
	ready  map[string]int
	routed []string // "<body>: <result> <number of subscriptions>"
}

// worker runs until n entries are finished.
func (sc *scene) worker(t *testing.T, store *streams.Store, registry *streams.Registry, n int) *outcome {
	t.Helper()
	ctx, cancel := context.WithCancel(sc.Ctx)
	defer cancel()
	out := &outcome{ready: map[string]int{}}
	w := &streams.FanoutWorker{
		Store: store, Registry: registry, MaxBody: 1 << 20, Log: slog.New(slog.DiscardHandler),
		Events: streams.FanoutEvents{
			Ready: func(_ int, subs []string) {
				out.mu.Lock()
				defer out.mu.Unlock()
				for _, sub := range subs {
					out.ready[sub]++
				}
			},
			Routed: func(_ int, m medispatcher.Message, r streams.Routed, subs []string) {
				out.mu.Lock()
				defer out.mu.Unlock()
				body := string(m.Body[:min(len(m.Body), 10)])
				out.routed = append(out.routed, fmt.Sprintf("%s: %s %d", body, r.Result, len(subs)))
				if len(out.routed) == n {
					cancel()
				}
			},
			Quarantined: func(_ int, _ streams.Entry, reason string) { t.Error(reason) },
			CopyFailed: func(_ int, _ streams.Entry, _ medispatcher.Message, sub string) {
				t.Errorf("%s has no copy", sub)
			},
			Unroutable: func(int, streams.Entry, medispatcher.Message) {},
		},
	}
	time.AfterFunc(time.Minute, cancel)
	check(t, w.Run(ctx))
	return out
}

// copies are the first bytes of the bodies in each channel, in their order.
func (sc *scene) copies(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, key := range sc.Keys(t, "medis:{0}:ch:*") {
		text := ""
		for _, e := range sc.Client.XRange(sc.Ctx, key, "-", "+").Val() {
			body := bodyOf(e)
			text += body[:min(len(body), 1)]
		}
		out[strings.TrimPrefix(key, "medis:{0}:ch:")] = text
	}
	return out
}

// bodyOf is the body of an entry, in either layout of a copy.
func bodyOf(e redis.XMessage) string {
	if whole, ok := e.Values["m"].(string); ok {
		_, body, _ := strings.Cut(whole, "\n\n")
		return body
	}
	return fmt.Sprint(e.Values["body"])
}

// weigh is a hook that checks the copies of each fan-out step against the bound.
type weigh struct {
	t     *testing.T
	sizes map[string]int // of bodies, by entry id
	steps int
}

func (h *weigh) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *weigh) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *weigh) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); cmd.Name() == "evalsha" && args[2].(int) >= 15 {
			argv := args[3:][args[2].(int)+9:]
			argv = argv[1+3*argv[0].(int):] // behind the runs
			lists := []int{0}
			n := argv[0].(int)
			for argv = argv[1:]; n > 0; n-- {
				lists = append(lists, argv[0].(int))
				argv = argv[1+argv[0].(int):]
			}
			argv = argv[1+argv[0].(int):]            // behind the names of the channels
			argv = argv[1+2*argv[0].(int):]          // behind the reads
			h.weigh(lists, argv[1+2*argv[0].(int):]) // behind the ordered channels
		}
		return next(ctx, cmd)
	}
}

func (h *weigh) weigh(lists []int, argv []any) {
	h.steps++
	entries, copies, bytes := 0, 0, 0
	for len(argv) > 0 {
		list, plain := argv[1].(int)
		length := 3
		if !plain {
			if argv[1] != "copy" {
				h.t.Errorf("the step holds %v", argv[:4])
				return
			}
			list, length = argv[2].(int), 8
		}
		n, size := lists[list], h.sizes[argv[0].(string)]
		entries, copies, bytes = entries+1, copies+n, bytes+(n+1)*size
		argv = argv[length:]
	}
	if copies > 1000 || bytes > 7<<20 && copies > 1 {
		h.t.Errorf("a step holds %d copies of %d entries, %d bytes", copies, entries, bytes)
	}
}

// TestFanoutStepIsBounded: for any number of subscriptions and any size of bodies, no step blocks Redis
// for more than milliseconds, and each channel gets each message once and in order.
func TestFanoutStepIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ subs, entries, size int }{{1, 300, 10}, {1, 8, 1 << 20}, {40, 3, 1 << 20}, {3000, 3, 10}, {700, 4, 20_000}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				sc := newScene(t, env)
				registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
				ids := wanted(t, sc, registry, c.subs)
				h := &weigh{t: t, sizes: map[string]int{}}
				order := ""
				for i := range c.entries {
					order += strconv.Itoa(i % 10)
					body := strconv.Itoa(i%10) + strings.Repeat("x", c.size-1)
					h.sizes[must[string](t)(sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "t", "body", body}}).Result())] = c.size
				}
				sc.Store.DB().AddHook(h)
				out := sc.worker(t, sc.Store, registry, c.entries)
				if len(out.routed) != c.entries || len(out.ready) != c.subs {
					t.Errorf("reported %d entries and %d channels", len(out.routed), len(out.ready))
				}
				copies := sc.copies(t)
				for _, id := range ids {
					if copies[id] != order {
						t.Fatalf("%s has %q, want %q", id, copies[id], order)
					}
				}
				if got := sc.Client.HGet(sc.Ctx, "medis:stats:{0}:total", "received:t").Val(); got != strconv.Itoa(c.entries) {
					t.Errorf("%s received, want %d", got, c.entries)
				}
				if n := sc.Client.Exists(sc.Ctx, "medis:{0}:copying").Val(); n != 0 {
					t.Error("the progress of the fan-out is still in Redis")
				}
				t.Logf("%d steps", h.steps)
			})
		})
	}
}

// TestFanoutGoesOnAfterALostReply: no copy is lost or repeated, whichever step loses its reply.
func TestFanoutGoesOnAfterALostReply(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for _, fault := range []streamstest.Fault{streamstest.Before, streamstest.After} {
			env.Flush(t)
			sc := newScene(t, env)
			registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
			ids := wanted(t, sc, registry, 2000)
			check(t, second(sc.Store.ReadIncoming(sc.Ctx, 0, 1, true)))                       // creates the group
			check(t, second(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: "0-1"}}))) // loads the script
			xadd := func(body string) {
				check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "t", "body", body, "id", body}}).Err())
			}
			xadd("a")
			xadd("b")
			sc.Store.DB().AddHook(&afterSteps{n: 2, then: func() { sc.Faults.Next(fault, 1, "evalsha") }})
			sc.worker(t, sc.Store, registry, 1) // the other entry, in the same batch, may go unreported
			if sc.Faults.Matched() != 1 {
				t.Errorf("%s: no command met the fault", fault)
			}
			copies := sc.copies(t)
			for _, id := range ids {
				if copies[id] != "ab" {
					t.Fatalf("%s: %s has %q", fault, id, copies[id])
				}
			}
		}
	})
}

// afterSteps does something after n fan-out steps.
type afterSteps struct {
	n    int
	then func()
}

func (h *afterSteps) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *afterSteps) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *afterSteps) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if args := cmd.Args(); cmd.Name() == "evalsha" && err == nil && args[2].(int) > 20 {
			if h.n--; h.n == 0 {
				h.then()
			}
		}
		return err
	}
}

// TestFanoutGoesOnElsewhere: a dispatcher dies between two steps, and subscriptions change before another
// dispatcher takes over its entry. A subscription that has a copy gets no second one. A subscription
// that wants the message and comes after the recorded progress gets it.
func TestFanoutGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
		ids := wanted(t, sc, registry, 2000)
		dead := env.Open(t, env.Config("dead"))
		check(t, second(dead.ReadIncoming(sc.Ctx, 0, 1, true))) // makes the group
		check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "t", "body", "a"}}).Err())
		check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "t", "body", "b"}}).Err())
		entries := must[[]streams.Entry](t)(dead.ReadIncoming(sc.Ctx, 0, 10, false))
		first := streams.Routing{EntryID: entries[0].ID, Message: message("t"), Subs: ids[:1000], More: true}
		check(t, second(dead.Fanout(sc.Ctx, 0, []streams.Routing{first, {EntryID: entries[1].ID, Message: message("t"), Subs: ids}})))

		had, hadNot := ids[10], ids[1500]
		for _, id := range []string{had, hadNot} {
			check(t, registry.Remove(sc.Ctx, id, ""))
		}
		put(t, registry, "a-new", `{"topic":"t","urls":["http://h/"]}`)
		put(t, registry, "z-new", `{"topic":"t","urls":["http://h/"]}`)
		check(t, third(sc.Store.GiveBackIncoming(sc.Ctx, 0, "dead", 10, true)))
		sc.worker(t, sc.Store, registry, 2)

		want := map[string]string{"a-new": "b", "z-new": "ab"}
		for _, id := range ids {
			want[id] = "ab"
		}
		want[had] = "a"
		delete(want, hadNot)
		if got := sc.copies(t); !maps.Equal(got, want) {
			for _, id := range slices.Sorted(maps.Keys(want)) {
				if got[id] != want[id] {
					t.Fatalf("%s has %q, want %q", id, got[id], want[id])
				}
			}
			t.Errorf("%d channels, want %d", len(got), len(want))
		}
	})
}
