package trail_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
	"github.com/solate/medispatcher/streams/trail"
)

// TestDeeds: the audit trail holds the history of subscriptions and everything else in one order, and pages through it.
func TestDeeds(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		tr := trail.New(sc.Store)
		registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
		var want []string
		for i := range 5 {
			by := fmt.Sprint("ann", i)
			_, _, _, err := registry.Put(medispatcher.WithActor(sc.Ctx, by), "a", fmt.Appendf(nil, `{"topic":"t","urls":["http://h/"],"concurrency":%d}`, i+1), "")
			streamstest.Check(t, err)
			d := medispatcher.Deed{By: by, From: "10.0.0.7", What: "purge-unrouted", Counts: map[string]int64{"purged": 3}, Error: strings.Repeat("é", 10_000)}
			d.Name(strings.Split(strings.Repeat("0-1-1 ", 1000), " "))
			streamstest.Check(t, tr.Note(sc.Ctx, d))
			what := medispatcher.DeedChangeSub
			if i == 0 {
				what = medispatcher.DeedCreateSub
			}
			want = append([]string{by + " purge-unrouted", by + " " + what}, want...)
		}
		for _, limit := range []int{1, 2, 3, 7, 100, 500} {
			var got []string
			before, last := "", time.Now().Add(time.Hour)
			for {
				page := streamstest.Must[[]medispatcher.Deed](t)(tr.Deeds(sc.Ctx, before, limit))
				for _, d := range page {
					got = append(got, d.By+" "+d.What)
					before = d.ID
					if d.Time.IsZero() || len(d.Error) > 400 || len(d.IDs) > 10 || d.What == "purge-unrouted" && (d.Counts["purged"] != 3 || d.Named != 1001) {
						t.Errorf("%+v", d)
					}
					if d.Time.After(last) {
						t.Errorf("%s is after the one before it", d.ID)
					}
					last = d.Time
				}
				if len(page) < limit {
					break
				}
			}
			// The two of one millisecond may be in either order.
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d: %q, want %q", limit, got, want)
			}
		}
		for _, bad := range []string{"$", "x", "1", "1-", "-1", "1-2-3", "0-0"} {
			if _, err := tr.Deeds(sc.Ctx, bad, 1); !isField(err) {
				t.Errorf("before %q: %v", bad, err)
			}
			if _, err := sc.Store.Changes(sc.Ctx, "", bad, 1); !isField(err) {
				t.Errorf("changes before %q: %v", bad, err)
			}
		}
	})
}

func isField(err error) bool {
	_, is := errors.AsType[medispatcher.FieldError](err)
	return is
}

// TestTies: a change and a deed of the same id both appear once, wherever a page ends.
func TestTies(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		tr := trail.New(sc.Store)
		for i := 1; i <= 3; i++ {
			id := fmt.Sprintf("1767225600000-%d", i)
			streamstest.Check(t, env.Client.Do(sc.Ctx, "XADD", "medis:deeds:{medis:subscriptions}", id, "deed", fmt.Sprintf(`{"what":"d%d"}`, i)).Err())
			streamstest.Check(t, env.Client.Do(sc.Ctx, "XADD", "medis:changes:{medis:subscriptions}", id, "subscription", fmt.Sprintf("s%d", i), "change", `{"what":"changed"}`).Err())
		}
		for limit := 1; limit <= 7; limit++ {
			got, before := "", ""
			for {
				page := streamstest.Must[[]medispatcher.Deed](t)(tr.Deeds(sc.Ctx, before, limit))
				for _, d := range page {
					got += " " + d.What + d.Subscription
					before = d.ID
				}
				if len(page) < limit {
					break
				}
			}
			if got != " change-subscriptions3 d3 change-subscriptions2 d2 change-subscriptions1 d1" && got != " d3 change-subscriptions3 d2 change-subscriptions2 d1 change-subscriptions1" {
				t.Errorf("pages of %d:%s", limit, got)
			}
		}
	})
}

// TestTrailIsBounded: neither deeds nor ended sessions grow for ever.
func TestTrailIsBounded(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		tr := trail.New(sc.Store)
		pipe := env.Client.Pipeline()
		for i := range 12_000 {
			pipe.Do(sc.Ctx, "XADD", "medis:deeds:{medis:subscriptions}", "*", "deed", `{"what":"x"}`)
			pipe.Do(sc.Ctx, "ZADD", "medis:sessions:ended", time.Now().Add(time.Hour).Unix(), fmt.Sprint(i))
		}
		_, err := pipe.Exec(sc.Ctx)
		streamstest.Check(t, err)
		streamstest.Check(t, tr.Note(sc.Ctx, medispatcher.Deed{What: "last"}))
		streamstest.Check(t, tr.EndSession(sc.Ctx, "old", time.Now().Add(-2*time.Hour)))
		streamstest.Check(t, tr.EndSession(sc.Ctx, "mine", time.Now().Add(2*time.Hour)))
		if n := env.Client.XLen(sc.Ctx, "medis:deeds:{medis:subscriptions}").Val(); n > 10_200 {
			t.Errorf("%d deeds are kept", n)
		}
		if n := env.Client.ZCard(sc.Ctx, "medis:sessions:ended").Val(); n != 10_000 {
			t.Errorf("%d sessions are kept", n)
		}
		for id, want := range map[string]bool{"mine": true, "old": false, "another": false} {
			if ended := streamstest.Must[bool](t)(tr.SessionEnded(sc.Ctx, id)); ended != want {
				t.Errorf("session %s has ended: %v", id, ended)
			}
		}
	})
}
