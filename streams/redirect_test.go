package streams_test

import (
	"net"
	"slices"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestRedirections: while the slot of a partition moves to another master and after it, reads follow
// to where the keys are, both those in a pipeline and those by a script.
func TestRedirections(t *testing.T) {
	t.Parallel()
	env := streamstest.Cluster(t)
	sc := streamstest.NewScene(t, env)
	const key = "medis:{0}:ch:s"
	from := env.Owner(t, key)
	to := env.Nodes[(slices.Index(env.Nodes, from)+1)%len(env.Nodes)]
	id := func(s *streamstest.Server) any { return s.Do(t, "CLUSTER", "MYID") }
	slot := from.Do(t, "CLUSTER", "KEYSLOT", key)
	host, port, err := net.SplitHostPort(to.Addr)
	check(t, err)
	for range 2 {
		sc.Ready(t)
	}
	one := func() []medispatcher.Delivery {
		t.Helper()
		return must[[]medispatcher.Delivery](t)(sc.Store.Read(t.Context(), []medispatcher.Want{{Channel: streamstest.ChannelS, Max: 1}}))
	}
	streamstest.Read(t, env.Open(t, env.Config("other"))) // makes the group, and takes both
	for range 3 {
		sc.Ready(t)
	}
	to.Do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", id(from))
	from.Do(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", id(to))
	migrate := []any{"MIGRATE", host, port, "", 0, 5000, "KEYS"}
	for _, key := range env.Keys(t, "medis:{0}:*") {
		migrate = append(migrate, key)
	}
	from.Do(t, migrate...)
	failed := one() // ASK
	if len(failed) != 1 {
		t.Fatalf("while the slot moves: %d deliveries, want 1", len(failed))
	}
	for _, s := range env.Nodes {
		s.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", id(to))
	}
	if got := one(); len(got) != 1 { // MOVED
		t.Fatalf("after it: %d deliveries, want 1", len(got))
	}
	late := env.Open(t, env.Config("me")) // with a map of its own
	s := streamstest.Settlement(failed[0].EntryID, medispatcher.Failed)
	s[0].Delay = 0
	check(t, late.Retry(t.Context(), 0, s))
	due, _, err := sc.Store.Due(t.Context(), 0, []medispatcher.Want{{Channel: streamstest.ChannelS, Max: 9}})
	if err != nil || len(due) != 1 || due[0].Attempt != 2 || due[0].Message.Topic != "a.b" {
		t.Errorf("%+v, %v", due, err)
	}
	if got := must[[]streams.Entry](t)(sc.Store.ReadIncoming(t.Context(), 0, 1, false)); len(got) != 0 {
		t.Errorf("%d incoming entries, want none", len(got))
	}
}
