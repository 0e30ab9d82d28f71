package streams_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestVanished: messages deleted by a command typed by hand are counted, reported with their ids, and
// leave nothing behind, whichever step notices them.
func TestVanished(t *testing.T) {
	t.Parallel()
	const (
		channel, incoming = "medis:{0}:ch:s", "medis:{0}:incoming"
	)
	retrying := func(t *testing.T, sc *scene) string {
		t.Helper()
		failed := settlement(sc.Buried(t), medispatcher.Failed)
		failed[0].Delay = 0
		check(t, sc.Store.Retry(sc.Ctx, 0, failed))
		return failed[0].EntryID
	}
	due := func(t *testing.T, sc *scene) { t.Helper(); sc.due(t) }
	for name, c := range map[string]struct {
		before func(t *testing.T, sc *scene) string
		hand   func(id string) []any
		notice func(t *testing.T, sc *scene)
		want   string // state
		from   string
		real   bool // needs redis-server: miniredis removes a deleted entry from the pending list
	}{
		"XDEL of a retrying message": {
			before: retrying, hand: func(id string) []any { return []any{"XDEL", channel, id} }, notice: due,
			want: "#failed:s=1, #received:a.b=1, #vanished:s=1", from: "s",
		},
		"XTRIM of a retrying message": {
			before: retrying, hand: func(string) []any { return []any{"XTRIM", channel, "MAXLEN", 0} }, notice: due,
			want: "#failed:s=1, #received:a.b=1, #vanished:s=1", from: "s",
		},
		"DEL of the channel": {
			before: retrying, hand: func(string) []any { return []any{"DEL", channel} }, notice: due,
			want: "#failed:s=1, #received:a.b=1, #vanished:s=1", from: "s",
		},
		"XDEL in flight, the attempt fails": {
			before: func(t *testing.T, sc *scene) string { return sc.Buried(t) }, hand: func(id string) []any { return []any{"XDEL", channel, id} },
			notice: func(t *testing.T, sc *scene) {
				t.Helper()
				for _, id := range must[[]string](t)(streamstest.Mine(sc.Ctx, sc.Store, channelS, 1)) {
					check(t, sc.Store.Retry(sc.Ctx, 0, settlement(id, medispatcher.Failed)))
				}
			},
			want: "#failed:s=1, #received:a.b=1, #vanished:s=1", from: "s", real: true,
		},
		"XDEL in flight, the last attempt fails": {
			before: func(t *testing.T, sc *scene) string { return sc.Buried(t) }, hand: func(id string) []any { return []any{"XDEL", channel, id} },
			notice: func(t *testing.T, sc *scene) {
				t.Helper()
				for _, id := range must[[]string](t)(streamstest.Mine(sc.Ctx, sc.Store, channelS, 1)) {
					check(t, sc.Store.Kill(sc.Ctx, 0, settlement(id, medispatcher.Exhausted)))
				}
			},
			want: "#failed:s=1, #received:a.b=1, #vanished:s=1", from: "s", real: true,
		},
		"XDEL in flight, the dispatcher stops": {
			before: func(t *testing.T, sc *scene) string { return sc.Buried(t) }, hand: func(id string) []any { return []any{"XDEL", channel, id} },
			notice: func(t *testing.T, sc *scene) {
				t.Helper()
				check(t, sc.Store.Release(sc.Ctx, channelS, must[[]string](t)(streamstest.Mine(sc.Ctx, sc.Store, channelS, 1)), true))
			},
			want: "#received:a.b=1, #vanished:s=1", from: "s", real: true,
		},
		"XDEL in flight, the dispatcher dies": {
			before: func(t *testing.T, sc *scene) string { return sc.Buried(t) }, hand: func(id string) []any { return []any{"XDEL", channel, id} },
			notice: func(t *testing.T, sc *scene) {
				t.Helper()
				_, _, err := sc.Store.GiveBack(sc.Ctx, channelS, "me", 10)
				check(t, err)
			},
			want: "#received:a.b=1, #vanished:s=1", from: "s", real: true,
		},
		"XADD with MAXLEN on incoming, read": {
			before: func(t *testing.T, sc *scene) string { return sc.Incoming(t, "topic", "a.b", "body", "x") },
			hand:   func(string) []any { return []any{"XTRIM", incoming, "MAXLEN", 0} },
			notice: func(t *testing.T, sc *scene) {
				t.Helper()
				for _, e := range must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 10, true)) {
					check(t, fanout(sc, streams.Routing{EntryID: e.ID, Reason: "DECODERR topic: is missing"}))
				}
			},
			want: "#vanished:~incoming=1", from: "~incoming", real: true,
		},
		"XDEL of an incoming entry of a dead dispatcher": {
			before: func(t *testing.T, sc *scene) string { return sc.Incoming(t, "topic", "a.b", "body", "x") },
			hand:   func(id string) []any { return []any{"XDEL", incoming, id} },
			notice: func(t *testing.T, sc *scene) {
				t.Helper()
				_, _, err := sc.Store.GiveBackIncoming(sc.Ctx, 0, "me", 10, false)
				check(t, err)
			},
			want: "#vanished:~incoming=1", from: "~incoming", real: true,
		},
		"HDEL of a delayed message": {
			before: func(t *testing.T, sc *scene) string {
				id := sc.Incoming(t, "topic", "a.b", "body", "x", "delay", "1")
				check(t, fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), Due: time.Now().Add(-time.Second)}))
				return id
			},
			hand:   func(id string) []any { return []any{"HDEL", "medis:{0}:delayed:body", id} },
			notice: func(t *testing.T, sc *scene) { _, _, err := sc.Store.ReleaseDelayed(sc.Ctx, 0, 10); check(t, err) },
			want:   "#vanished:~delayed=1", from: "~delayed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				if c.real && env.Mini != nil {
					t.Skip("miniredis removes a deleted entry from the pending list")
				}
				sc := newScene(t, env)
				id := c.before(t, sc)
				check(t, sc.Client.Do(sc.Ctx, c.hand(id)...).Err())
				c.notice(t, sc)
				if got := sc.State(t); got != c.want {
					t.Errorf("state\n got  %s\n want %s", got, c.want)
				}
				want := []streams.Vanished{{From: c.from, Count: 1, First: id, Last: id}}
				if got := sc.Store.TakeVanished(); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("reported %+v, want %+v", got, want)
				}
				if again := sc.Store.TakeVanished(); len(again) > 0 {
					t.Errorf("reported again: %+v", again)
				}
				bad := streamstest.Examine(t, sc.Store)
				if !strings.Contains(bad["Messages/vanished"], "warning: 1 message lost within a day, deleted from Redis by hand: "+c.from+" (1)") {
					t.Errorf("the doctor: %v", bad)
				}
			})
		})
	}
}

