package streams_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// scene is streamstest.Scene with more methods.
type scene struct{ *streamstest.Scene }

func newScene(t *testing.T, env *streamstest.Env) *scene {
	t.Helper()
	return &scene{streamstest.NewScene(t, env)}
}

func newSceneOf(t *testing.T, env *streamstest.Env, cfg streams.Config) *scene {
	t.Helper()
	return &scene{streamstest.NewSceneOf(t, env, cfg)}
}

func must[T any](t *testing.T) func(v T, err error) T { return streamstest.Must[T](t) }

func check(t *testing.T, err error) {
	t.Helper()
	streamstest.Check(t, err)
}

func message(topic string) medispatcher.Message { return streamstest.Message(topic) }

var channelS = streamstest.ChannelS

func read(t *testing.T, s *streams.Store) []medispatcher.Delivery {
	t.Helper()
	return streamstest.Read(t, s)
}

func put(t *testing.T, registry *streams.Registry, id, doc string) {
	t.Helper()
	streamstest.Put(t, registry, id, doc)
}

func settlement(id string, o medispatcher.Outcome) []medispatcher.Settlement {
	return streamstest.Settlement(id, o)
}

// arrow is one step of a message's life: one atomic script, one method of Store.
type arrow struct {
	name    string
	command string                                         // the command that runs the step
	before  func(t *testing.T, sc *scene) (id string)      // brings the message to its start
	step    func(sc *scene, id string) error               // the test repeats it after an error
	want    string                                         // the state at its end
	archive bool                                           // the dispatcher keeps one
	skip    int                                            // commands of that name before the one of the step
	repair  func(t *testing.T, sc *scene, id string) error // brings the state after a lost reply to want
}

func fanout(sc *scene, r streams.Routing) error {
	_, err := sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{r})
	return err
}

// reconcile gives back the messages that this process owns without knowing, as push does.
func reconcile(_ *testing.T, sc *scene, _ string) error {
	mine, err := streamstest.Mine(sc.Ctx, sc.Store, channelS, 10)
	if err != nil {
		return err
	}
	if err := sc.Store.Release(sc.Ctx, channelS, mine, false); err != nil {
		return err
	}
	_, _, err = sc.Store.Due(sc.Ctx, 0, []medispatcher.Want{{Channel: channelS, Max: 10}})
	return err
}

