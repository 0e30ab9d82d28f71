package streams_test

import (
	"errors"
	"testing"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// TestLostReplyRepeatsNothing: if the reply to a command is lost, the client must not repeat the command
// by itself. A message would be accepted twice, or a read would take entries that no caller gets.
func TestLostReplyRepeatsNothing(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) (env *streamstest.Env, url string){
		"redis-server": func(t *testing.T) (*streamstest.Env, string) {
			env := streamstest.Real(t)
			env.Proxies = []*streamstest.Proxy{streamstest.NewProxy(t, env.Server.Addr)}
			return env, env.Proxies[0].URL()
		},
		"redis-cluster": func(t *testing.T) (*streamstest.Env, string) {
			env := streamstest.ProxiedCluster(t)
			return env, env.URL
		},
	} {
		t.Run(name, func(t *testing.T) {
			env, url := open(t)
			cfg := env.Config("me")
			cfg.URL = url
			sc := newSceneOf(t, env, cfg)
			loseNext := func() {
				for _, p := range env.Proxies {
					p.Replies(streamstest.CutReplies, 1)
				}
			}
			lost := func(what string, err error) {
				t.Helper()
				n := 0
				for _, p := range env.Proxies {
					n += p.Lost()
					p.Replies(streamstest.PassReplies, 0)
				}
				if err == nil || n != 1 {
					t.Errorf("%s: error %v, %d replies lost; want an error and one", what, err, n)
				}
			}
			// Open the connections and load the scripts before a reply is lost.
			id := sc.Incoming(t, "topic", "a.b", "body", "x")
			routing := []streams.Routing{{EntryID: id, Message: message("a.b"), Subs: []string{"s"}}}
			must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, routing))
			read(t, sc.Store)
			sc.Ready(t)
			sc.Ready(t)

			loseNext()
			_, err := sc.Store.Read(sc.Ctx, []medispatcher.Want{{Channel: channelS, Max: 1}})
			lost("read", err)
			if mine := must[[]string](t)(streamstest.Mine(sc.Ctx, sc.Store, channelS, 10)); len(mine) != 2 {
				t.Errorf("%d entries were taken, want the first one and that of the lost reply", len(mine))
			}

			loseNext()
			_, err = sc.Store.Publish(sc.Ctx, message("a.b"))
			lost("publish", err)
			if n := sc.Client.XLen(sc.Ctx, "medis:{0}:incoming").Val(); n != 1 {
				t.Errorf("%d messages were accepted, want 1", n)
			}

			id = ""
			for id == "" {
				for _, e := range must[[]streams.Entry](t)(sc.Store.ReadIncoming(sc.Ctx, 0, 1, false)) {
					id = e.ID
				}
			}
			routing[0].EntryID = id
			loseNext()
			_, err = sc.Store.Fanout(sc.Ctx, 0, routing)
			lost("fan-out", err)
			routed := must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, routing))
			if routed[0].Result != streams.RoutedGone {
				t.Errorf("second fan-out: %v, want gone", routed)
			}
		})
	}
}

// TestLostConnections: a store recovers by itself from every kind of fault.
func TestLostConnections(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	proxy := streamstest.NewProxy(t, env.Server.Addr)
	cfg := env.Config("me")
	cfg.URL = proxy.URL()
	store := env.Open(t, cfg)
	check(t, store.Ping(t.Context()))
	proxy.Cut()
	_ = store.Ping(t.Context()) // may use the connection that was cut
	check(t, store.Ping(t.Context()))

	proxy.Refuse(t, true)
	if err := store.Ping(t.Context()); err == nil {
		t.Error("answered while connections are refused")
	}
	proxy.Refuse(t, false)
	check(t, store.Ping(t.Context()))

	proxy.Replies(streamstest.CutReplies, 1)
	if _, err := store.Publish(t.Context(), message("a.b")); err == nil || errors.Is(err, medispatcher.ErrGone) {
		t.Errorf("publish whose reply is lost: %v", err)
	}
	check(t, store.Ping(t.Context()))
	if n := env.Client.XLen(t.Context(), "medis:{0}:incoming").Val(); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

// TestClusterFollowsSlots: the client finds a slot that moved to another master at once.
func TestClusterFollowsSlots(t *testing.T) {
	t.Parallel()
	env := streamstest.Cluster(t)
	sc := newScene(t, env)
	sc.Buried(t) // makes the client learn the slots
	env.Flush(t)
	const key = "medis:{0}:incoming"
	slot := env.Nodes[0].Do(t, "CLUSTER", "KEYSLOT", key)
	from, to := env.Owner(t, key), env.Nodes[0]
	if to == from {
		to = env.Nodes[1]
	}
	id := to.Do(t, "CLUSTER", "MYID")
	// Only a node that was importing a slot gets a new epoch with it. Otherwise the owner before may claim the slot once more,
	// and each of the two names the other.
	to.Do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.Do(t, "CLUSTER", "MYID"))
	for _, node := range []*streamstest.Server{to, from} {
		node.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", id)
	}
	sc.Buried(t)
	if got, want := sc.State(t), "#received:a.b=1, ch:s=1 me:1"; got != want {
		t.Errorf("state\n got  %s\n want %s", got, want)
	}
}