// TestNothingVanished: a message that settles late, or is purged, does not count as vanished.
func TestNothingVanished(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		failed := settlement(sc.Buried(t), medispatcher.Failed)
		failed[0].Delay = 0
		check(t, sc.Store.Retry(sc.Ctx, 0, failed))
		check(t, sc.Client.XGroupDestroy(sc.Ctx, "medis:{0}:ch:s", "push").Err()) // READY again, with a due time
		sc.due(t)
		check(t, sc.Store.Release(sc.Ctx, channelS, []string{read(t, sc.Store)[0].EntryID}, false))
		_, _, err := sc.Store.Purge(sc.Ctx, "s")
		check(t, err)
		check(t, sc.Store.Release(sc.Ctx, channelS, []string{failed[0].EntryID}, false))
		sc.due(t)
		counts := must[map[string]int64](t)(report.New(sc.Store).Counts(sc.Ctx))
		maps.DeleteFunc(counts, func(what string, _ int64) bool { return !strings.HasPrefix(what, "vanished") })
		if len(counts) > 0 || len(sc.Store.TakeVanished()) > 0 {
			t.Errorf("vanished: %v", counts)
		}
	})
}

// TestLedger: no step meets unread entries that were trimmed or deleted, but the audit finds them.
// Settled, purged and replayed entries do not count as vanished, and nothing is counted twice.
func TestLedger(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t) // miniredis and Redis 6.2 do not count the entries added to a stream
	sc := newScene(t, env)
	const channel, incoming = "medis:{0}:ch:s", "medis:{0}:incoming"
	hand := func(args ...any) { t.Helper(); check(t, sc.Client.Do(sc.Ctx, args...).Err()) }
	found := func(want string) {
		t.Helper()
		check(t, sc.Store.AuditChannels(sc.Ctx, 0, []string{"s", "other"}))
		check(t, sc.Store.AuditIncoming(sc.Ctx, 0, false))
		got := ""
		for _, v := range sc.Store.TakeVanished() {
			got += fmt.Sprint(v.From, ":", v.Count, " ")
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("vanished %q, want %q", got, want)
		}
	}
	counted := func(what string, want int64) {
		t.Helper()
		if counts := must[map[string]int64](t)(report.New(sc.Store).Counts(sc.Ctx)); counts[what] != want {
			t.Errorf("%s is %d, want %d: %v", what, counts[what], want, counts)
		}
	}
	sent := func() {
		t.Helper()
		for _, d := range read(t, sc.Store) {
			check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(d.EntryID, medispatcher.Sent))))
		}
	}
	found("")
	for range 2 {
		sc.Ready(t)
	}
	found("")
	hand("DEL", channel)
	found("s:2")
	for range 10 {
		sc.Ready(t)
	}
	hand("XTRIM", channel, "MAXLEN", 4)
	found("s:6")
	found("")
	read(t, sc.Store)
	ids := must[[]string](t)(streamstest.Mine(sc.Ctx, sc.Store, channelS, 10))
	hand("XDEL", channel, ids[0])
	failed := settlement(ids[1], medispatcher.Failed)
	failed[0].Delay = 0
	check(t, sc.Store.Retry(sc.Ctx, 0, failed))
	hand("XDEL", channel, ids[1])
	found("s:2")
	check(t, sc.Store.Kill(sc.Ctx, 0, settlement(ids[0], medispatcher.Exhausted)))
	sc.due(t)
	found("") // both were reported already
	check(t, sc.Store.Kill(sc.Ctx, 0, settlement(ids[2], medispatcher.Exhausted)))
	hand("XACK", channel, "push", ids[3])
	check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(ids[3], medispatcher.Sent))))
	found("")
	must[int](t)(sc.Store.Replay(sc.Ctx, "s", []string{must[[]medispatcher.DeadLetter](t)(sc.Store.DeadLetters(sc.Ctx, "s", "", 1))[0].ID}))
	sent()
	found("")
	sc.Ready(t)
	_, _, err := sc.Store.Purge(sc.Ctx, "s")
	check(t, err)
	found("")
	for range 3 {
		sc.Ready(t)
	}
	found("")
	hand("DEL", channel)
	found("s:3")
	sc.Ready(t)
	sent()
	found("")
	sc.Ready(t)
	counted("vanished:s", 13)
	hand("DEL", "medis:stats:{0}:total") // deleting the counts deletes no message
	found("")
	hand("DEL", channel)
	sc.Ready(t) // the stream exists again before anybody looks
	found("s:1")
	sent()
	found("")
	must[medispatcher.ChannelStatus](t)(sc.Store.Discard(sc.Ctx, "s", true))
	found("")

	for range 5 {
		check(t, second(sc.Store.Publish(sc.Ctx, medispatcher.Message{Topic: "a.b", Body: []byte("x")})))
	}
	hand("XADD", incoming, "MAXLEN", 2, "*", "topic", "a.b", "body", "x")
	found("~incoming:4")
	must[int64](t)(sc.Store.Withdraw(sc.Ctx, "a.b", time.UnixMilli(0)))
	sc.Ready(t)
	found("")
	counted("vanished:~incoming", 4)
	hand("XTRIM", channel, "MAXLEN", 0)
	check(t, sc.Store.AuditIncoming(sc.Ctx, 0, true)) // dispatchers of versions that do not count are running: that explains the loss
	found("s:1")
}

