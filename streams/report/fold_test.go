package report_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

const nowKey = "medis:stats:{0}:now"

// folding folds counts until the test ends.
func folding(t *testing.T, sc *streamstest.Scene) {
	t.Helper()
	ctx, cancel := context.WithCancel(sc.Ctx)
	var g errgroup.Group
	g.Go(func() error { return sc.Store.FoldCounts(ctx, func() int64 { return 0 }) })
	t.Cleanup(func() {
		cancel()
		streamstest.Check(t, g.Wait())
	})
}

func awaitFolded(t *testing.T, sc *streamstest.Scene) {
	t.Helper()
	for sc.Client.Exists(sc.Ctx, nowKey).Val() > 0 {
		if sc.Ctx.Err() != nil {
			t.Fatal("the counts are not folded")
		}
	}
}

// TestFoldCounts: what steps counted is in the hashes of its second, minute and hour a second later, and in every window meanwhile.
func TestFoldCounts(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		folding(t, sc)
		made := int64(0)
		for sc.Client.Exists(sc.Ctx, nowKey).Val() == 0 {
			sc.Ready(t)
			made++
		}
		r := report.New(sc.Store)
		read := func() medispatcher.Windows {
			w := streamstest.Must[map[string]medispatcher.Windows](t)(r.Windows(sc.Ctx, []string{"received:a.b"}))["received:a.b"]
			w.Second, w.TenSeconds = 0, 0
			return w
		}
		folded := func() bool { return len(sc.Client.Keys(sc.Ctx, "medis:stats:{0}:s*").Val()) > 0 }
		for n := 0; n < 100 || !folded(); n++ { // they are folded while steps go on counting
			if sc.Ctx.Err() != nil {
				t.Fatal("the counts are not folded")
			}
			sc.Ready(t)
			made++
			got := read()
			got.Minute = 0 // it ends with the last full second
			if want := (medispatcher.Windows{Hour: made, Day: made, Total: made}); got != want {
				t.Fatalf("windows\n got  %+v\n want %+v", got, want)
			}
		}
		awaitFolded(t, sc)
		if got := read(); got != (medispatcher.Windows{Minute: made, Hour: made, Day: made, Total: made}) {
			t.Errorf("windows of %d messages: %+v", made, got)
		}
		sums := map[string]int64{}
		for _, key := range sc.Client.Keys(sc.Ctx, "medis:stats:{0}:*").Val() {
			n, _ := sc.Client.HGet(sc.Ctx, key, "received:a.b").Int64()
			sums[strings.TrimPrefix(key, "medis:stats:{0}:")[:1]] += n
			if ttl := sc.Client.TTL(sc.Ctx, key).Val(); (ttl > 0) != !strings.HasSuffix(key, ":total") {
				t.Errorf("%s lives for %s", key, ttl)
			}
		}
		if want := map[string]int64{"s": made, "m": made, "h": made, "t": made}; !maps.Equal(sums, want) {
			t.Errorf("sums %v, want %v", sums, want)
		}
	})
}

// TestFoldManyCounts: counts of so many names that several steps fold them are in each window once, at any moment.
func TestFoldManyCounts(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		const names = 1000
		at := streamstest.Must[time.Time](t)(sc.Client.Time(sc.Ctx).Result()).Unix() - 10
		args := []any{"~at", at, "~topics", names * 114, "quarantined", 7}
		fields, sum := []string{"received:", "quarantined"}, int64(0)
		want := map[string]int64{"quarantined": 7}
		for i := range names {
			field, n := fmt.Sprintf("received:t%04d", i), int64(1+i%9)
			args, fields, sum = append(args, field, n), append(fields, field), sum+n
			want[field] = n
		}
		want["received:"] = sum
		streamstest.Check(t, sc.Client.HSet(sc.Ctx, nowKey, append(args, "received:", sum)...).Err())
		r := report.New(sc.Store)
		compare := func() {
			got := streamstest.Must[map[string]medispatcher.Windows](t)(r.Windows(sc.Ctx, fields))
			for field, n := range want {
				if w := got[field]; w.Minute != n || w.Hour != n || w.Day != n || w.Total != 0 {
					t.Fatalf("%s is counted %d times: %+v", field, n, w)
				}
			}
		}
		compare()
		folding(t, sc)
		for sc.Client.Exists(sc.Ctx, nowKey).Val() > 0 {
			compare()
		}
		compare()
		second := sc.Client.HGetAll(sc.Ctx, fmt.Sprintf("medis:stats:{0}:s%d", at)).Val()
		if second["~topics"] != fmt.Sprint(names*114) {
			t.Errorf("the names take %s bytes", second["~topics"])
		}
	})
}

