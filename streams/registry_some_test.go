package streams_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestSomeSubscriptions: who wants to see a few of many subscriptions reads the ids of all and the documents of the few.
func TestSomeSubscriptions(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		counted := &loads{}
		sc.Store.DB().AddHook(counted)
		writer := streams.NewRegistry(sc.Store, streamstest.Rules(), nil)
		var puts []medispatcher.SubscriptionPut
		var want []string
		for i := range 2500 {
			id := fmt.Sprintf("s%04d", i)
			want = append(want, id)
			puts = append(puts, medispatcher.SubscriptionPut{ID: id, Document: []byte(subDoc("t" + id))})
		}
		for _, done := range writer.PutAll(sc.Ctx, puts) {
			check(t, done.Err)
		}
		check(t, sc.Client.HSet(sc.Ctx, hashKey, "s0007", "spoiled").Err())

		var warned []string
		reader := streams.NewRegistry(sc.Store, streamstest.Rules(), func(id, _ string) { warned = append(warned, id) })
		before := counted.n.Load()
		for _, read := range []bool{false, true} {
			ids, revision, err := reader.IDs(sc.Ctx)
			check(t, err)
			if read { // it cannot be read, so the copy does not have it
				want = slices.DeleteFunc(want, func(id string) bool { return id == "s0007" })
			}
			if !slices.Equal(ids, want) || revision == 0 {
				t.Errorf("with a copy %t: %d ids at revision %d", read, len(ids), revision)
			}
			subs, unusable, err := reader.Some(sc.Ctx, []string{"s2499", "none", "s0007", "s0001"})
			check(t, err)
			if len(subs) != 2 || subs[0].Topic != "ts2499" || subs[1].ID != "s0001" || !slices.Equal(unusable, []string{"s0007"}) {
				t.Errorf("with a copy %t: %v and %v", read, subs, unusable)
			}
			if n := counted.n.Load() - before; !read && n != 0 {
				t.Errorf("every document was read %d times", n)
			}
			check(t, err2(reader.Latest(sc.Ctx)))
		}
		if !slices.Contains(warned, "s0007") {
			t.Errorf("no word about the spoiled document, but about %v", warned)
		}
	})
}