// TestIncomingDeleted: a command typed by hand deletes the incoming stream under traffic. What a dispatcher has in hand and cannot move is counted,
// also if the stream and its group exist again by then. What was moved before, is not.
func TestIncomingDeleted(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
			sc := newScene(t, env)
			const incoming = "medis:{0}:incoming"
			var ids []string
			for range 4 {
				ids = append(ids, sc.Incoming(t, "topic", "a.b", "body", "x"))
			}
			move := func(ids ...string) string {
				t.Helper()
				var step []streams.Routing
				for _, id := range ids {
					step = append(step, streams.Routing{EntryID: id, Message: message("a.b"), Subs: []string{"s"}})
				}
				results := ""
				for _, r := range must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, step)) {
					results += string(r.Result) + " "
				}
				return results
			}
			expect(t, "moved", move(ids[0]), "copied ")
			expect(t, "moved before", move(ids[0]), "gone ")
			check(t, sc.Client.Del(sc.Ctx, incoming).Err())
			if again {
				check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: incoming, Values: []any{"topic", "a.b", "body", "x"}}).Err())
				must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 10, false)) // creates the group
			}
			expect(t, "in hand", move(ids[1:]...), "vanished vanished vanished ")
			want := []streams.Vanished{{From: streams.FromIncoming, Count: 3, First: ids[1], Last: ids[3]}}
			if got := sc.Store.TakeVanished(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("reported %+v, want %+v", got, want)
			}
			check(t, sc.Store.AuditIncoming(sc.Ctx, 0, false))
			if again := sc.Store.TakeVanished(); len(again) > 0 {
				t.Errorf("reported again: %+v", again)
			}
		})
	}
}