// TestFoldWhatIsLeft: counts that a dead process left belong to the time when they were counted.
func TestFoldWhatIsLeft(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		at := streamstest.Must[time.Time](t)(sc.Client.Time(sc.Ctx).Result()).Unix() - 7200
		streamstest.Check(t, sc.Client.HSet(sc.Ctx, nowKey, "~at", at, "sent:s", 5, "sent:", 5, "~subs", 106).Err())
		r := report.New(sc.Store)
		compare := func() {
			t.Helper()
			got := streamstest.Must[map[string]medispatcher.Windows](t)(r.Windows(sc.Ctx, []string{"sent:s"}))["sent:s"]
			if got != (medispatcher.Windows{Day: 5}) {
				t.Errorf("windows %+v", got)
			}
		}
		compare()
		folding(t, sc)
		awaitFolded(t, sc)
		compare()
		if n := sc.Client.HGet(sc.Ctx, fmt.Sprintf("medis:stats:{0}:m%d", at/60), "sent:s").Val(); n != "5" {
			t.Errorf("its minute has %q", n)
		}
	})
}

// TestFoldByHand: whatever somebody made of the hash, folding ends.
func TestFoldByHand(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for name, fields := range map[string][]any{
			"no second":         {"sent:s", 5},
			"no number":         {"~at", "soon", "sent:s", 5},
			"counts no numbers": {"~at", "1", "sent:s", "five", "sent:", "x", "~subs", "y", "sent:t", 5},
			"nothing but that":  {"~at", "1"},
		} {
			t.Run(name, func(t *testing.T) {
				sc := streamstest.NewScene(t, env)
				env.Flush(t)
				streamstest.Check(t, sc.Client.HSet(sc.Ctx, nowKey, fields...).Err())
				folding(t, sc)
				awaitFolded(t, sc)
			})
		}
	})
}

// TestFoldOutOfMemory: a Redis that takes nothing loses no counts.
func TestFoldOutOfMemory(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	sc := streamstest.NewScene(t, env)
	at := streamstest.Must[time.Time](t)(sc.Client.Time(sc.Ctx).Result()).Unix() - 10
	streamstest.Check(t, sc.Client.HSet(sc.Ctx, nowKey, "~at", at, "sent:s", 5, "sent:", 5).Err())
	streamstest.Check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "1").Err())
	folding(t, sc)
	for !strings.Contains(sc.Client.Info(sc.Ctx, "errorstats").Val(), "OOM") {
		if sc.Ctx.Err() != nil {
			t.Fatal("nothing tried to fold")
		}
	}
	if n := sc.Client.HGet(sc.Ctx, nowKey, "sent:s").Val(); n != "5" {
		t.Errorf("%q are left", n)
	}
	streamstest.Check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "0").Err())
	awaitFolded(t, sc)
	got := streamstest.Must[map[string]medispatcher.Windows](t)(report.New(sc.Store).Windows(sc.Ctx, []string{"sent:s"}))["sent:s"]
	if got.Minute != 5 || got.Hour != 5 || got.Day != 5 {
		t.Errorf("windows %+v", got)
	}
}
