package streams_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestCopyLayouts: whichever layout the fan-out writes, the message is the same wherever it is read. Only
// channels hold the second layout: what an operator may find there after months has a field for each value.
func TestCopyLayouts(t *testing.T) {
	t.Parallel()
	all := []any{"topic", "a.b", "body", "x\n\n\xff", "sender", "shop", "key", "k", "type", "text/plain", "headers", `{"b":"2", "a":"1"}`, "time", "1700000000000"}
	for name, c := range map[string]struct {
		fields []any
		want   string // the copy in the second layout
	}{
		"the least": {[]any{"topic", "a.b", "body", ""}, "topic a.b\nsrc SRC\n\n"},
		"all of it": {append([]any{"id", "p-1"}, all...), "topic a.b\nid p-1\ntime 1700000000000\nsender shop\nkey k\ntype text/plain\nheaders {\"a\":\"1\",\"b\":\"2\"}\n\nx\n\n\xff"},
		"repeated":  {append(append([]any{"body", "old", "topic", "old"}, all...), "m", "topic evil\n\nevil"), "topic a.b\nsrc SRC\ntime 1700000000000\nsender shop\nkey k\ntype text/plain\nheaders {\"a\":\"1\",\"b\":\"2\"}\n\nx\n\n\xff"},
		"replayed":  {[]any{"topic", "a.b", "body", "x", "~src", "5-0"}, "topic a.b\nsrc 5-0\ntime TIME\n\nx"},
	} {
		t.Run(name, func(t *testing.T) {
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				var got []medispatcher.Message
				for _, layout := range []int{1, 2} {
					env.Flush(t)
					sc := newScene(t, env)
					sc.Store.WriteLayout(layout)
					router := medispatcher.NewRouter([]medispatcher.Subscription{{ID: "s", Topic: "a.b"}})
					w := &streams.FanoutWorker{Store: sc.Store, MaxBody: 100}
					_, err := sc.Store.ReadIncoming(sc.Ctx, 0, 1, true)
					check(t, err)
					const id = "1700000000123-4"
					check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", ID: id, Values: c.fields}).Err())
					for _, e := range must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 1, false)) {
						check(t, fanout(sc, w.Decide(e, router)))
					}
					raw := sc.Client.XRange(sc.Ctx, "medis:{0}:ch:s", "-", "+").Val()[0].Values
					want := strings.NewReplacer("SRC", id, "TIME", "1700000000123").Replace(c.want)
					if whole, is := raw["m"]; layout == 2 && (whole != want || len(raw) != 1) || layout == 1 && is {
						t.Errorf("layout %d:\n got  %q\n want %q", layout, raw, want)
					}

					d := read(t, sc.Store)[0]
					got = append(got, d.Message)
					failed := settlement(d.EntryID, medispatcher.Failed)
					failed[0].Delay = 0
					check(t, sc.Store.Retry(sc.Ctx, 0, failed))
					due, _, err := sc.Store.Due(sc.Ctx, 0, []medispatcher.Want{{Channel: channelS, Max: 1}})
					check(t, err)
					got = append(got, due[0].Message)
					failed[0].Attempt, failed[0].Outcome = 2, medispatcher.Exhausted
					check(t, sc.Store.Kill(sc.Ctx, 0, failed))
					dead := must[[]medispatcher.DeadLetter](t)(sc.Store.DeadLetters(sc.Ctx, "s", "", 1))[0]
					got = append(got, dead.Message)
					if raw := sc.Client.XRange(sc.Ctx, "medis:{0}:dead:s", "-", "+").Val()[0].Values; raw["topic"] != "a.b" || raw["m"] != nil {
						t.Errorf("the dead letter is %q", raw)
					}
					if n := must[int](t)(sc.Store.Replay(sc.Ctx, "s", []string{dead.ID})); n != 1 {
						t.Error(n, "replayed")
					}
					got = append(got, read(t, sc.Store)[0].Message)
				}
				for i, m := range got {
					if !reflect.DeepEqual(m, got[0]) {
						t.Errorf("message %d:\n got  %+v\n want %+v", i, m, got[0])
					}
				}
			})
		})
	}
}

// TestRefusedInEitherLayout: a channel that takes no copy sends it to the quarantine, with a field for each value.
func TestRefusedInEitherLayout(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		sc.Store.WriteLayout(2)
		check(t, sc.Client.Set(sc.Ctx, "medis:{0}:ch:s", "no stream", 0).Err())
		for i, sameTime := range []bool{false, true} {
			id, m := sc.Incoming(t, "topic", "a.b", "body", "x"), message("a.b")
			if sameTime { // the head has no line for it
				m.Time = streams.Entry{ID: id}.Time()
			}
			routed := must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: id, Message: m, Subs: []string{"r", "s"}}}))
			if routed[0].Result != streams.RoutedCopied || !reflect.DeepEqual(routed[0].Failed, []string{"s"}) {
				t.Errorf("%+v", routed)
			}
			raw := sc.Client.XRange(sc.Ctx, "medis:{0}:quarantine", "-", "+").Val()[i].Values
			if raw["topic"] != "a.b" || raw["body"] != "x" || raw["~src"] != id || raw["time"] != strconv.FormatInt(m.Time.UnixMilli(), 10) || raw["m"] != nil {
				t.Errorf("%q", raw)
			}
		}
	})
}

// oldRead is how the version before read a copy: it knows only the first layout.
func oldRead(fields map[string]any) (topic, body string) {
	topic, _ = fields["topic"].(string)
	body, _ = fields["body"].(string)
	return topic, body
}