func arrows() []arrow {
	incoming := func(fields ...any) func(t *testing.T, sc *scene) string {
		return func(t *testing.T, sc *scene) string { return sc.Incoming(t, fields...) }
	}
	buried := func(t *testing.T, sc *scene) string { return sc.Buried(t) }
	return append(orderedArrows(), []arrow{
		{
			name: "INCOMING to READY", command: "evalsha", before: incoming("topic", "a.b", "body", "x"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), Subs: []string{"s", "s2", "s3"}})
			},
			want: "#received:a.b=1, ch:s=1, ch:s2=1, ch:s3=1",
		},
		{
			name: "INCOMING to nobody, since every filter refuses it", command: "evalsha", before: incoming("topic", "a.b", "body", "x", "id", "m1"),
			step: func(sc *scene, id string) error {
				m := message("a.b")
				m.ID = "m1"
				return fanout(sc, streams.Routing{EntryID: id, Message: m, Filtered: true})
			},
			want: "#received:a.b=1, seen:m1=set",
		},
		{
			name: "INCOMING to READY, finished when a filter refuses it meanwhile", command: "evalsha", before: begun("gone"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), After: "s2", Filtered: true})
			},
			want: "#received:a.b=1, ch:s=1, ch:s2=1",
		},
		{
			name: "INCOMING to READY, begun", command: "evalsha", before: incoming("topic", "a.b", "body", "x"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), Subs: []string{"s", "s2"}, More: true})
			},
			want: "ch:s=1, ch:s2=1, copying=1, incoming=1 me:1",
		},
		{
			name: "INCOMING to READY, finished", command: "evalsha", before: begun("me"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), After: "s2", Subs: []string{"s3"}})
			},
			want: "#received:a.b=1, ch:s=1, ch:s2=1, ch:s3=1",
		},
		{
			name: "INCOMING to READY, finished by another", command: "evalsha", before: begun("gone"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), After: "s2", Subs: []string{"s3"}})
			},
			want: "#received:a.b=1, ch:s=1, ch:s2=1, ch:s3=1",
		},
		{
			name: "INCOMING to READY, finished when nobody else wants it", command: "evalsha", before: begun("gone"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), After: "s2"})
			},
			want: "#received:a.b=1, ch:s=1, ch:s2=1",
		},
		{
			name: "INCOMING to READY, begun by another, which is not known", command: "evalsha", before: begun("gone"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b")})
			},
			want: "ch:s=1, ch:s2=1, copying=1, incoming=1 me:1",
		},
		{
			name: "INCOMING to READY, handed over", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(sc.Buried(t), medispatcher.Sent)))) // the group exists
				return sc.Incoming(t, "topic", "a.b", "body", "x")
			},
			step: func(sc *scene, id string) error {
				_, _, err := sc.Store.FanoutHand(sc.Ctx, 0, streams.RoutedBy{}, []streams.Routing{{EntryID: id, Message: message("a.b"), Subs: []string{"s", "s2"}}},
					[]medispatcher.Want{{Channel: channelS, Max: 10}})
				return err
			},
			want: "#received:a.b=2, #sent:s=1, ch:s=1 me:1, ch:s2=1",
		},
		{
			name: "INCOMING to READY with the producer's id", command: "evalsha", before: incoming("topic", "a.b", "body", "x", "id", "p1"),
			step: func(sc *scene, id string) error {
				m := message("a.b")
				m.ID = "p1"
				return fanout(sc, streams.Routing{EntryID: id, Message: m, Subs: []string{"s"}})
			},
			want: "#received:a.b=1, ch:s=1, seen:p1=set",
		},
		{
			name: "INCOMING to UNROUTED", command: "evalsha", before: incoming("topic", "a.b", "body", "x"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b")})
			},
			want: "#received:a.b=1, #unroutable:a.b=1, unrouted=1, unrouted:size=2",
		},
		{
			name: "INCOMING to UNROUTED with the producer's id", command: "evalsha", before: incoming("topic", "a.b", "body", "x", "id", "p1"),
			step: func(sc *scene, id string) error {
				m := message("a.b")
				m.ID = "p1"
				return fanout(sc, streams.Routing{EntryID: id, Message: m})
			},
			want: "#received:a.b=1, #unroutable:a.b=1, unrouted=1, unrouted:size=2",
		},
		{
			name: "INCOMING, delayed before, to UNROUTED", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				m := message("a.b")
				m.ID = "p1"
				id := sc.Incoming(t, "topic", "a.b", "body", "x", "id", "p1", "delay", "1")
				check(t, fanout(sc, streams.Routing{EntryID: id, Message: m, Due: time.Now().Add(-time.Second)}))
				check(t, third(sc.Store.ReleaseDelayed(sc.Ctx, 0, 10)))
				return must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 10, false))[0].ID
			},
			step: func(sc *scene, id string) error {
				m := message("a.b")
				m.ID = "p1"
				return fanout(sc, streams.Routing{EntryID: id, Message: m, Released: true})
			},
			want: "#received:a.b=1, #unroutable:a.b=1, unrouted=1, unrouted:size=2",
		},
		{
			name: "INCOMING to READY and ARCHIVE", command: "evalsha", archive: true, before: incoming("topic", "a.b", "body", "x"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), Subs: []string{"s", "s2"}})
			},
			want: "#received:a.b=1, archive=1, archive:state=2, ch:s=1, ch:s2=1",
		},
		{
			name: "INCOMING to READY and ARCHIVE, begun", command: "evalsha", archive: true, before: incoming("topic", "a.b", "body", "x"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), Subs: []string{"s", "s2"}, More: true})
			},
			want: "archive=1, archive:state=2, ch:s=1, ch:s2=1, copying=1, incoming=1 me:1",
		},
		{
			name: "INCOMING to READY and ARCHIVE, finished", command: "evalsha", archive: true, before: begun("me"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), After: "s2", Subs: []string{"s3"}})
			},
			want: "#received:a.b=1, ch:s=1, ch:s2=1, ch:s3=1", // it began where none was kept
		},
		{
			name: "INCOMING to UNROUTED and ARCHIVE", command: "evalsha", archive: true, before: incoming("topic", "a.b", "body", "x"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b")})
			},
			want: "#received:a.b=1, #unroutable:a.b=1, archive=1, archive:state=2, unrouted=1, unrouted:size=2",
		},
		{
			name: "ARCHIVE to READY", command: "evalsha", archive: true, skip: 4,
			before: func(t *testing.T, sc *scene) string {
				check(t, fanout(sc, streams.Routing{EntryID: sc.Incoming(t, "topic", "a.b", "body", "x"), Message: message("a.b"), Subs: []string{"s2"}}))
				put(t, streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {}), "s", `{"topic":"a.b","urls":["http://h/"]}`)
				check(t, third(sc.Store.StartReplay(sc.Ctx, replayOf(t, medispatcher.ReplayAsk{Since: "1h"}))))
				return "s"
			},
			step: goOnReplaying,
			want: "#received:a.b=1, #replayed:s=1, archive=1, archive:state=2, ch:s=1, ch:s2=1, replay:s=6",
		},
		{
			name: "ARCHIVE to gone", command: "evalsha", archive: true,
			before: func(t *testing.T, sc *scene) string {
				check(t, fanout(sc, streams.Routing{EntryID: sc.Incoming(t, "topic", "a.b", "body", "x"), Message: message("a.b"), Subs: []string{"s"}}))
				return ""
			},
			step: func(sc *scene, id string) error {
				keep := -time.Hour
				if id == "0-1" {
					keep = time.Hour
				}
				return second(sc.Store.TrimArchive(sc.Ctx, 0, keep, true))
			},
			want: "#received:a.b=1, ch:s=1",
		},
		{
			name: "INCOMING to QUARANTINE", command: "evalsha", before: incoming("tropic", "a.b", "body", "x"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Reason: "DECODERR topic: is missing"})
			},
			want: "#quarantined=1, quarantine=1, quarantine:size=2",
		},
		{
			name: "INCOMING to delayed", command: "evalsha", before: incoming("topic", "a.b", "body", "x", "delay", "1h"),
			step: func(sc *scene, id string) error {
				return fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), Due: time.Now().Add(time.Hour)})
			},
			want: "delayed=1, delayed:body=1",
		},
		{
			name: "delayed to INCOMING", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				id := sc.Incoming(t, "topic", "a.b", "body", "x", "delay", "1")
				check(t, fanout(sc, streams.Routing{EntryID: id, Message: message("a.b"), Due: time.Now().Add(-time.Second)}))
				return id
			},
			step: func(sc *scene, _ string) error { _, _, err := sc.Store.ReleaseDelayed(sc.Ctx, 0, 10); return err },
			want: "incoming=1",
		},
		{
			name: "READY to BURIED", command: "xreadgroup",
			before: func(t *testing.T, sc *scene) string {
				sc.Buried(t) // creates the group
				check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(must[[]string](t)(streamstest.Mine(sc.Ctx, sc.Store, channelS, 1))[0], medispatcher.Sent))))
				sc.Ready(t)
				return ""
			},
			step: func(sc *scene, _ string) error {
				_, err := sc.Store.Read(sc.Ctx, []medispatcher.Want{{Channel: channelS, Max: 1}})
				return err
			},
			want:   "#received:a.b=2, #sent:s=1, ch:s=1 me:1",
			repair: reconcile,
		},
		{
			name: "BURIED to DELETED", command: "evalsha", before: buried,
			step: func(sc *scene, id string) error {
				return second(sc.Store.Delete(sc.Ctx, 0, settlement(id, medispatcher.Sent)))
			},
			want: "#received:a.b=1, #sent:s=1",
		},
		{
			name: "BURIED to BURIED, retrying", command: "evalsha", before: buried,
			step: func(sc *scene, id string) error {
				return sc.Store.Retry(sc.Ctx, 0, settlement(id, medispatcher.Failed))
			},
			want: "#failed:s=1, #received:a.b=1, ch:s=1 ~buried:1, failures:s=1, retry:s=1",
		},
		{
			name: "BURIED, due, to BURIED by me", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				failed := settlement(sc.Buried(t), medispatcher.Failed)
				failed[0].Delay = 0
				check(t, sc.Store.Retry(sc.Ctx, 0, failed))
				return failed[0].EntryID
			},
			step: func(sc *scene, _ string) error {
				_, _, err := sc.Store.Due(sc.Ctx, 0, []medispatcher.Want{{Channel: channelS, Max: 1}})
				return err
			},
			want:   "#failed:s=1, #received:a.b=1, ch:s=1 me:1, failures:s=1",
			repair: reconcile,
		},
		{
			name: "BURIED to DEAD", command: "evalsha", before: buried,
			step: func(sc *scene, id string) error {
				return sc.Store.Kill(sc.Ctx, 0, settlement(id, medispatcher.Exhausted))
			},
			want: "#dead:s=1, #failed:s=1, #received:a.b=1, dead:s=1",
		},
		{
			name: "DEAD to READY", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				check(t, sc.Store.Kill(sc.Ctx, 0, settlement(sc.Buried(t), medispatcher.Exhausted)))
				return strings.TrimPrefix(must[[]medispatcher.DeadLetter](t)(sc.Store.DeadLetters(sc.Ctx, "s", "", 1))[0].ID, "0-")
			},
			step: func(sc *scene, id string) error {
				return second(sc.Store.Replay(sc.Ctx, "s", []string{"0-" + id}))
			},
			want: "#dead:s=1, #failed:s=1, #received:a.b=1, #replayed:s=1, ch:s=1",
		},
		{
			name: "DEAD to READY, all of them", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				check(t, sc.Store.Kill(sc.Ctx, 0, settlement(sc.Buried(t), medispatcher.Exhausted)))
				return ""
			},
			step: func(sc *scene, id string) error {
				_, _, err := sc.Store.ReplayAll(sc.Ctx, subOf(id), goOn)
				return err
			},
			want: "#dead:s=1, #failed:s=1, #received:a.b=1, #replayed:s=1, ch:s=1",
		},
		{
			name: "DEAD to purged", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				check(t, sc.Store.Kill(sc.Ctx, 0, settlement(sc.Buried(t), medispatcher.Exhausted)))
				return ""
			},
			step: func(sc *scene, id string) error {
				_, _, err := sc.Store.PurgeAllDead(sc.Ctx, subOf(id), goOn)
				return err
			},
			want: "#dead:s=1, #failed:s=1, #purged:s=1, #received:a.b=1",
		},
		{
			name: "READY to purged", command: "evalsha",
			before: func(t *testing.T, sc *scene) string { sc.Ready(t); return "" },
			step:   func(sc *scene, id string) error { _, _, err := sc.Store.Purge(sc.Ctx, subOf(id)); return err },
			want:   "#purged:s=1, #received:a.b=1",
		},
		{
			name: "BURIED to purged", command: "evalsha",
			before: func(t *testing.T, sc *scene) string { sc.Buried(t); return "" },
			step:   func(sc *scene, id string) error { _, _, err := sc.Store.Purge(sc.Ctx, subOf(id)); return err },
			want:   "#purged:s=1, #received:a.b=1",
		},
		{
			name: "BURIED, retrying, to purged", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				check(t, sc.Store.Retry(sc.Ctx, 0, settlement(sc.Buried(t), medispatcher.Failed)))
				return ""
			},
			step: func(sc *scene, id string) error { _, _, err := sc.Store.Purge(sc.Ctx, subOf(id)); return err },
			want: "#failed:s=1, #purged:s=1, #received:a.b=1",
		},
		{
			name: "BURIED to purged, with the subscription", command: "evalsha",
			before: func(t *testing.T, sc *scene) string { sc.Buried(t); return "" },
			step:   func(sc *scene, id string) error { return second(sc.Store.Discard(sc.Ctx, subOf(id), true)) },
			want:   "#received:a.b=1",
		},
		{
			name: "BURIED owned by the dead to BURIED, retrying", command: "evalsha", before: buried,
			step: func(sc *scene, id string) error {
				_, _, err := sc.Store.GiveBack(sc.Ctx, channelS, ownerOf(id), 10)
				return err
			},
			want: "#received:a.b=1, ch:s=1 ~buried:1, retry:s=1",
		},
		{
			name: "BURIED given back", command: "evalsha", before: buried,
			step: func(sc *scene, id string) error { return sc.Store.Release(sc.Ctx, channelS, []string{id}, true) },
			want: "#received:a.b=1, ch:s=1 ~buried:1, retry:s=1",
		},
		{
			name: "UNROUTED to INCOMING", command: "evalsha", skip: 1, before: unrouted,
			step: func(sc *scene, id string) error {
				return second(sc.Store.ReplayKept(sc.Ctx, medispatcher.PlaceUnrouted, []string{"0-" + id}, keptRules()))
			},
			want: "#unrouted_replayed=1, incoming=1",
		},
		{
			name: "UNROUTED to purged", command: "evalsha", before: unrouted,
			step: func(sc *scene, id string) error {
				return second(sc.Store.PurgeKept(sc.Ctx, medispatcher.PlaceUnrouted, []string{"0-" + id}))
			},
			want: "#unrouted_purged=1",
		},
		{
			name: "QUARANTINE to INCOMING", command: "evalsha", skip: 1,
			before: quarantined("reason", "DECODERR body: is 3 bytes long", "source", "1700000000000-0", "topic", "a.b", "body", "xyz"),
			step: func(sc *scene, id string) error {
				return second(sc.Store.ReplayKept(sc.Ctx, medispatcher.PlaceQuarantine, []string{"0-" + id}, keptRules()))
			},
			want: "#quarantine_replayed=1, incoming=1, recovered:kept-1700000000000=1",
		},
		{
			name: "QUARANTINE to READY", command: "evalsha", skip: 1,
			before: quarantined("reason", "REDISTFAIL medis:{0}:ch:s is not a stream", "source", "1700000000000-0", "topic", "a.b", "body", "xyz"),
			step: func(sc *scene, id string) error {
				return second(sc.Store.ReplayKept(sc.Ctx, medispatcher.PlaceQuarantine, []string{"0-" + id}, keptRules()))
			},
			want: "#quarantine_replayed=1, ch:s=1, recovered:kept-1700000000000=1",
		},
		{
			name: "QUARANTINE to INCOMING, an item of a recover list", command: "evalsha", skip: 1,
			before: quarantined("reason", "RECOVFAILASSERT", "source", "medis:recover:l", "raw", `{"topic":"a.b","body":"xyz"}`),
			step: func(sc *scene, id string) error {
				return second(sc.Store.ReplayKept(sc.Ctx, medispatcher.PlaceQuarantine, []string{"0-" + id}, keptRules()))
			},
			want: "#quarantine_replayed=1, #recovered=1, incoming=1, recovered:quarantine-0-ID=1",
		},
		{
			name: "QUARANTINE to INCOMING, an item of a recover list that is published already", command: "evalsha", skip: 2,
			before: quarantined("reason", "RECOVFAILASSERT", "source", "medis:recover:l", "raw", `{"topic":"a.b","body":"xyz"}`),
			step: func(sc *scene, id string) error {
				return second(sc.Store.ReplayKept(sc.Ctx, medispatcher.PlaceQuarantine, []string{"0-" + id}, keptRules()))
			},
			want: "#quarantine_replayed=1, #recovered=1, incoming=1, recovered:quarantine-0-ID=1",
		},
		{
			name: "QUARANTINE to purged, all of it", command: "evalsha",
			before: quarantined("reason", "DECODERR topic: is missing", "source", "1700000000000-0", "body", "xyz"),
			step: func(sc *scene, id string) error {
				if id == "0-1" {
					return second(sc.Store.PurgeKept(sc.Ctx, medispatcher.PlaceQuarantine, []string{"0-0-1"}))
				}
				_, _, err := sc.Store.PurgeAllKept(sc.Ctx, medispatcher.PlaceQuarantine, goOn)
				return err
			},
			want: "#quarantine_purged=1",
		},
		{
			name: "BURIED, retrying, owned by nobody, to ~buried", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				id := sc.Buried(t)
				check(t, sc.Store.Retry(sc.Ctx, 0, settlement(id, medispatcher.Failed)))
				check(t, sc.Client.XAck(sc.Ctx, "medis:{0}:ch:s", "push", id).Err())
				return id
			},
			step: func(sc *scene, id string) error { return second(sc.Store.Unowned(sc.Ctx, channelOf(id), false)) },
			want: "#failed:s=1, #received:a.b=1, #unowned:s=1, ch:s=1 ~buried:1, failures:s=1, retry:s=1",
		},
		{
			name: "BURIED, owned by nobody, to ~buried", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				id := sc.Buried(t)
				check(t, sc.Client.XGroupDelConsumer(sc.Ctx, "medis:{0}:ch:s", "push", "me").Err())
				return id
			},
			step: func(sc *scene, id string) error { return second(sc.Store.Unowned(sc.Ctx, channelOf(id), false)) },
			want: "#received:a.b=1, #unowned:s=1, ch:s=1 ~buried:1, retry:s=1",
		},
		{
			name: "INCOMING, owned by nobody, to mine", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				id := sc.Incoming(t, "topic", "a.b", "body", "x")
				check(t, sc.Client.XAck(sc.Ctx, "medis:{0}:incoming", "fanout", id).Err())
				return id
			},
			step: func(sc *scene, id string) error {
				return second(sc.Store.UnownedIncoming(sc.Ctx, 0, true, id == "0-1"))
			},
			want: "#unowned:~incoming=1, incoming=1 me:1",
		},
		{
			name: "recover list to in hand", command: "evalsha", before: parked("one", "two"),
			step: func(sc *scene, list string) error {
				return second(streams.NewRecoverLists(sc.Store).Take(sc.Ctx, list, 10, 1000))
			},
			want: "recovering:{medis:recover:l}=2",
		},
		{
			name: "in hand to INCOMING", command: "evalsha", before: token,
			step: func(sc *scene, token string) error {
				return writeOnce(sc, medispatcher.Once{Token: token, Message: message("a.b")})
			},
			want: "#recovered=1, incoming=1, recovered:tok=1",
		},
		{
			name: "in hand to QUARANTINE", command: "evalsha", before: token,
			step: func(sc *scene, token string) error {
				return writeOnce(sc, medispatcher.Once{Token: token, Reason: "RECOVFAILDECODE", Raw: "x", Source: "medis:recover:l"})
			},
			want: "#quarantined=1, quarantine=1, quarantine:size=2, recovered:tok=1",
		},
		{
			name: "DATA log to READY", command: "evalsha", before: token,
			step: func(sc *scene, token string) error {
				return writeOnce(sc, medispatcher.Once{Token: token, Message: message("a.b"), Subscription: "s"})
			},
			want: "#recovered:s=1, ch:s=1, recovered:tok=1",
		},
		{
			name: "in hand dropped", command: "hdel",
			before: func(t *testing.T, sc *scene) string {
				list := parked("one", "two")(t, sc)
				must[[]medispatcher.RecoverItem](t)(streams.NewRecoverLists(sc.Store).Take(sc.Ctx, list, 10, 1000))
				return list
			},
			step: func(sc *scene, list string) error {
				lists := streams.NewRecoverLists(sc.Store)
				items, err := lists.Take(sc.Ctx, list, 10, 1000)
				tokens := []string{"unknown.1"}
				for _, item := range items {
					if item.Text == "one" {
						tokens = append(tokens, item.Token)
					}
				}
				return errors.Join(err, lists.Drop(sc.Ctx, list, tokens))
			},
			want: "recovering:{medis:recover:l}=1",
		},
	}...)
}

