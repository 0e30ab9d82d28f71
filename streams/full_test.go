package streams_test

import (
	"strings"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestFullRedisDrainsANewChannel: the group of a channel can be created while Redis is full.
func TestFullRedisDrainsANewChannel(t *testing.T) {
	t.Parallel()
	sc := newScene(t, streamstest.Real(t))
	sc.Ready(t)
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "1").Err())
	got := read(t, sc.Store)
	if len(got) != 1 {
		t.Fatalf("%d messages were read, want 1", len(got))
	}
	check(t, second(sc.Store.Delete(sc.Ctx, 0, settlement(got[0].EntryID, medispatcher.Sent))))
	if _, err := sc.Store.Publish(sc.Ctx, message("a.b")); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("publish: %v", err)
	}
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "0").Err())
	sc.Ready(t)
	if got := read(t, sc.Store); len(got) != 1 {
		t.Errorf("%d messages were read, want 1", len(got))
	}
}

// TestFanoutSaysItOnce: if Redis refuses a batch, there is one error.
func TestFanoutSaysItOnce(t *testing.T) {
	t.Parallel()
	sc := newScene(t, streamstest.Real(t))
	var routings []streams.Routing
	for range 3 {
		id := sc.Incoming(t, "topic", "a.b", "body", "x")
		routings = append(routings, streams.Routing{EntryID: id, Message: message("a.b"), Subs: []string{"s"}})
	}
	check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", "1").Err())
	_, err := sc.Store.Fanout(sc.Ctx, 0, routings)
	if err == nil || strings.Count(err.Error(), "OOM") != 1 {
		t.Errorf("error %v, want OOM once", err)
	}
}