// TestRollingUpgrade: as long as a dispatcher lives that reads only the first layout, all write that. Once none
// is left the others write the second one, and go back as soon as another such one joins.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		other := env.Open(t, env.Config("other"))
		stores := []*streams.Store{sc.Store, other}
		// An old dispatcher sends the same heartbeats, but its info does not name a layout.
		old := func(name string) *streams.Store {
			s := env.Open(t, env.Config(name))
			info := must[[]byte](t)(json.Marshal(medispatcher.Dispatcher{ID: name, Version: "1", DeadAfter: time.Minute}))
			check(t, s.Heartbeat(sc.Ctx, medispatcher.Dispatcher{DeadAfter: time.Minute}))
			check(t, sc.Client.Set(sc.Ctx, "medis:dispatcher:"+name, info, 0).Err())
			check(t, sc.Client.HDel(sc.Ctx, "medis:book:{medis:dispatchers}", name).Err()) // which it does not know
			return s
		}
		n := 0
		expect := func(when string, whole bool, late ...string) {
			t.Helper()
			for i, s := range stores {
				for range 2 {
					_, err := s.Dispatchers(sc.Ctx) // as after every heartbeat
					check(t, err)
				}
				if got := s.TakeLate(); !slices.Equal(got, late) {
					t.Errorf("%s: dispatcher %d says that %v came late; it should be %v", when, i, got, late)
				}
				if s.WritesWhole() != whole {
					t.Errorf("%s: dispatcher %d writes the second layout: %v", when, i, !whole)
				}
				n++
				body := strconv.Itoa(n)
				id := sc.Incoming(t, "topic", "a.b", "body", body)
				routed := must[[]streams.Routed](t)(s.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: id, Message: message("a.b"), Subs: []string{"s"}}}))
				if routed[0].Result != streams.RoutedCopied {
					t.Fatalf("%+v", routed)
				}
				last := sc.Client.XRevRangeN(sc.Ctx, "medis:{0}:ch:s", "+", "-", 1).Val()[0]
				if topic, got := oldRead(last.Values); !whole && (topic != "a.b" || got != body) {
					t.Errorf("%s: an old dispatcher reads %q", when, last.Values)
				}
				if got := read(t, sc.Store); len(got) != 1 || string(got[0].Message.Body) != body || got[0].Message.Topic != "a.b" {
					t.Errorf("%s: a new dispatcher reads %+v", when, got)
				}
			}
		}
		for _, s := range stores {
			s.WriteLayout(0)
			if s.WritesWhole() {
				t.Error("it has not looked yet, and writes the second layout")
			}
		}
		first := old("old")
		for _, s := range stores {
			check(t, s.Heartbeat(sc.Ctx, medispatcher.Dispatcher{DeadAfter: time.Minute}))
		}
		expect("one is old", false)
		check(t, first.Leave(sc.Ctx))
		expect("all are new", true)
		second := old("old, too")
		expect("an old one joined", false, "old, too")
		expect("it is still there", false)
		check(t, second.Leave(sc.Ctx))
		expect("it left", true)
		fixed := env.Config("fixed")
		fixed.CopyLayout = 1
		stores = []*streams.Store{env.Open(t, fixed)}
		expect("by configuration", false)
	})
}

// TestCalm: a dispatcher that reads only the first layout may have crashed, and start again. One look counts
// for a while only, and an earlier look does not undo a later one.
func TestCalm(t *testing.T) {
	t.Parallel()
	now := time.Now()
	alive := medispatcher.Dispatcher{Alive: true, Heartbeat: now, Copies: 2}
	old := medispatcher.Dispatcher{Alive: true, Heartbeat: now}
	dead := medispatcher.Dispatcher{Heartbeat: now.Add(-30 * time.Second)}
	long := medispatcher.Dispatcher{Heartbeat: now.Add(-time.Hour)}
	type look struct {
		ago  time.Duration
		list []medispatcher.Dispatcher
	}
	for name, c := range map[string]struct {
		looks []look
		want  bool
	}{
		"never looked":            {nil, false},
		"all are new":             {[]look{{0, []medispatcher.Dispatcher{alive, alive}}}, true},
		"one is old":              {[]look{{0, []medispatcher.Dispatcher{alive, old}}}, false},
		"an old one died lately":  {[]look{{0, []medispatcher.Dispatcher{alive, dead}}}, false},
		"an old one died":         {[]look{{0, []medispatcher.Dispatcher{alive, long}}}, true},
		"an old one left lately":  {[]look{{50 * time.Second, []medispatcher.Dispatcher{old}}, {0, []medispatcher.Dispatcher{alive}}}, false},
		"an old one left":         {[]look{{70 * time.Second, []medispatcher.Dispatcher{old}}, {0, []medispatcher.Dispatcher{alive}}}, true},
		"looked long ago":         {[]look{{time.Minute, []medispatcher.Dispatcher{alive}}}, false},
		"an answer comes late":    {[]look{{0, []medispatcher.Dispatcher{old}}, {time.Second, []medispatcher.Dispatcher{alive}}}, false},
		"Redis lost its contents": {[]look{{time.Second, []medispatcher.Dispatcher{old}}, {0, nil}}, false},
	} {
		var looks []func(l *streams.CopyLayout)
		for _, k := range c.looks {
			looks = append(looks, func(l *streams.CopyLayout) { l.Note(now.Add(-k.ago), k.list, now) })
		}
		if got := streams.WholeAfter(looks...); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
