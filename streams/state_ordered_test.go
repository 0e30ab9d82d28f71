package streams_test

import (
	"errors"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// waiting puts two messages of a key into "s", lets "me" read the first one, and returns its entry id.
func waiting(t *testing.T, sc *scene) string {
	t.Helper()
	copyKeyed(t, sc, "k:1", "k:2")
	return read(t, sc.Store)[0].EntryID
}

// inRun puts three messages of a key into "s", lets "me" read the first one with the others, and returns its entry id.
func inRun(t *testing.T, sc *scene) string {
	t.Helper()
	copyKeyed(t, sc, "k:1", "k:2", "k:3")
	return readRuns(t, sc.Store, 10)[0].EntryID
}

// ofRun are outcomes of the messages of inRun.
func ofRun(id string, list ...medispatcher.Outcome) []medispatcher.Settlement {
	out := settlement(id, list[0])
	out[0].RunFrom = 1
	for _, o := range list[1:] {
		out[0].Run = append(out[0].Run, settlement("", o)[0])
	}
	return out
}

// orderedArrows are those of ordered subscriptions.
func orderedArrows() []arrow {
	next := func(t *testing.T, sc *scene) string { return keyed(t, sc, "k", "2").EntryID }
	move := func(sc *scene, id string) error {
		m := message("a.b")
		m.Key = "k"
		return fanout(sc, streams.Routing{EntryID: id, Message: m, Subs: []string{"s"}, Ordered: []string{"s"}})
	}
	return []arrow{
		{
			name: "INCOMING to READY, ordered", command: "evalsha", before: next, step: move,
			want: "#received:a.b=1, ch:s=1, line:s=3",
		},
		{
			name: "INCOMING to READY, waiting", command: "evalsha",
			before: func(t *testing.T, sc *scene) string { copyKeyed(t, sc, "k:1"); return next(t, sc) }, step: move,
			want: "#received:a.b=2, ch:s=1, line:s=3, wait:s=1",
		},
		{
			name: "BURIED to DELETED, and the next one of its key", command: "evalsha", before: waiting,
			step: func(sc *scene, id string) error {
				return second(sc.Store.Delete(sc.Ctx, 0, settlement(id, medispatcher.Sent)))
			},
			want: "#received:a.b=2, #sent:s=1, ch:s=1, line:s=3",
		},
		{
			name: "READY to BURIED, and what waits behind it", command: "evalsha", repair: reconcile,
			before: func(t *testing.T, sc *scene) string {
				id := waiting(t, sc)
				check(t, sc.Store.Release(sc.Ctx, channelS, []string{id}, false))
				copyKeyed(t, sc, "k2:1", "k2:2")
				return id
			},
			step: func(sc *scene, _ string) error {
				wants := []medispatcher.Want{{Channel: channelS, Max: 10, Runs: true}}
				return errors.Join(third(sc.Store.Due(sc.Ctx, 0, wants)), second(sc.Store.Read(sc.Ctx, wants)))
			},
			want: "#received:a.b=4, ch:s=2 me:2, line:s=8, wait:s=2",
		},
		{
			name: "READY, waiting, to DELETED, with the one before it", command: "evalsha", before: inRun,
			step: func(sc *scene, id string) error {
				return second(sc.Store.Delete(sc.Ctx, 0, ofRun(id, medispatcher.Sent, medispatcher.Sent, medispatcher.Failed)))
			},
			want: "#failed:s=1, #received:a.b=3, #sent:s=2, ch:s=1, line:s=4",
		},
		{
			name: "READY, waiting, to DELETED, and then the one before it", command: "evalsha", skip: 1, before: inRun,
			step: func(sc *scene, id string) error {
				return second(sc.Store.Delete(sc.Ctx, 0, ofRun(id, medispatcher.Sent, medispatcher.Failed, medispatcher.Sent)))
			},
			want: "#failed:s=1, #received:a.b=3, #sent:s=2, ch:s=1, line:s=4",
		},
		{
			name: "READY, waiting, failed behind another", command: "evalsha", before: inRun,
			step: func(sc *scene, id string) error {
				return sc.Store.Retry(sc.Ctx, 0, ofRun(id, medispatcher.Failed, medispatcher.Failed, medispatcher.Failed))
			},
			want: "#failed:s=3, #received:a.b=3, ch:s=1 ~buried:1, failures:s=1, line:s=5, retry:s=1, wait:s=2",
		},
		{
			name: "READY, waiting, to DELETED, with a dead letter before it", command: "evalsha", before: inRun,
			step: func(sc *scene, id string) error {
				return sc.Store.Kill(sc.Ctx, 0, ofRun(id, medispatcher.Exhausted, medispatcher.Sent))
			},
			want: "#dead:s=1, #failed:s=1, #received:a.b=3, #sent:s=1, ch:s=1, dead:s=1, line:s=4",
		},
		{
			name: "BURIED to BURIED, put off", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				check(t, second(sc.Store.Delete(sc.Ctx, 0, ofRun(inRun(t, sc), medispatcher.Sent, medispatcher.Failed))))
				return read(t, sc.Store)[0].EntryID
			},
			step: func(sc *scene, id string) error {
				out := settlement(id, medispatcher.Failed)
				out[0].Next, out[0].Due = 2, time.Now().Add(time.Hour)
				return sc.Store.Retry(sc.Ctx, 0, out)
			},
			want: "#failed:s=1, #received:a.b=3, #sent:s=1, ch:s=1 ~buried:1, failures:s=1, line:s=4, retry:s=1, wait:s=1",
		},
		{
			name: "BURIED to DEAD, and the next one of its key", command: "evalsha", before: waiting,
			step: func(sc *scene, id string) error {
				return sc.Store.Kill(sc.Ctx, 0, settlement(id, medispatcher.Exhausted))
			},
			want: "#dead:s=1, #failed:s=1, #received:a.b=2, ch:s=1, dead:s=1, line:s=3",
		},
		{
			name: "DEAD to READY, waiting", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				check(t, sc.Store.Kill(sc.Ctx, 0, settlement(waiting(t, sc), medispatcher.Exhausted)))
				return ""
			},
			step: func(sc *scene, id string) error {
				_, _, err := sc.Store.ReplayAll(sc.Ctx, subOf(id), goOn)
				return err
			},
			want: "#dead:s=1, #failed:s=1, #received:a.b=2, #replayed:s=1, ch:s=1, line:s=3, wait:s=1",
		},
		{
			name: "ARCHIVE to READY, waiting", command: "evalsha", archive: true, skip: 4,
			before: func(t *testing.T, sc *scene) string {
				copyKeyed(t, sc, "k:1")
				put(t, streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {}), "s", `{"topic":"a.b","urls":["http://h/"],"ordered":true}`)
				check(t, third(sc.Store.StartReplay(sc.Ctx, replayOf(t, medispatcher.ReplayAsk{Since: "1h"}))))
				return "s"
			},
			step: goOnReplaying,
			want: "#received:a.b=1, #replayed:s=1, archive=1, archive:state=2, ch:s=1, line:s=3, replay:s=6, wait:s=1",
		},
		{
			name: "READY, waiting, to purged", command: "evalsha", before: func(t *testing.T, sc *scene) string { waiting(t, sc); return "" },
			step: func(sc *scene, id string) error { _, _, err := sc.Store.Purge(sc.Ctx, subOf(id)); return err },
			want: "#purged:s=2, #received:a.b=2, line:s=1",
		},
		{
			name: "READY, waiting, to purged, with the subscription", command: "evalsha", before: func(t *testing.T, sc *scene) string { waiting(t, sc); return "" },
			step: func(sc *scene, id string) error { return second(sc.Store.Discard(sc.Ctx, subOf(id), true)) },
			want: "#received:a.b=2",
		},
		{
			name: "READY, waiting, to READY, no longer ordered", command: "evalsha", before: waiting,
			step: func(sc *scene, id string) error { return second(sc.Store.Straighten(sc.Ctx, channelOf(id), false)) },
			want: "#received:a.b=2, ch:s=2 me:1",
		},
		{
			name: "READY, waiting, to READY, the one before was taken out by hand", command: "evalsha",
			before: func(t *testing.T, sc *scene) string {
				id := waiting(t, sc)
				check(t, sc.Client.XAck(sc.Ctx, "medis:{0}:ch:s", "push", id).Err())
				check(t, sc.Client.XDel(sc.Ctx, "medis:{0}:ch:s", id).Err())
				return id
			},
			step: func(sc *scene, id string) error { return second(sc.Store.Straighten(sc.Ctx, channelOf(id), true)) },
			want: "#received:a.b=2, ch:s=1, line:s=3",
		},
	}
}
