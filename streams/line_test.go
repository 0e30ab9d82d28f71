package streams_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// keyed writes a message with a key, and returns its routing to "s", which is ordered.
func keyed(t *testing.T, sc *scene, key, body string) streams.Routing {
	t.Helper()
	id := sc.Incoming(t, "topic", "a.b", "body", body, "key", key)
	m := message("a.b")
	m.Key = key
	return streams.Routing{EntryID: id, Message: m, Subs: []string{"s"}, Ordered: []string{"s"}}
}

// copyKeyed copies messages to "s" one after another. Each is "key:body".
func copyKeyed(t *testing.T, sc *scene, list ...string) {
	t.Helper()
	for _, text := range list {
		key, body, _ := strings.Cut(text, ":")
		r := keyed(t, sc, key, body)
		if routed := must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{r})); routed[0].Result != streams.RoutedCopied {
			t.Fatal(routed)
		}
	}
}

// bodies are what was read, sorted.
func bodies(list []medispatcher.Delivery) string {
	var out []string
	for _, d := range list {
		out = append(out, string(d.Message.Body))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// straighten brings the lines of "s" in order.
func straighten(t *testing.T, sc *scene, ordered bool) {
	t.Helper()
	must[bool](t)(sc.Store.Straighten(sc.Ctx, channelS, ordered))
}

// TestOrdered: of a key one message is in the channel, whatever becomes of it, and the next one follows when it is settled.
func TestOrdered(t *testing.T) {
	t.Parallel()
	for _, layout := range []int{1, 2} {
		t.Run(fmt.Sprint("layout ", layout), func(t *testing.T) {
			t.Parallel()
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				sc := newScene(t, env)
				sc.Store.WriteLayout(layout)
				var next []string
				sc.Store.OnNext(func(_ int, subs []string) { next = append(next, subs...) })
				copyKeyed(t, sc, "a:a1", "a:a2", "b:b1", "a:a3", "a:a4", ":free1", ":free2")
				got := read(t, sc.Store)
				expect(t, "first", bodies(got), "a1 b1 free1 free2")
				expect(t, "only one", bodies(read(t, sc.Store)), "")
				byBody := map[string]medispatcher.Settlement{}
				note := func(list []medispatcher.Delivery, o medispatcher.Outcome) {
					for _, d := range list {
						byBody[string(d.Message.Body)] = settlement(d.EntryID, o)[0]
					}
				}
				note(got, medispatcher.Failed)
				failed := byBody["a1"]
				failed.Delay = 0
				check(t, sc.Store.Retry(sc.Ctx, 0, []medispatcher.Settlement{failed}))
				expect(t, "while the first one retries", bodies(read(t, sc.Store)), "")
				due, _, err := sc.Store.Due(sc.Ctx, 0, []medispatcher.Want{{Channel: channelS, Max: 10}})
				check(t, err)
				expect(t, "the retry", bodies(due), "a1")
				dead := byBody["a1"]
				dead.Outcome, dead.Attempt = medispatcher.Exhausted, 2
				check(t, sc.Store.Kill(sc.Ctx, 0, []medispatcher.Settlement{dead}))
				got = read(t, sc.Store)
				expect(t, "after a dead letter", bodies(got), "a2")
				note(got, medispatcher.Sent)
				for range 2 { // a repetition changes nothing
					check(t, second(sc.Store.Delete(sc.Ctx, 0, []medispatcher.Settlement{byBody["a2"], byBody["b1"], byBody["free1"], byBody["free2"]})))
				}
				got = read(t, sc.Store)
				expect(t, "after a delivery", bodies(got), "a3")
				letters := must[[]medispatcher.DeadLetter](t)(sc.Store.DeadLetters(sc.Ctx, "s", "", 10))
				must[int](t)(sc.Store.Replay(sc.Ctx, "s", []string{letters[0].ID}))
				expect(t, "a replayed one waits behind the others", bodies(read(t, sc.Store)), "")
				var order []string
				for len(got) > 0 {
					check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(got[0].EntryID, medispatcher.Sent))))
					if got = read(t, sc.Store); len(got) > 0 {
						order = append(order, bodies(got))
					}
				}
				expect(t, "the rest", strings.Join(order, " "), "a4 a1")
				expect(t, "told of", strings.Join(next, " "), "s s s s")
				if left := sc.Client.HGetAll(sc.Ctx, "medis:{0}:line:s").Val(); !maps.Equal(left, map[string]string{"~": "on"}) {
					t.Errorf("left: %v", left)
				}
				if n := sc.Client.Exists(sc.Ctx, "medis:{0}:wait:s").Val(); n != 0 {
					t.Error("something waits")
				}
			})
		})
	}
}