// unrouted keeps a message that no subscription wants.
func unrouted(t *testing.T, sc *scene) string {
	return kept(t, sc, "medis:{0}:unrouted", "time", "1700000000000", "topic", "a.b", "body", "xyz", "~src", "1700000000000-0")
}

// quarantined keeps an entry in the quarantine.
func quarantined(fields ...any) func(t *testing.T, sc *scene) string {
	return func(t *testing.T, sc *scene) string {
		t.Helper()
		return kept(t, sc, "medis:{0}:quarantine", fields...)
	}
}

func kept(t *testing.T, sc *scene, stream string, fields ...any) string {
	t.Helper()
	return must[string](t)(sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: stream, Values: fields}).Result())
}

// begun is an entry with its first copies made, by "me" or by a dispatcher that is gone.
func begun(by string) func(t *testing.T, sc *scene) string {
	return func(t *testing.T, sc *scene) string {
		t.Helper()
		id := sc.Incoming(t, "topic", "a.b", "body", "x")
		if by != "me" {
			check(t, sc.Client.XClaimJustID(sc.Ctx, &redis.XClaimArgs{Stream: "medis:{0}:incoming", Group: "fanout", Consumer: by, Messages: []string{id}}).Err())
		}
		first := sc.Open(t, sc.Config(by))
		check(t, second(first.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: id, Message: message("a.b"), Subs: []string{"s", "s2"}, More: true}})))
		if by != "me" {
			check(t, third(sc.Store.GiveBackIncoming(sc.Ctx, 0, by, 10, true)))
		}
		return id
	}
}

