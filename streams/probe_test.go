package streams_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestProbeNamesTheMaster: in a cluster, the error says what stands still, and on which master.
func TestProbeNamesTheMaster(t *testing.T) {
	t.Parallel()
	env := streamstest.Cluster(t)
	cfg := env.Config("me")
	cfg.Partitions = 4 // 1 and 2 are on the same master
	store := env.Open(t, cfg)
	check(t, store.Probe(t.Context()))
	lost := env.Owner(t, "medis:{1}:incoming")
	env.Owner(t, "medis:{0}:incoming").Do(t, "CONFIG", "SET", "min-replicas-to-write", "1")
	lost.Kill()
	err := store.Probe(t.Context())
	if err == nil {
		t.Fatal("a master is dead, but writes are accepted")
	}
	text := err.Error()
	for _, want := range []string{
		"partitions 1, 2, ", " on " + lost.Addr + ": dial tcp", "connection refused",
		"partition 0", " on " + env.Owner(t, "medis:{0}:incoming").Addr + ": NOREPLICAS",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in: %s", want, text)
		}
	}
	if strings.Contains(text, "\n") {
		t.Errorf("more than one line: %s", text)
	}
}

// TestListensAgain: if the connection of a subscription is open but silent for good, the store subscribes again.
func TestListensAgain(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	proxy := streamstest.NewProxy(t, env.Server.Addr)
	cfg := env.Config("me")
	cfg.URL = proxy.URL()
	store := env.Open(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan struct{}, 100)
	done := make(chan error)
	go func() {
		done <- store.Listen(ctx, streams.Hints{Changed: func() {
			select {
			case heard <- struct{}{}:
			default:
			}
		}})
	}()
	<-heard // it listens
	proxy.Replies(streamstest.HoldReplies, 1)
	check(t, env.Client.Publish(t.Context(), "medis:control", "subscriptions").Err()) // held back, as is everything after it
	<-heard                                                                           // it listens again
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