// TestOrderedOlderFirst: a copy for an ordered subscription is made only when no older entry is pending elsewhere. Other
// copies do not wait.
func TestOrderedOlderFirst(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		first, second := keyed(t, sc, "a", "a1"), keyed(t, sc, "a", "a2")
		plain := keyed(t, sc, "a", "plain")
		plain.Subs, plain.Ordered = []string{"other"}, nil
		third, nokey := keyed(t, sc, "a", "a3"), keyed(t, sc, "", "free")
		results := func(list ...streams.Routing) string {
			out := ""
			for _, r := range must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, list)) {
				out += string(r.Result) + " "
			}
			return strings.TrimSpace(out)
		}
		expect(t, "without the first", results(second, plain, third, nokey), "early copied early copied")
		check(t, sc.Client.XDel(sc.Ctx, "medis:{0}:incoming", first.EntryID).Err())
		expect(t, "the first was deleted by hand", results(third), "early")
		expect(t, "both", results(second, third), "copied copied")
		straighten(t, sc, true) // the channel held a message when the first one with a key came
		expect(t, "read", bodies(read(t, sc.Store)), "a2 free")
	})
}

// TestOrderedSwitched: what is in a channel when its subscription becomes ordered comes before newer messages of its keys.
// When it no longer is, what waits flows.
func TestOrderedSwitched(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		sc.Store.WriteLayout(2)
		old := func(key, body string) {
			r := keyed(t, sc, key, body)
			r.Ordered = nil
			check(t, fanout(sc, r))
		}
		old("a", "a1")
		old("a", "a2")
		old("b", "b1")
		old("", "free1")
		got := read(t, sc.Store)
		r := keyed(t, sc, "a", "a3")
		routed := must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{r}))
		if !routed[0].Unready || routed[0].Result != streams.RoutedCopied {
			t.Errorf("%+v", routed)
		}
		copyKeyed(t, sc, "c:c1", "c:c2")
		expect(t, "before the lines are ready", bodies(read(t, sc.Store)), "")
		straighten(t, sc, true)
		expect(t, "a key of which nothing was there", bodies(read(t, sc.Store)), "c1")
		copyKeyed(t, sc, "b:b2", "d:d1")
		expect(t, "a key that is new", bodies(read(t, sc.Store)), "d1")
		for i, want := range []string{"", "a3", "b2"} {
			check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(got[i].EntryID, medispatcher.Sent))))
			expect(t, string(got[i].Message.Body)+" is sent", bodies(read(t, sc.Store)), want)
		}
		copyKeyed(t, sc, "a:a4", "a:a5", "b:b3")
		if !must[bool](t)(sc.Store.Straighten(sc.Ctx, channelS, false)) {
			t.Error("nothing new")
		}
		rest := read(t, sc.Store)
		expect(t, "no longer ordered", bodies(rest), "a4 a5 b3 c2")
		a := slices.DeleteFunc(rest, func(d medispatcher.Delivery) bool { return d.Message.Key != "a" })
		expect(t, "still in their order", string(a[0].Message.Body), "a4")
		if n := sc.Client.Exists(sc.Ctx, "medis:{0}:wait:s", "medis:{0}:line:s").Val(); n != 0 {
			t.Error("lines are left")
		}
	})
}