// parked pushes items onto a recover list.
func parked(items ...any) func(t *testing.T, sc *scene) string {
	return func(t *testing.T, sc *scene) string {
		t.Helper()
		check(t, sc.Client.RPush(sc.Ctx, "medis:recover:l", items...).Err())
		return "medis:recover:l"
	}
}

// goOnReplaying goes on with the replay to a subscription.
func goOnReplaying(sc *scene, sub string) error {
	r, err := sc.Store.ReplayOf(sc.Ctx, sub)
	if errors.Is(err, medispatcher.ErrNotFound) {
		return nil
	}
	registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
	return errors.Join(err, second((&streams.Replayer{Store: sc.Store, Registry: registry}).Run(sc.Ctx, r)))
}

func token(*testing.T, *scene) string { return "tok" }

// writeOnce writes nothing for the entry that only loads the script.
func writeOnce(sc *scene, o medispatcher.Once) error {
	done, err := sc.Store.WriteOnce(sc.Ctx, 0, []medispatcher.Once{o}, time.Hour, o.Token == "0-1")
	if err == nil {
		err = done[0].Err
	}
	return err
}

// ownerOf is "me" for an entry of the test, and nobody for the one that loads the script.
func ownerOf(id string) string {
	if id == "0-1" {
		return "nobody"
	}
	return "me"
}

