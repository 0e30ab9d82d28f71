package report_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestStory follows one message by the id that subscribers see, and one by the id from its producer.
func TestStory(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for _, producer := range []string{"", "order 42.7"} {
			t.Run("id "+producer, func(t *testing.T) {
				streamstest.Check(t, env.Client.FlushAll(t.Context()).Err())
				sc := streamstest.NewScene(t, env)
				fields := []any{"topic", "a.b", "body", "x"}
				m := streamstest.Message("a.b")
				if producer != "" {
					m.ID = producer
					fields = append(fields, "id", producer)
				}
				entry := sc.Incoming(t, fields...)
				id := "0-" + entry
				if producer != "" {
					id = m.WebhookID()
				}
				look := func() string {
					t.Helper()
					story := streamstest.Must[medispatcher.Story](t)(report.New(sc.Store).Story(sc.Ctx, id, []string{"none", "s"}))
					text := story.Topic
					for _, p := range story.Places {
						text += fmt.Sprintf(", %s %s %d", p.Subscription, p.State, p.Attempt)
						if p.Due != nil {
							text += " due"
						}
						if p.Failure != nil {
							text += " " + p.Failure.LastError
						}
						if p.Dispatcher != "" {
							text += " at " + p.Dispatcher
						}
					}
					if !story.Searched {
						text += ", and perhaps more"
					}
					return text
				}
				want := func(want string) {
					t.Helper()
					if got := look(); got != want {
						t.Errorf("got  %s\nwant %s", got, want)
					}
				}
				if producer == "" {
					want("a.b,  INCOMING 0")
				} else {
					want("") // its id is remembered by the fan-out
				}
				streamstest.Must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: entry, Message: m, Subs: []string{"s"}}}))
				want("a.b, s READY 0")
				d := streamstest.Read(t, sc.Store)[0]
				want("a.b, s BURIED 1 at me")
				streamstest.Check(t, sc.Store.Retry(sc.Ctx, 0, streamstest.Settlement(d.EntryID, medispatcher.Failed)))
				want("a.b, s BURIED 2 due status 500")
				if _, err := sc.Store.Orphans(sc.Ctx, streamstest.ChannelS, true, false); err != nil {
					t.Fatal(err)
				}
				due, _, err := sc.Store.Due(sc.Ctx, 0, []medispatcher.Want{{Channel: streamstest.ChannelS, Max: 1}})
				streamstest.Check(t, err)
				exhausted := streamstest.Settlement(due[0].EntryID, medispatcher.Exhausted)
				exhausted[0].Attempt = due[0].Attempt
				streamstest.Check(t, sc.Store.Kill(sc.Ctx, 0, exhausted))
				want("a.b, s DEAD 0 status 500")
				if _, err := sc.Store.PurgeDead(sc.Ctx, "s", []string{streamstest.Must[[]medispatcher.DeadLetter](t)(sc.Store.DeadLetters(sc.Ctx, "s", "", 1))[0].ID}); err != nil {
					t.Fatal(err)
				}
				want("")
			})
		}
	})
}

// TestStoryBesideAFullRedis: a Redis that is full refuses reads in a transaction as well.
func TestStoryBesideAFullRedis(t *testing.T) {
	t.Parallel()
	sc := streamstest.NewScene(t, streamstest.Real(t))
	entry := sc.Incoming(t, "topic", "a.b", "body", "x")
	streamstest.Must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: entry, Message: streamstest.Message("a.b"), Subs: []string{"s"}}}))
	streamstest.Check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "1").Err())
	story := streamstest.Must[medispatcher.Story](t)(report.New(sc.Store).Story(sc.Ctx, "0-"+entry, []string{"s"}))
	if len(story.Places) != 1 || story.Places[0].State != medispatcher.Ready || story.Topic != "a.b" {
		t.Errorf("%+v", story)
	}
}

// TestStoryOfABodyAsTopic: what is no topic is not shown as one. It may be a body, which not all may see.
func TestStoryOfABodyAsTopic(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		entry := sc.Incoming(t, "topic", `{"iban":"DE02"}`, "body", "x")
		look := func(state medispatcher.State) {
			t.Helper()
			story := streamstest.Must[medispatcher.Story](t)(report.New(sc.Store).Story(sc.Ctx, "0-"+entry, nil))
			if story.Topic != "" || len(story.Places) != 1 || story.Places[0].State != state {
				t.Errorf("%+v", story)
			}
		}
		look(medispatcher.Incoming)
		streamstest.Must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: entry, Reason: "DECODERR topic: level 1"}}))
		look(medispatcher.Quarantined)
	})
}

