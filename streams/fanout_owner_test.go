package streams_test

import (
	"fmt"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestFanoutOfTwo: a dispatcher that was declared dead has entries in hand that another owns by now. Whoever
// comes first moves an entry, each copy is made once, and everything is counted once.
func TestFanoutOfTwo(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		other := env.Open(t, env.Config("other"))
		move := func(s *streams.Store, r streams.Routing) string {
			t.Helper()
			m := message("a.b")
			m.ID = r.Message.ID
			r.Message = m
			routed := must[[]streams.Routed](t)(s.Fanout(sc.Ctx, 0, []streams.Routing{r}))
			return fmt.Sprint(routed[0].Result, routed[0].At)
		}
		one := sc.Incoming(t, "topic", "a.b", "body", "x")
		two := sc.Incoming(t, "topic", "a.b", "body", "x")
		three := sc.Incoming(t, "topic", "a.b", "body", "x", "id", "p1")
		if n, _, err := sc.Store.GiveBackIncoming(sc.Ctx, 0, "me", 10, false); err != nil || n != 3 {
			t.Fatal(n, err)
		}
		own := func(s *streams.Store) int {
			return len(must[[]streams.Entry](t)(s.ReadIncoming(sc.Ctx, 0, 10, true)))
		}
		if own(sc.Store) != 0 {
			t.Fatal("it still owns entries")
		}
		p1 := medispatcher.Message{ID: "p1"}
		for i, c := range []struct {
			store *streams.Store
			r     streams.Routing
			want  string
		}{
			{sc.Store, streams.Routing{EntryID: one, Subs: []string{"s", "s2"}}, "copied"},
			{other, streams.Routing{EntryID: one, Subs: []string{"s", "s2"}}, "gone"},
			{sc.Store, streams.Routing{EntryID: two, Subs: []string{"s"}, More: true}, "more"},
			{other, streams.Routing{EntryID: two, Subs: []string{"s"}, More: true}, "ats"},
			{other, streams.Routing{EntryID: two, After: "s", Subs: []string{"s2"}}, "copied"},
			{sc.Store, streams.Routing{EntryID: two, After: "s", Subs: []string{"s2"}}, "gone"},
			{other, streams.Routing{EntryID: three, Message: p1, Subs: []string{"s"}}, "copied"},
			{sc.Store, streams.Routing{EntryID: three, Message: p1, Subs: []string{"s"}}, "gone"},
		} {
			if got := move(c.store, c.r); got != c.want {
				t.Errorf("step %d: %s; it should be %s", i, got, c.want)
			}
		}
		const want = "#received:a.b=3, ch:s=3, ch:s2=2, seen:p1=set"
		if got := sc.State(t); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
