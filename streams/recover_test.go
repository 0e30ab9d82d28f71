package streams_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

func texts(items []medispatcher.RecoverItem) (out []string) {
	for _, item := range items {
		out = append(out, item.Text)
	}
	return out
}

func tokens(items []medispatcher.RecoverItem) (out []string) {
	for _, item := range items {
		out = append(out, item.Token)
	}
	return out
}

func TestFindRecoverLists(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		for _, list := range []string{"medis:recover:a", "medis:recover:{t}b", "medis:recover:", "medis:recovered", "other:recover:a", "xmedis:recover:a"} {
			check(t, sc.Client.RPush(sc.Ctx, list, "x").Err())
		}
		check(t, sc.Client.Set(sc.Ctx, "medis:recover:wrong", "x", 0).Err())
		check(t, sc.Client.HSet(sc.Ctx, "medis:recovering:{medis:recover:gone}", "tok.1", "x").Err())
		check(t, sc.Client.HSet(sc.Ctx, "medis:recovering:medis:recover:{t}gone", "tok.1", "x").Err())
		check(t, sc.Client.HSet(sc.Ctx, "medis:recovering:nonsense", "tok.1", "x").Err())
		lists := streams.NewRecoverLists(sc.Store)
		want := []medispatcher.RecoverList{
			{Name: "medis:recover:", Type: "list"},
			{Name: "medis:recover:a", Type: "list"},
			{Name: "medis:recover:gone", Type: "none", InHand: true},
			{Name: "medis:recover:wrong", Type: "string"},
			{Name: "medis:recover:{t}b", Type: "list"},
			{Name: "medis:recover:{t}gone", Type: "none", InHand: true},
		}
		if got := must[[]medispatcher.RecoverList](t)(lists.Find(sc.Ctx)); !slices.Equal(got, want) {
			t.Errorf("found %+v\nwant  %+v", got, want)
		}
		for _, l := range want {
			if l.Type != "list" {
				continue
			}
			items := must[[]medispatcher.RecoverItem](t)(lists.Take(sc.Ctx, l.Name, 10, 100))
			if !slices.Equal(texts(items), []string{"x"}) {
				t.Errorf("%s: took %q", l.Name, items)
			}
			check(t, lists.Drop(sc.Ctx, l.Name, tokens(items)))
		}
		if got := must[[]medispatcher.RecoverList](t)(lists.Find(sc.Ctx)); len(got) != 3 {
			t.Errorf("left %+v, want the one of a wrong type and two with items in hand", got)
		}
	})
}

// TestFindAmongManyKeys: each look is bounded, so a large Redis may need several to find a list.
func TestFindAmongManyKeys(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	sc := newScene(t, env)
	pipe := sc.Client.Pipeline()
	for i := range 60_000 {
		pipe.Set(sc.Ctx, fmt.Sprintf("medis:{0}:seen:%d", i), "", 0)
	}
	check(t, second(pipe.Exec(sc.Ctx)))
	check(t, sc.Client.RPush(sc.Ctx, "medis:recover:needle", "x").Err())
	lists := streams.NewRecoverLists(sc.Store)
	for look := 1; ; look++ {
		if found := must[[]medispatcher.RecoverList](t)(lists.Find(sc.Ctx)); len(found) == 1 {
			break
		}
		if look == 10 {
			t.Fatal("not found in ten looks")
		}
	}
	items := must[[]medispatcher.RecoverItem](t)(lists.Take(sc.Ctx, "medis:recover:needle", 1, 1))
	check(t, lists.Drop(sc.Ctx, "medis:recover:needle", tokens(items)))
	check(t, sc.Client.LPush(sc.Ctx, "medis:recover:needle", "y").Err())
	if found := must[[]medispatcher.RecoverList](t)(lists.Find(sc.Ctx)); len(found) != 1 {
		t.Error("a list that was used lately was not found at once")
	}
}

func TestTakeIsBounded(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		big := strings.Repeat("b", 300)
		list := parked("1", "2\x00\xff", "3", big, "4")(t, sc)
		lists := streams.NewRecoverLists(sc.Store)
		var took []string
		for range 4 {
			items := must[[]medispatcher.RecoverItem](t)(lists.Take(sc.Ctx, list, 2, 100))
			again := must[[]medispatcher.RecoverItem](t)(lists.Take(sc.Ctx, list, 2, 100))
			if !slices.Equal(items, again) {
				t.Errorf("while %q is in hand, others get %q", items, again)
			}
			took = append(took, strings.Join(texts(items), ","))
			check(t, lists.Drop(sc.Ctx, list, tokens(items)))
		}
		if want := []string{"1,2\x00\xff", "3", big, "4"}; !slices.Equal(took, want) {
			t.Errorf("took %q, want %q", took, want)
		}
		if items := must[[]medispatcher.RecoverItem](t)(lists.Take(sc.Ctx, list, 2, 100)); len(items) > 0 {
			t.Errorf("took %q of an empty list", items)
		}
		if got := sc.State(t); got != "" {
			t.Errorf("left %s", got)
		}
	})
}

