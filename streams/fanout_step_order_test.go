package streams_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// orderedStep publishes messages, each "key:body", and routes them to subscriptions in one step; s and s3 are ordered.
func orderedStep(t *testing.T, sc *scene, subs []string, list ...string) []streams.Routed {
	t.Helper()
	pipe := sc.Client.Pipeline()
	for _, text := range list {
		key, body, _ := strings.Cut(text, ":")
		pipe.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", Values: []any{"topic", "a.b", "body", body, "key", key}})
	}
	must[[]redis.Cmder](t)(pipe.Exec(sc.Ctx))
	var entries []streams.Entry
	for len(entries) == 0 { // the first read makes the group
		entries = must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, len(list), false))
	}
	w, router := streams.FanoutWorker{Store: sc.Store, MaxBody: 1 << 20}, medispatcher.NewRouter(nil)
	routings := make([]streams.Routing, len(entries))
	for i, e := range entries {
		r := w.Decide(e, router)
		if r.Subs = subs; r.Message.Key != "" {
			r.Ordered = []string{"s", "s3"}
		}
		routings[i] = r
	}
	return must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, routings))
}

// inOrder reads and settles all of "s", and returns the bodies of each key in the order in which they came. Two of a key must
// not be in the channel at once.
func inOrder(t *testing.T, sc *scene) map[string]string {
	t.Helper()
	came := map[string][]string{}
	for {
		got := read(t, sc.Store)
		if len(got) == 0 {
			break
		}
		keys := map[string]bool{}
		var done []medispatcher.Settlement
		for _, d := range got {
			key := d.Message.Key
			if keys[key] && key != "" {
				t.Errorf("two of key %s are in the channel", key)
			}
			keys[key] = true
			came[key] = append(came[key], strings.TrimRight(string(d.Message.Body), "x"))
			done = append(done, settlement(d.EntryID, medispatcher.Sent)...)
		}
		check(t, second(sc.Store.Delete(sc.Ctx, 0, done)))
	}
	out := map[string]string{}
	for key, bodies := range came {
		out[key] = strings.Join(bodies, " ")
	}
	return out
}

// TestOrderedStep: a step with many copies gives each its place, as steps with one copy do.
func TestOrderedStep(t *testing.T) {
	t.Parallel()
	var list []string
	want := map[string]string{}
	for i := range 60 {
		key := []string{"a", "b", "c", "", "a", "a"}[i%6]
		if i > 40 {
			key = fmt.Sprint("k", i/3) // new, and more than once in a step
		}
		body := fmt.Sprintf("%d", i)
		want[key] = strings.TrimSpace(want[key] + " " + body)
		if i%7 == 0 {
			body += strings.Repeat("x", 10_000*(i%4))
		}
		list = append(list, key+":"+body)
	}
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		for _, layout := range []int{1, 2} {
			for _, size := range []int{1, 7, 60} {
				env.Flush(t)
				sc := newScene(t, env)
				sc.Store.WriteLayout(layout)
				for part := range slices.Chunk(list, size) {
					for _, r := range orderedStep(t, sc, []string{"s", "s2", "s3"}, part...) {
						if r.Result != streams.RoutedCopied {
							t.Fatal(r)
						}
					}
				}
				lines := []map[string]string{sc.Client.HGetAll(sc.Ctx, "medis:{0}:line:s").Val(), sc.Client.HGetAll(sc.Ctx, "medis:{0}:line:s3").Val()}
				for _, line := range lines {
					maps.DeleteFunc(line, func(name, _ string) bool { return name[0] == 'b' }) // of entry ids
				}
				if !maps.Equal(lines[0], lines[1]) || lines[0]["ca"] == "" {
					t.Errorf("layout %d, steps of %d: the lines are %v", layout, size, lines)
				}
				if n := sc.Client.XLen(sc.Ctx, "medis:{0}:ch:s2").Val(); n != int64(len(list)) {
					t.Errorf("layout %d, steps of %d: %d copies without order", layout, size, n)
				}
				if got := inOrder(t, sc); !maps.Equal(got, want) {
					t.Errorf("layout %d, steps of %d: got %v, want %v", layout, size, got, want)
				}
				if left := sc.Client.HGetAll(sc.Ctx, "medis:{0}:line:s").Val(); !maps.Equal(left, map[string]string{"~": "on"}) {
					t.Errorf("left: %v", left)
				}
			}
		}
	})
}

// TestOrderedStepRefused: where a channel refuses its copies, those for the others have their places.
func TestOrderedStepRefused(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for _, wrong := range []string{"ch:s2", "ch:s3", "line:s3", "wait:s3"} {
			env.Flush(t)
			sc := newScene(t, env)
			sc.Store.WriteLayout(2)
			orderedStep(t, sc, []string{"s", "s2", "s3"}, "a:1", "a:2")
			sc.Client.Del(sc.Ctx, "medis:{0}:"+wrong)
			check(t, sc.Client.Set(sc.Ctx, "medis:{0}:"+wrong, "x", 0).Err())
			orderedStep(t, sc, []string{"s", "s2", "s3"}, "a:3", "b:1", "b:2", ":1")
			orderedStep(t, sc, []string{"s"}, "a:4", "b:3")
			if got, want := inOrder(t, sc), (map[string]string{"a": "1 2 3 4", "b": "1 2 3", "": "1"}); !maps.Equal(got, want) {
				t.Errorf("%s is of a wrong type: got %v, want %v", wrong, got, want)
			}
		}
	})
}

// TestOrderedStepByHand: a copy takes the place of no other, though somebody wrote the numbers by hand.
func TestOrderedStepByHand(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		sc.Store.WriteLayout(2)
		orderedStep(t, sc, []string{"s"}, "a:1", "a:2", "a:3")
		check(t, sc.Client.HSet(sc.Ctx, "medis:{0}:line:s", "ca", "1").Err()) // as if nothing waited
		orderedStep(t, sc, []string{"s"}, "a:4", "b:1", "a:5")
		if n := sc.Client.HLen(sc.Ctx, "medis:{0}:wait:s").Val(); n != 4 {
			t.Errorf("%d copies wait, want 4", n)
		}
	})
}

// TestOrderedLinesDeleted: what waits is delivered, though somebody deleted the lines and a copy of another key made them again.
func TestOrderedLinesDeleted(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for _, busy := range []bool{false, true} {
			env.Flush(t)
			sc := newScene(t, env)
			sc.Store.WriteLayout(2)
			orderedStep(t, sc, []string{"s"}, "a:1", "a:2", "a:3", "b:1", "b:2")
			check(t, sc.Client.Del(sc.Ctx, "medis:{0}:line:s").Err())
			want := map[string]string{"a": "1 2 3", "b": "1 2"}
			if busy {
				orderedStep(t, sc, []string{"s"}, "c:1")
				want["c"] = "1"
			}
			for range 10 {
				straighten(t, sc, true)
			}
			if got := inOrder(t, sc); !maps.Equal(got, want) {
				t.Errorf("a copy at once: %t: got %v, want %v", busy, got, want)
			}
		}
	})
}
