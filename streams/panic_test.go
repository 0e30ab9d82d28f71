package streams_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestPanicAtAnEntry: an incoming entry that makes a worker panic goes to the quarantine. The test uses
// a missing router as the defect.
func TestPanicAtAnEntry(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	w := &streams.FanoutWorker{MaxBody: 100, Log: slog.New(slog.NewTextHandler(&logs, nil))}
	e := streams.NewEntry("1-1", "topic", "a.b", "body", "x")
	if r := w.Decide(e, nil); r.EntryID != "1-1" || !strings.HasPrefix(r.Reason, "DECODERR medispatcher panicked: ") || len(r.Subs) > 0 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(logs.String(), "entry=1-1") || !strings.Contains(logs.String(), "stack=") {
		t.Errorf("logs %s", &logs)
	}
}

// TestPanicIsNoFailureOfTheSubscriber: it is counted, but not in the counts that alerts use.
func TestPanicIsNoFailureOfTheSubscriber(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		s := env.Open(t, env.Config("me"))
		c := medispatcher.Channel{Subscription: "s"}
		for range 3 {
			env.Client.Do(t.Context(), "XADD", "medis:{0}:ch:s", "*", "topic", "t", "body", "x", "~src", "1-1")
		}
		_, _ = s.Read(t.Context(), []medispatcher.Want{{Channel: c, Max: 3}}) // creates the group
		list, err := s.Read(t.Context(), []medispatcher.Want{{Channel: c, Max: 3}})
		if err != nil || len(list) != 3 {
			t.Fatal(len(list), err)
		}
		failed := func(i int, outcome medispatcher.Outcome, panicked bool) medispatcher.Settlement {
			return medispatcher.Settlement{
				Channel: c, EntryID: list[i].EntryID, Attempt: 1, Outcome: outcome, Panicked: panicked,
				Failure: &medispatcher.Failure{Attempts: 1, LastError: "medispatcher panicked: x"},
			}
		}
		if err := s.Retry(t.Context(), 0, []medispatcher.Settlement{failed(0, medispatcher.Failed, true), failed(1, medispatcher.Failed, false)}); err != nil {
			t.Fatal(err)
		}
		if err := s.Kill(t.Context(), 0, []medispatcher.Settlement{failed(2, medispatcher.Exhausted, true)}); err != nil {
			t.Fatal(err)
		}
		counts, err := report.New(s).Counts(t.Context())
		if err != nil || counts["panicked:s"] != 2 || counts["failed:s"] != 1 || counts["dead:s"] != 1 {
			t.Errorf("%v, %v", counts, err)
		}
	})
}
