package streams_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/internal/filter"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestReplayOrdered: what is replayed to an ordered subscription takes its place behind what its channel holds of the key, also
// where the channel had no lines. Never are two messages of a key in the channel.
func TestReplayOrdered(t *testing.T) {
	t.Parallel()
	for _, layout := range []int{1, 2} {
		t.Run(fmt.Sprint("layout ", layout), func(t *testing.T) {
			t.Parallel()
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				sc, registry := newArchive(t, env)
				sc.Store.WriteLayout(layout)
				put(t, registry, "other", `{"topic":"a.b","urls":["http://h/"]}`)
				for _, body := range []string{"1", "2", "3"} {
					r := keyed(t, sc, "k", body)
					r.Subs, r.Ordered = []string{"other"}, nil
					check(t, fanout(sc, r))
				}
				// The channel of the new subscription has a message from before it was ordered.
				put(t, registry, "s", `{"topic":"a.b","urls":["http://h/"]}`)
				r := keyed(t, sc, "k", "before")
				r.Ordered = nil
				check(t, fanout(sc, r))
				put(t, registry, "s", `{"topic":"a.b","urls":["http://h/"],"ordered":true}`)
				if done := sc.replay(t, registry, medispatcher.ReplayAsk{Since: "1h"}); done.Replayed != 4 {
					t.Errorf("replayed: %+v", done)
				}
				var order []string
				for got := read(t, sc.Store); len(got) > 0; got = read(t, sc.Store) {
					if len(got) > 1 {
						t.Errorf("%d messages of a key are in the channel", len(got))
					}
					order = append(order, fmt.Sprint(string(got[0].Message.Body), " ", got[0].Replay))
					check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(got[0].EntryID, medispatcher.Sent))))
				}
				if want := []string{"before false", "1 true", "2 true", "3 true", "before true"}; !slices.Equal(order, want) {
					t.Errorf("delivered %q, want %q", order, want)
				}
			})
		})
	}
}

// TestReplayWaits: a replay adds no more while the channel holds enough, counting what waits behind others of its key.
func TestReplayWaits(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc, registry := newArchive(t, env)
		put(t, registry, "other", `{"topic":"a.b","urls":["http://h/"]}`)
		const n = 1300
		var routings []streams.Routing
		for i := range n {
			r := keyed(t, sc, "k", fmt.Sprint(i))
			r.Subs, r.Ordered = []string{"other"}, nil
			if routings = append(routings, r); len(routings) == 100 {
				check(t, second(sc.Store.Fanout(sc.Ctx, 0, routings)))
				routings = nil
			}
		}
		put(t, registry, "s", `{"topic":"a.b","urls":["http://h/"],"ordered":true}`)
		r, _, err := sc.Store.StartReplay(sc.Ctx, replayOf(t, medispatcher.ReplayAsk{Since: "1h"}))
		check(t, err)
		waits := make(chan int64, 100)
		ended := make(chan error, 1)
		go func() {
			_, err := (&streams.Replayer{Store: sc.Store, Registry: registry, Tell: func(now medispatcher.ReplayProgress) {
				if now.Waits && len(waits) < 50 {
					waits <- now.Replayed
				}
			}}).Run(sc.Ctx, r)
			ended <- err
		}()
		if got := <-waits; got != 1000 {
			t.Errorf("it waits after %d messages, want 1000", got)
		}
		got := 0
		for over := false; !over || got < n; {
			for _, d := range read(t, sc.Store) {
				if want := fmt.Sprint(got); string(d.Message.Body) != want {
					t.Fatalf("got message %s, want %s", d.Message.Body, want)
				}
				got++
				check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(d.EntryID, medispatcher.Sent))))
			}
			select {
			case err := <-ended:
				check(t, err)
				over = true
			default:
			}
		}
		if got != n {
			t.Errorf("%d messages came, want %d", got, n)
		}
	})
}

// TestReplayOfLargeMessages: no step reads or copies more than about a megabyte, whatever came before.
func TestReplayOfLargeMessages(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		cfg := archiving(env.Config("me"))
		cfg.ArchiveBytes = 1 << 30
		sc := newSceneOf(t, env, cfg)
		registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(id, problem string) { t.Error(id, problem) })
		put(t, registry, "s", `{"topic":"t","urls":["http://h/"]}`)
		const small, large = 40, 8
		for range small {
			sc.produce(t, "t", "small")
		}
		for range large {
			sc.produce(t, "t", strings.Repeat("x", 1<<20))
		}
		sc.worker(t, sc.Store, registry, small+large)
		check(t, second2(sc.Store.Purge(sc.Ctx, "s")))
		r, _, err := sc.Store.StartReplay(sc.Ctx, replayOf(t, medispatcher.ReplayAsk{Since: "1h"}))
		check(t, err)
		before := int64(0)
		_, err = (&streams.Replayer{Store: sc.Store, Registry: registry, Tell: func(now medispatcher.ReplayProgress) {
			if n := now.Looked - before; now.Looked > small+1 && n > 1 {
				t.Errorf("one step had %d messages, after %d", n, before)
			}
			before = now.Looked
		}}).Run(sc.Ctx, r)
		check(t, err)
		if before != small+large {
			t.Errorf("it looked at %d messages", before)
		}
		if n := sc.Client.XLen(sc.Ctx, "medis:{0}:ch:s").Val(); n != small+large {
			t.Errorf("the channel has %d messages", n)
		}
	})
}