// TestTakeKeepsTheOrder: items in hand keep the order of the list, although a hash has none.
func TestTakeKeepsTheOrder(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		var want []string
		for i := range 128 {
			want = append(want, fmt.Sprintf("%d %s", i, strings.Repeat("x", 100)))
			parked(want[i])(t, sc)
		}
		lists := streams.NewRecoverLists(sc.Store)
		for range 2 {
			items := must[[]medispatcher.RecoverItem](t)(lists.Take(sc.Ctx, "medis:recover:l", 128, 1<<20))
			if !slices.Equal(texts(items), want) {
				t.Errorf("order lost: %.60q", texts(items))
			}
		}
	})
}

// TestTakeFromAFullRedis: taking must work while Redis is full, because parked messages may fill it.
func TestTakeFromAFullRedis(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	sc := newScene(t, env)
	list := parked("1", "2", "3")(t, sc)
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "1").Err())
	lists := streams.NewRecoverLists(sc.Store)
	items := must[[]medispatcher.RecoverItem](t)(lists.Take(sc.Ctx, list, 10, 100))
	if !slices.Equal(texts(items), []string{"1", "2", "3"}) {
		t.Errorf("took %q", items)
	}
	check(t, lists.Drop(sc.Ctx, list, tokens(items)))
	if done := must[[]medispatcher.OnceDone](t)(sc.Store.WriteOnce(sc.Ctx, 0, []medispatcher.Once{{Token: "t", Message: message("a")}}, time.Hour, false)); done[0].Err == nil || !strings.Contains(done[0].Err.Error(), "OOM") {
		t.Errorf("%+v, want OOM", done)
	}
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "0").Err())
	if got := sc.State(t); got != "" {
		t.Errorf("a refused step left %s", got)
	}
}

func TestWriteOnce(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		check(t, sc.Client.Set(sc.Ctx, "medis:{0}:ch:bad", "x", 0).Err())
		entry := must[string](t)(sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:ch:kept", Values: []any{"topic", "a"}}).Result())
		m := medispatcher.Message{
			ID: "0-7-1", Generated: true, Topic: "a.b", Body: []byte("\xff\x00"), Sender: "s", Key: "k", Type: "text/plain",
			Headers: map[string]string{"X-A": "b"}, Time: time.UnixMilli(1_700_000_000_123),
		}
		list := []medispatcher.Once{
			{Token: "b.1", Message: medispatcher.Message{Topic: "a", Body: []byte("1")}},
			{Token: "b.2", Message: medispatcher.Message{Topic: "a", Body: []byte("2"), ID: "p"}},
			{Token: "b.2", Message: medispatcher.Message{Topic: "a", Body: []byte("2 again")}},
			{Token: "c", Message: m, Subscription: "s"},
			{Token: "d", Message: m, Subscription: "bad"},
			{Token: "e", Message: m, Subscription: "kept", Unless: entry},
			{Token: "f", Message: m, Subscription: "kept", Unless: "1-1"},
			{Token: "g", Reason: "why", Raw: "\xfe", Source: "here"},
		}
		results := func(done []medispatcher.OnceDone) (out []string) {
			for _, d := range done {
				if d.Err != nil {
					out = append(out, "error")
				} else {
					out = append(out, string(d.Result))
				}
			}
			return out
		}
		for i, want := range []string{
			"[written written written written error there written written]", // as in a dry run, except for the marker of b.2
			"[written written already written error there written written]",
			"[already already already already error there already already]",
		} {
			done := must[[]medispatcher.OnceDone](t)(sc.Store.WriteOnce(sc.Ctx, 0, list, time.Hour, i == 0))
			if got := fmt.Sprint(results(done)); got != want {
				t.Errorf("run %d\n got  %s\n want %s", i, got, want)
			}
		}
		if got, want := sc.State(t), "#quarantined=1, #recovered=2, #recovered:kept=1, #recovered:s=1, ch:bad=set, ch:kept=2, ch:s=1, incoming=2, quarantine=1, quarantine:size=2, recovered:b=2, recovered:c=1, recovered:f=1, recovered:g=1"; got != want {
			t.Errorf("state\n got  %s\n want %s", got, want)
		}
		got := read(t, sc.Store)[0].Message
		if fmt.Sprint(got) != fmt.Sprint(m) {
			t.Errorf("read %+v\nwant %+v", got, m)
		}
		q := sc.Client.XRange(sc.Ctx, "medis:{0}:quarantine", "-", "+").Val()[0].Values
		if q["reason"] != "why" || q["raw"] != "\xfe" || q["source"] != "here" || len(q) != 3 {
			t.Errorf("quarantined %q", q)
		}
		if ttl := sc.Client.PTTL(sc.Ctx, "medis:{0}:recovered:b").Val(); ttl <= 0 || ttl > time.Hour {
			t.Errorf("the marker lives for %s", ttl)
		}
	})
}