// TestStoryOfManyEntries: the search starts where the message should be, and stops at its limit.
func TestStoryOfManyEntries(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		entry := sc.Incoming(t, "topic", "a.b", "body", "x")
		put := func(n int) {
			for i := range n {
				streamstest.Check(t, sc.Client.Do(sc.Ctx, "XADD", "medis:{0}:ch:s", "*", "topic", "a.b", "body", "y", "~src", fmt.Sprintf("7-%d", i)).Err())
			}
		}
		put(300)
		streamstest.Must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: entry, Message: streamstest.Message("a.b"), Subs: []string{"s"}}}))
		story := streamstest.Must[medispatcher.Story](t)(report.New(sc.Store).Story(sc.Ctx, "0-"+entry, []string{"s"}))
		if len(story.Places) != 1 || story.Places[0].State != medispatcher.Ready {
			t.Errorf("%+v", story)
		}
		put(2000)
		story = streamstest.Must[medispatcher.Story](t)(report.New(sc.Store).Story(sc.Ctx, "nobody-knows", []string{"s"}))
		if len(story.Places) != 0 || story.Searched || !strings.Contains(story.NotFound(), "too long") {
			t.Errorf("of an unknown message: %+v", story)
		}
	})
}

// TestLooksReadNoBodies: what is read every second costs the same, however large the messages are.
func TestLooksReadNoBodies(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		meter := &streamstest.Meter{}
		sc.Store.DB().AddHook(meter)
		oldest := func() (ms int64) {
			t.Helper()
			return streamstest.Must[[]medispatcher.ChannelStatus](t)(report.New(sc.Store).ChannelStatus(sc.Ctx, []string{"none", "s"}))[1].OldestMS
		}
		old := time.Now().Add(-time.Hour).UnixMilli()
		streamstest.Check(t, sc.Client.Do(sc.Ctx, "XADD", "medis:{0}:ch:s", fmt.Sprint(old, "-0"), "topic", "a.b", "body", "x").Err())
		if ms := oldest(); ms < 3_600_000 || ms > 4_000_000 {
			t.Errorf("READY for %d ms, want an hour", ms)
		}
		if n, _ := meter.Most(); n != 1 {
			t.Errorf("%d entries were read, want only the oldest, for its age", n)
		}
		streamstest.Read(t, sc.Store)
		later := &streamstest.Meter{}
		sc.Store.DB().AddHook(later)
		streamstest.Check(t, sc.Client.Do(sc.Ctx, "XADD", "medis:{0}:ch:s", "*", "topic", "a.b", "body", "x").Err())
		if ms := oldest(); ms < 3_600_000 || ms > 4_000_000 {
			t.Errorf("BURIED for %d ms, want an hour", ms)
		}
		if n, _ := later.Most(); n != 0 {
			t.Errorf("%d entries were read, want none: the pending list has the age", n)
		}
	})
}

// TestStoryOfLargeMessages: no body passes through Lua, and no round trip fetches more than a few bodies.
func TestStoryOfLargeMessages(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := streamstest.NewScene(t, env)
		const size, each = 256 << 10, 60
		body := strings.Repeat("x", size)
		subs := []string{"a", "b", "c"}
		for _, sub := range subs {
			for i := range each {
				streamstest.Check(t, sc.Client.Do(sc.Ctx, "XADD", "medis:{0}:ch:"+sub, "*", "topic", "a.b", "body", body, "id", fmt.Sprint(sub, i)).Err())
			}
		}
		meter := &streamstest.Meter{}
		sc.Store.DB().AddHook(meter)
		story := streamstest.Must[medispatcher.Story](t)(report.New(sc.Store).Story(sc.Ctx, "c59", subs))
		if len(story.Places) != 1 || story.Places[0].Subscription != "c" || !story.Searched {
			t.Errorf("%+v", story)
		}
		if n := meter.Scripts(); n > 0 {
			t.Errorf("%d scripts ran, want none: Lua copies every body", n)
		}
		if entries, bytes := meter.Most(); entries > 64 || bytes > 5<<20 {
			t.Errorf("one round trip brought %d entries of %d bytes", entries, bytes)
		}
	})
}

func TestJournal(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		store := env.Open(t, env.Config("me"))
		note := func(id, what string) {
			t.Helper()
			streamstest.Check(t, report.New(store).RecordEvents(t.Context(), 2, []report.Recorded{{ID: id, Event: medispatcher.Event{Time: time.Now(), What: what}}}))
		}
		note("0-1-0", "copied")
		note("b", "copied")
		note("0-1-0", "sent")
		note("c", "copied") // b goes
		events := func(id string) string {
			text := ""
			for _, e := range streamstest.Must[medispatcher.Story](t)(report.New(store).Story(t.Context(), id, nil)).Events {
				text += e.What + " "
			}
			return text
		}
		if a, b, c := events("0-1-0"), events("b"), events("c"); a != "copied sent " || b != "" || c != "copied " {
			t.Errorf("kept %q, %q, %q", a, b, c)
		}
	})
}
