package streams_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

func matchOf(t *testing.T, text string) medispatcher.Match {
	t.Helper()
	return must[medispatcher.Match](t)(medispatcher.ParseMatch(text))
}

// atMost says yes so often.
func atMost(n int64) func(int64) bool { return func(looked int64) bool { return looked < n } }

// TestSearchDead: a search finds every letter that matches once, in both orders, however often it is cut short; what is counted
// is what is replayed or purged; and what died after the count stays.
func TestSearchDead(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 3
		sc := newSceneOf(t, env, cfg)
		die := func(p int, entry, body string) {
			t.Helper()
			check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: fmt.Sprintf("medis:{%d}:dead:s", p), ID: entry, Values: []any{
				"topic", "a.b", "body", body, "~src", entry, "failure", `{"attempts":2,"last_error":"status 500: <Full>"}`,
			}}).Err())
		}
		var want []string
		for i := range 90 {
			p, entry := i*7%3, fmt.Sprintf("%d-%d", 1000+i/10, i%10+1)
			body := fmt.Sprintf("order %d", i)
			if i%3 == 0 {
				body = fmt.Sprintf("Customer %d", i)
				want = append(want, fmt.Sprintf("%d-%s", p, entry))
			}
			die(p, entry, body)
		}
		for _, newest := range []bool{false, true} {
			for _, cut := range []int64{1, 7, 1000} {
				var got []string
				q := medispatcher.Search{Match: matchOf(t, "cusTOMER"), Newest: newest}
				looked := int64(0)
				for first := true; first || q.After != ""; first = false {
					page := must[medispatcher.DeadPage](t)(sc.Store.SearchDead(sc.Ctx, "s", q, 4, atMost(cut)))
					for _, l := range page.Letters {
						got = append(got, l.ID)
					}
					looked += page.Looked
					q.After = page.Next
				}
				if newest {
					slices.Reverse(got)
				}
				if !slices.Equal(got, want) || looked != 90 {
					t.Errorf("newest %v, cut after %d: looked at %d\n got  %v\n want %v", newest, cut, looked, got, want)
				}
			}
		}
		for text, n := range map[string]int64{"<full>": 90, "a.b": 90, "order": 60, "nothing": 0, "0-1000-10": 1} {
			if c := must[medispatcher.MatchCount](t)(sc.Store.CountDead(sc.Ctx, "s", medispatcher.Search{Match: matchOf(t, text)}, atMost(1000))); c.Matching != n || c.Looked != 90 || c.Next != "" {
				t.Errorf("%q: %+v, want %d", text, c, n)
			}
		}

		q := medispatcher.Search{Match: matchOf(t, "customer")}
		c := must[medispatcher.MatchCount](t)(sc.Store.CountDead(sc.Ctx, "s", q, atMost(1000)))
		die(0, "9000-1", "customer who came later")
		q.Until = c.Until
		again := must[medispatcher.MatchCount](t)(sc.Store.CountDead(sc.Ctx, "s", q, atMost(1000)))
		if c.Matching != 30 || again.Matching != 30 || again.Until != c.Until {
			t.Errorf("counted %+v, later %+v", c, again)
		}
		half := must[medispatcher.MatchDone](t)(sc.Store.ReplayMatching(sc.Ctx, "s", q, atMost(45)))
		q.After = half.Next
		rest := must[medispatcher.MatchDone](t)(sc.Store.PurgeMatching(sc.Ctx, "s", q, atMost(1000)))
		if half.Done != 15 || half.Looked != 45 || rest.Done != 15 || rest.Next != "" {
			t.Errorf("replayed %+v, purged %+v", half, rest)
		}
		ready, dead := int64(0), int64(0)
		for p := range 3 {
			ready += sc.Client.XLen(sc.Ctx, fmt.Sprintf("medis:{%d}:ch:s", p)).Val()
			dead += sc.Client.XLen(sc.Ctx, fmt.Sprintf("medis:{%d}:dead:s", p)).Val()
		}
		if ready != 15 || dead != 61 {
			t.Errorf("%d are READY and %d DEAD, want 15 and 61", ready, dead)
		}
		q.After = "nonsense"
		if _, err := sc.Store.SearchDead(sc.Ctx, "s", q, 1, atMost(1)); err == nil {
			t.Error("a search goes on after nonsense")
		}
	})
}

// TestSearchDeadLarge: a page of large letters ends early, and no letter is left out.
func TestSearchDeadLarge(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		for i := range 5 {
			check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:dead:s", ID: fmt.Sprintf("1-%d", i+1), Values: []any{"topic", "a", "body", strings.Repeat("x", 2<<20)}}).Err())
		}
		var sizes []int
		for q := (medispatcher.Search{}); len(sizes) == 0 || q.After != ""; {
			page := must[medispatcher.DeadPage](t)(sc.Store.SearchDead(sc.Ctx, "s", q, 50, atMost(1000)))
			sizes, q.After = append(sizes, len(page.Letters)), page.Next
		}
		if !slices.Equal(sizes, []int{2, 2, 1}) {
			t.Errorf("pages of %v, want 2, 2 and 1", sizes)
		}
	})
}

// TestSearchKept is TestSearchDead for messages that reached no channel.
func TestSearchKept(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 2
		sc := newSceneOf(t, env, cfg)
		for i := range 250 {
			topic := "order.craeted"
			if i%5 == 0 {
				topic = "user.gone"
			}
			check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: fmt.Sprintf("medis:{%d}:unrouted", i%2), ID: fmt.Sprintf("%d-1", 1000+i), Values: []any{"topic", topic, "body", "x"}}).Err())
		}
		q := medispatcher.Search{Match: matchOf(t, "Gone"), Newest: true}
		page := must[medispatcher.KeptPage](t)(sc.Store.SearchKept(sc.Ctx, medispatcher.PlaceUnrouted, q, 3, atMost(1000)))
		if len(page.Messages) != 3 || page.Messages[0].ID != "1-1245-1" || page.Next == "" {
			t.Errorf("%+v", page)
		}
		c := must[medispatcher.MatchCount](t)(sc.Store.CountKept(sc.Ctx, medispatcher.PlaceUnrouted, q, atMost(1000)))
		if c.Matching != 50 || c.Looked != 250 || c.Next != "" {
			t.Errorf("%+v", c)
		}
		check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:unrouted", ID: "9000-1", Values: []any{"topic", "user.gone", "body", "later"}}).Err())
		q.Until = c.Until
		done := must[medispatcher.KeptDone](t)(sc.Store.ReplayMatchingKept(sc.Ctx, medispatcher.PlaceUnrouted, q, keptRules(), atMost(125)))
		q.After = done.Next
		purged := must[medispatcher.MatchDone](t)(sc.Store.PurgeMatchingKept(sc.Ctx, medispatcher.PlaceUnrouted, q, atMost(1000)))
		if done.Replayed != 25 || done.Next == "" || purged.Done != 25 || purged.Next != "" {
			t.Errorf("replayed %+v, purged %+v", done, purged)
		}
		left := sc.Client.XLen(sc.Ctx, "medis:{0}:unrouted").Val() + sc.Client.XLen(sc.Ctx, "medis:{1}:unrouted").Val()
		if left != 201 {
			t.Errorf("%d are left, want those that do not match and the one that came later", left)
		}
	})
}