// subOf is "s" for the test, and another subscription for the step that loads the script.
func subOf(id string) string {
	if id == "0-1" {
		return "other"
	}
	return "s"
}

func channelOf(id string) medispatcher.Channel { return medispatcher.Channel{Subscription: subOf(id)} }

func goOn(_, _ int64) bool { return true }

func second[T any](_ T, err error) error { return err }

// TestState runs every arrow without a fault, with its command refused, and with its reply lost. A step
// that failed is repeated. The final state is the same each time, also on a Redis Cluster.
func TestState(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		for _, a := range arrows() {
			for i, fault := range []streamstest.Fault{"", "", streamstest.Before, streamstest.After} {
				layout := 1 + i%2
				t.Run(fmt.Sprint(a.name, " ", fault, " layout ", layout), func(t *testing.T) {
					env.Flush(t)
					newScene := func() *scene {
						cfg := env.Config("me")
						if a.archive {
							cfg = archiving(cfg)
						}
						return newSceneOf(t, env, cfg)
					}
					sc := newScene()
					sc.Store.WriteLayout(layout)
					id := a.before(t, sc)
					load := "0-1" // an entry that "me" does not own: the step only loads the script
					if a.skip > 0 {
						load = id // for a missing entry the step would end before the script
					}
					check(t, a.step(sc, load))
					if a.repair != nil || a.skip > 0 || strings.HasPrefix(a.name, "delayed") {
						env.Flush(t) // that step took effect, or has no id
						sc = newScene()
						sc.Store.WriteLayout(layout)
						id = a.before(t, sc)
					}
					if fault != "" {
						sc.Faults.Next(fault, 1, a.command)
						sc.Faults.Skip(a.skip)
						if err := a.step(sc, id); !errors.Is(err, streamstest.ErrInjected) {
							t.Fatalf("no command met the fault: %v", err)
						}
					}
					check(t, a.step(sc, id))
					if fault == streamstest.After && a.repair != nil {
						check(t, a.repair(t, sc, id))
					}
					if got := strings.Replace(sc.State(t), "quarantine-0-"+id, "quarantine-0-ID", 1); got != a.want {
						t.Errorf("state\n got  %s\n want %s", got, a.want)
					}
				})
			}
		}
	})
}