// TestOrderedByHand: a command typed by hand holds up no key for long, and loses no more than what it takes out.
func TestOrderedByHand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hand func(id string) [][]any
		want string
	}{
		"XDEL": {func(id string) [][]any {
			return [][]any{{"XDEL", "medis:{0}:ch:s", id}, {"XACK", "medis:{0}:ch:s", "push", id}}
		}, "a2"},
		"XTRIM": {func(id string) [][]any {
			return [][]any{{"XTRIM", "medis:{0}:ch:s", "MAXLEN", 0}, {"XACK", "medis:{0}:ch:s", "push", id}}
		}, "a2"},
		"DEL of the channel": {func(string) [][]any { return [][]any{{"DEL", "medis:{0}:ch:s"}} }, "a2"},
		"HDEL of the next":   {func(string) [][]any { return [][]any{{"HDEL", "medis:{0}:wait:s", "1:a"}, {"DEL", "medis:{0}:ch:s"}} }, "a3"},
		"DEL of what waits":  {func(string) [][]any { return [][]any{{"DEL", "medis:{0}:wait:s"}, {"DEL", "medis:{0}:ch:s"}} }, "a4"},
		"DEL of the lines":   {func(string) [][]any { return [][]any{{"DEL", "medis:{0}:line:s"}, {"DEL", "medis:{0}:ch:s"}} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				sc := newScene(t, env)
				sc.Store.WriteLayout(2)
				copyKeyed(t, sc, "a:a1", "a:a2", "a:a3")
				got := read(t, sc.Store)
				for _, cmd := range c.hand(got[0].EntryID) {
					check(t, sc.Client.Do(sc.Ctx, cmd...).Err())
				}
				straighten(t, sc, true)
				copyKeyed(t, sc, "a:a4")
				straighten(t, sc, true)
				var all []string
				for got = read(t, sc.Store); len(got) == 1; got = read(t, sc.Store) {
					all = append(all, string(got[0].Message.Body))
					check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(got[0].EntryID, medispatcher.Sent))))
				}
				if c.want != "" {
					expect(t, "next", all[0], c.want)
				} else {
					slices.Sort(all)
					expect(t, "all", strings.Join(all, " "), "a2 a3 a4")
				}
				expect(t, "the last one", all[len(all)-1], "a4")
			})
		})
	}
}

// TestOrderedGap: whoever settles a message brings in the next one of its key that is still there, and counts those in between as vanished.
func TestOrderedGap(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		copyKeyed(t, sc, "a:a1", "a:a2", "a:a3", "a:a4", "b:b1", "b:b2")
		check(t, sc.Client.HDel(sc.Ctx, "medis:{0}:wait:s", "1:a", "2:a").Err())
		for _, want := range []string{"a1 b1", "a4 b2", ""} {
			got := read(t, sc.Store)
			expect(t, "next", bodies(got), want)
			var done []medispatcher.Settlement
			for _, d := range got {
				done = append(done, settlement(d.EntryID, medispatcher.Sent)...)
			}
			check(t, second(sc.Store.Delete(sc.Ctx, 0, done)))
		}
		expect(t, "vanished", sc.Client.HGet(sc.Ctx, "medis:stats:{0}:total", "vanished:s").Val(), "2")
		if left := sc.Client.HGetAll(sc.Ctx, "medis:{0}:line:s").Val(); !maps.Equal(left, map[string]string{"~": "on"}) {
			t.Errorf("left: %v", left)
		}
	})
}

// TestOrderedOfAWrongType: a key of an ordered subscription that is of a wrong type holds up no other subscription, and gives none of
// them a message twice.
func TestOrderedOfAWrongType(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"medis:{0}:line:s", "medis:{0}:wait:s"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				sc := newScene(t, env)
				sc.Store.WriteLayout(2)
				check(t, sc.Client.Set(sc.Ctx, key, "x", 0).Err())
				var refused []streams.Routed
				for _, body := range []string{"1", "2"} {
					r := keyed(t, sc, "a", body)
					r.Subs = []string{"p", "s"}
					for range 2 { // the second time the entry is gone
						routed := must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{r}))
						if routed[0].Failed != nil {
							refused = append(refused, routed...)
						}
					}
				}
				expect(t, "copies for the other", sc.copies(t)["p"], "12")
				kept := sc.Client.XRange(sc.Ctx, "medis:{0}:quarantine", "-", "+").Val()
				if own := len(sc.copies(t)["s"]); len(kept) != 2-own || len(refused) != len(kept) || len(kept) == 0 {
					t.Fatalf("refused %v, of which %d are in the quarantine and %d in the channel", refused, len(kept), own)
				}
				expect(t, "why", fmt.Sprint(kept[0].Values["reason"]), "REDISTFAIL medis:{0}:ch:s is ordered, and its line or wait is not a hash")
				check(t, sc.Client.Del(sc.Ctx, key).Err())
				rules := streams.KeptRules{Exists: func(string) bool { return true }}
				done, err := sc.Store.ReplayKept(sc.Ctx, medispatcher.PlaceQuarantine, []string{"0-" + kept[0].ID}, rules)
				if check(t, err); done.Replayed != 1 {
					t.Errorf("replayed after the key was deleted: %+v", done)
				}
			})
		})
	}
}

