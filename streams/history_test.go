package streams_test

import (
	"errors"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestChanges: the history is written in the same step as the change, once, also if the reply is lost.
func TestChanges(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
		put := func(ctx string, doc string) error {
			_, _, _, err := registry.Put(medispatcher.WithActor(sc.Ctx, ctx), "a", []byte(doc), "")
			return err
		}
		check(t, put("ann", `{"topic":"t","urls":["http://h/"]}`))
		check(t, put("ann", `{"topic":"t","urls":["http://h/"]}`)) // no change
		sc.Faults.Next(streamstest.After, 1, "evalsha")
		if err := put("bob", `{"topic":"t","urls":["http://h/"],"concurrency":9}`); !errors.Is(err, streamstest.ErrInjected) {
			t.Fatalf("no command met the fault: %v", err)
		}
		check(t, put("bob", `{"topic":"t","urls":["http://h/"],"concurrency":9}`))
		_, _, _, err := registry.Put(sc.Ctx, "b", []byte(`{"topic":"t","urls":["http://h/"]}`), "")
		check(t, err)
		check(t, registry.Remove(medispatcher.WithActor(sc.Ctx, "eve"), "a", ""))

		list := func(id, before string, limit int) []medispatcher.Change {
			return must[[]medispatcher.Change](t)(sc.Store.Changes(sc.Ctx, id, before, limit))
		}
		got := list("a", "", 10)
		if len(got) != 3 || got[0].What != medispatcher.Removed || got[0].By != "eve" ||
			got[1].By != "bob" || string(got[1].Fields["concurrency"].To) != "9" || len(got[1].Fields) != 1 ||
			got[2].What != medispatcher.Created || got[2].By != "ann" || got[2].Subscription != "a" || got[2].Time.IsZero() {
			t.Errorf("changes %+v", got)
		}
		if all := list("", "", 2); len(all) != 2 || all[1].Subscription != "b" {
			t.Errorf("changes of all %+v", all)
		}
		if rest := list("a", got[1].ID, 10); len(rest) != 1 || rest[0].ID != got[2].ID {
			t.Errorf("the page after %s is %+v", got[1].ID, rest)
		}
		for _, bad := range []string{"0-0", "x", "1-"} {
			if _, err := sc.Store.Changes(sc.Ctx, "", bad, 1); !isField(err) {
				t.Errorf("before %q: %v", bad, err)
			}
		}
	})
}

func isField(err error) bool {
	_, is := errors.AsType[medispatcher.FieldError](err)
	return is
}