// TestArchiveOfFiltered: what every filter refuses is in the archive, and is replayed to those whose filters match by then.
func TestArchiveOfFiltered(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newSceneOf(t, env, archiving(env.Config("me")))
		registry := streams.NewRegistry(sc.Store, filter.In(streamstest.Rules()), func(id, problem string) { t.Error(id, problem) })
		put(t, registry, "s", `{"topic":"t","urls":["http://h/"],"filter":"body.total > 100"}`)
		sc.produce(t, "t", `{"total":1}`, `{"total":20}`, `no JSON`)
		sc.worker(t, sc.Store, registry, 3)
		check(t, second2(sc.Store.Purge(sc.Ctx, "s")))
		put(t, registry, "s", `{"topic":"t","urls":["http://h/"],"filter":"body.total > 10"}`)
		sc.replay(t, registry, medispatcher.ReplayAsk{Since: "1h"})
		if got, want := sc.copiesOf(t, "s"), []string{`{"total":20}`, `no JSON`}; !slices.Equal(got, want) {
			t.Errorf("replayed %q, want %q", got, want)
		}
	})
}

// TestArchiveOutOfMemory: where the archive is all that a message goes to, a full Redis keeps the message where it is.
func TestArchiveOutOfMemory(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	sc, _ := newArchive(t, env)
	refused := streams.Routing{EntryID: sc.Incoming(t, "topic", "a.b", "body", "x"), Message: message("a.b"), Filtered: true}
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "1").Err())
	if err := fanout(sc, refused); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("while Redis is full: %v", err)
	}
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "0").Err())
	check(t, fanout(sc, refused))
	span := must[medispatcher.ArchiveSpan](t)(sc.Store.ArchiveSpan(sc.Ctx))
	if n := must[map[string]int64](t)(report.New(sc.Store).Counts(sc.Ctx))["unarchived"]; span.Messages != 1 || n != 0 {
		t.Errorf("the archive has %d messages, %d are not in it", span.Messages, n)
	}
}

// TestReplayBesideAWrongType: while a key of an ordered subscription is of a wrong type, a replay to it does nothing. Then it goes on, and
// nothing comes twice.
func TestReplayBesideAWrongType(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for _, key := range []string{"line", "wait"} {
			t.Run(key, func(t *testing.T) {
				env.Flush(t)
				sc, registry := newArchive(t, env)
				put(t, registry, "s2", `{"topic":"a.*","urls":["http://h/"]}`)
				sc.produce(t, "a.b", "1")
				for _, body := range []string{"2", "3"} {
					sc.Incoming(t, "topic", "a.b", "body", body, "key", "k")
				}
				sc.worker(t, sc.Store, registry, 3)
				put(t, registry, "s", `{"topic":"a.*","urls":["http://h/"],"ordered":true}`)
				check(t, sc.Client.Set(sc.Ctx, "medis:{0}:"+key+":s", "x", 0).Err())
				r, _, err := sc.Store.StartReplay(sc.Ctx, replayOf(t, medispatcher.ReplayAsk{Since: "1h"}))
				check(t, err)
				for range 2 {
					if _, err := (&streams.Replayer{Store: sc.Store, Registry: registry}).Run(sc.Ctx, r); err == nil {
						t.Error("it went on")
					}
				}
				check(t, sc.Client.Del(sc.Ctx, "medis:{0}:"+key+":s").Err())
				done, err := (&streams.Replayer{Store: sc.Store, Registry: registry}).Run(sc.Ctx, r)
				if check(t, err); done.Replayed != 3 {
					t.Errorf("replayed %d", done.Replayed)
				}
				if own, wait := sc.copiesOf(t, "s"), sc.Client.HLen(sc.Ctx, "medis:{0}:wait:s").Val(); len(own)+int(wait) != 3 {
					t.Errorf("in the channel %v, and %d wait", own, wait)
				}
			})
		}
	})
}