// TestOrderedIsFound: a message that waits behind others of its key is found, and read whole by what its story says of the place.
func TestOrderedIsFound(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		const key = "a:/ ü"
		for _, body := range []string{"a1", "a2", "a3"} {
			check(t, fanout(sc, keyed(t, sc, key, body)))
		}
		last := keyed(t, sc, key, "a4")
		check(t, fanout(sc, last))
		id := "0-" + last.EntryID
		story := must[medispatcher.Story](t)(report.New(sc.Store).Story(sc.Ctx, id, []string{"s"}))
		if len(story.Places) != 1 || story.Places[0].Entry != "3:"+key || story.Places[0].Reason == "" {
			t.Fatalf("%+v", story)
		}
		at := must[medispatcher.Place](t)(medispatcher.ParseRef(story.Places[0].At))
		found := must[medispatcher.Found](t)(sc.Store.ReadAt(sc.Ctx, at))
		if m := found.Message; string(m.Body) != "a4" || m.WebhookID() != id || found.Place.Ref() != story.Places[0].At || found.Delivery().Attempt != 1 {
			t.Errorf("%+v", found)
		}
		check(t, sc.Client.HDel(sc.Ctx, "medis:{0}:wait:s", "3:"+key).Err())
		if _, err := sc.Store.ReadAt(sc.Ctx, at); !errors.Is(err, medispatcher.ErrNotFound) {
			t.Errorf("gone: %v", err)
		}
	})
}

// TestOrderedRemoved: what waits is purged, discarded and counted with the channel.
func TestOrderedRemoved(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		copyKeyed(t, sc, "a:a1", "a:a2", "a:a3")
		held := must[medispatcher.ChannelStatus](t)(sc.Store.Discard(sc.Ctx, "s", false))
		if held.Ready+held.Buried != 3 {
			t.Errorf("held %+v", held)
		}
		ready, buried, err := sc.Store.Purge(sc.Ctx, "s")
		if err != nil || ready+buried != 3 {
			t.Error(ready, buried, err)
		}
		copyKeyed(t, sc, "a:a4", "a:a5")
		st := must[[]medispatcher.ChannelStatus](t)(report.New(sc.Store).ChannelStatus(sc.Ctx, []string{"s"}))[0]
		if st.Ready != 2 || st.Waiting != 1 {
			t.Errorf("%+v", st)
		}
		if h := must[medispatcher.PartitionHeld](t)(sc.Store.PartitionHeld(sc.Ctx, 0, []string{"s"})); h.Messages != 2 {
			t.Errorf("%+v", h)
		}
		last := keyed(t, sc, "a", "a6")
		check(t, fanout(sc, last))
		story := must[medispatcher.Story](t)(report.New(sc.Store).Story(sc.Ctx, "0-"+last.EntryID, []string{"s"}))
		if len(story.Places) != 1 || story.Places[0].State != medispatcher.Ready || !story.Searched {
			t.Errorf("%+v", story)
		}
		expect(t, "after a purge", bodies(read(t, sc.Store)), "a4")
		must[medispatcher.ChannelStatus](t)(sc.Store.Discard(sc.Ctx, "s", true))
		if keys := sc.Keys(t, "medis:{0}:*:s"); len(keys) > 0 {
			t.Errorf("left %v", keys)
		}
	})
}

// TestOrderedLarge: a step that settles many messages moves no more than about a megabyte out of their lines; the next
// step goes on.
func TestOrderedLarge(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	sc := newScene(t, env)
	sc.Store.WriteLayout(2)
	const keys = 12
	large := strings.Repeat("x", 300<<10)
	for n := range 3 {
		for k := range keys {
			copyKeyed(t, sc, fmt.Sprintf("k%d:%d%s", k, n, large))
		}
	}
	for n := range 3 {
		var done []medispatcher.Settlement
		for len(done) < keys {
			for _, d := range read(t, sc.Store) {
				if d.Message.Body[0] != byte('0'+n) {
					t.Errorf("got %c of %s, want %d", d.Message.Body[0], d.Message.Key, n)
				}
				outcome := medispatcher.Sent
				if len(done)%2 == 0 {
					outcome = medispatcher.Exhausted
				}
				done = append(done, settlement(d.EntryID, outcome)[0])
			}
		}
		sent := slices.DeleteFunc(slices.Clone(done), func(s medispatcher.Settlement) bool { return s.Outcome != medispatcher.Sent })
		dead := slices.DeleteFunc(done, func(s medispatcher.Settlement) bool { return s.Outcome == medispatcher.Sent })
		check(t, second(sc.Store.Delete(sc.Ctx, 0, sent)))
		check(t, sc.Store.Kill(sc.Ctx, 0, dead))
	}
	if n := sc.Client.XLen(sc.Ctx, "medis:{0}:ch:s").Val(); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}