// TestKeptCopyIsTakenOut: what recover writes is no longer kept, and what was replayed is not recovered.
func TestKeptCopyIsTakenOut(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		keep := func() (token, kept string, m medispatcher.Message) {
			m = message("a.b")
			id := sc.Incoming(t, "topic", "a.b", "body", "x")
			check(t, fanout(sc, streams.Routing{EntryID: id, Message: m, Src: id})) // unroutable
			token = medispatcher.KeptToken(id, "")
			m.ID, m.Generated = "0-"+id, true
			return token, must[map[string]string](t)(sc.Store.KeptTokens(sc.Ctx, medispatcher.PlaceUnrouted, 0))[token], m
		}
		token, kept, m := keep()
		once := medispatcher.Once{Token: token, Message: m, KeptIn: medispatcher.PlaceUnrouted, Kept: kept}
		check(t, writeOnce(sc, once))
		e := must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 10, false))[0]
		if src := e.Fields()["~src"]; "0-"+src != m.ID || sc.Client.XLen(sc.Ctx, "medis:{0}:unrouted").Val() != 0 {
			t.Errorf("the message %s was made from %q, and is still kept: %s", m.ID, src, sc.State(t))
		}

		token, kept, m = keep()
		check(t, second(sc.Store.ReplayKept(sc.Ctx, medispatcher.PlaceUnrouted, []string{"0-" + kept}, keptRules())))
		done := must[[]medispatcher.OnceDone](t)(sc.Store.WriteOnce(sc.Ctx, 0, []medispatcher.Once{{Token: token, Message: m}}, time.Hour, false))
		if done[0].Err != nil || done[0].Result != medispatcher.OnceAlready {
			t.Errorf("recovered after the replay: %+v", done)
		}
	})
}

// TestTokensOfCopies: a copy that a channel refused is known by its incoming entry and its subscription; one that WriteOnce saved is not,
// because no line names it. Reasons do not count: they are words.
func TestTokensOfCopies(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		refused := sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:quarantine", Values: []any{
			"reason", "REDISTFAIL medis:{0}:ch:s is odd (whatever that is)", "source", "7-7", "topic", "a.b", "body", "x",
		}}).Val()
		check(t, writeOnce(sc, medispatcher.Once{Token: "k", Message: message("a.b"), Subscription: "s", Reason: "it is gone", Source: "8-8"}))
		got := must[map[string]string](t)(sc.Store.KeptTokens(sc.Ctx, medispatcher.PlaceQuarantine, 0))
		if len(got) != 1 || got[medispatcher.KeptToken("7-7", "s")] != refused {
			t.Errorf("tokens %v, want that of %s", got, refused)
		}
		check(t, second(sc.Store.ReplayAllKept(sc.Ctx, medispatcher.PlaceQuarantine, keptRules(), func(_, _ int64) bool { return true })))
		for _, e := range sc.Client.XRange(sc.Ctx, "medis:{0}:ch:s", "-", "+").Val() {
			if _, there := e.Values["~entry"]; there {
				t.Errorf("replayed %v", e.Values)
			}
		}
	})
}

func TestEachPending(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		var ids []string
		for range 3 {
			ids = append(ids, sc.Buried(t))
		}
		check(t, sc.Client.XDel(sc.Ctx, "medis:{0}:ch:s", ids[1]).Err()) // by hand
		each := func(consumer, skip string, most int) (got []string) {
			check(t, sc.Store.EachPending(sc.Ctx, channelS, consumer, func(id string) bool { return id != skip }, func(d medispatcher.Delivery) bool {
				if d.Message.Topic != "a.b" || string(d.Message.Body) != "x" || d.Channel != channelS {
					t.Errorf("%+v", d)
				}
				got = append(got, d.EntryID)
				return len(got) < most
			}))
			return got
		}
		if got := each("me", "", 9); !slices.Equal(got, []string{ids[0], ids[2]}) {
			t.Errorf("%v of %v", got, ids)
		}
		if got := each("me", ids[0], 9); !slices.Equal(got, ids[2:]) {
			t.Errorf("%v", got)
		}
		if got := each("me", "", 1); !slices.Equal(got, ids[:1]) {
			t.Errorf("%v", got)
		}
		if got := each("nobody", "", 9); got != nil {
			t.Errorf("%v", got)
		}
	})
}
