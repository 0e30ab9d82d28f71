package chaos_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

// wholeWithin is what DESIGN promises: so long after Redis is whole every partition delivers.
const wholeWithin = 5 * time.Second

// everywhere is enough partitions for every master of a cluster of three to have one.
const everywhere = 4

// failoverWorld is two dispatchers on a Redis with replicas, which delivered some messages.
// Messages count as accepted when they are with a replica: what is not, a failover may lose.
func failoverWorld(t *testing.T, env *streamstest.Env, partitions int) (*world, []*dispatcher) {
	t.Helper()
	w := newWorld(t, options{
		messages: either(2000, 400), delay: 5 * time.Millisecond, concurrency: 8, partitions: partitions, env: env,
		deadAfter: 10 * time.Second,
	})
	w.o.replicated = func(t *testing.T, publish func() bool) bool {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		return env.OnReplicas(ctx, partitions, publish)
	}
	d := []*dispatcher{w.start(), w.start()}
	w.publish(0, w.o.messages, 0)
	w.await(30 * time.Second)
	return w, d
}

// failover has something happen to Redis while messages flow, and waits until Redis is whole
// and every partition delivers, which it notes for the figures. Where it must be told, /readyz tells it.
func (w *world) failover(what string, dispatchers []*dispatcher, told bool, fault func(), whole func() bool) {
	t, n := w.t, w.o.messages
	t.Helper()
	w.rounds++
	probing, stop := context.WithCancel(t.Context())
	defer stop()
	go w.probe(probing)
	sent := w.publishing(w.rounds*n, n, 4*time.Second)
	pause(time.Second)
	from := time.Now()
	fault()
	for _, d := range dispatchers {
		text := ""
		eventually(t, "/readyz tells it", func() bool {
			var status int
			status, text = d.readyz()
			return !told || status == http.StatusServiceUnavailable
		})
		t.Logf("%s: /readyz said after %s: %s", what, time.Since(from).Round(time.Millisecond), text)
	}
	eventually(t, "Redis is whole", whole)
	wholeAt := time.Now()
	w.kills = append(w.kills, span{from, wholeAt})
	after := w.awaitEach(wholeAt)
	for _, d := range dispatchers {
		d.awaitReady(http.StatusOK, "ready again")
	}
	took := wholeAt.Sub(from).Round(10 * time.Millisecond)
	t.Logf("%s: whole after %s, every partition delivers %s later, all ready %s later", what, took, after, time.Since(wholeAt).Round(10*time.Millisecond))
	figures.add("%s: Redis is whole after %s, every partition delivers %s later", what, took, after)
	if after > wholeWithin {
		t.Errorf("%s: a partition delivered %s after Redis was whole, want at most %s", what, after, wholeWithin)
	}
	sent()
}

// probe has the producer look whether Redis is well, as dispatchers do: so it hears of another master.
func (w *world) probe(ctx context.Context) {
	for medispatcher.Sleep(ctx, 300*time.Millisecond) {
		within, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		_ = w.store.Probe(within)
		cancel()
	}
}

// awaitEach waits until every partition delivered something after a moment, and says how long that was.
func (w *world) awaitEach(since time.Time) time.Duration {
	w.t.Helper()
	var after time.Duration
	eventually(w.t, "every partition delivers", func() bool {
		first := map[int]time.Time{}
		w.receiver.mu.Lock()
		for d, times := range w.got {
			p := medispatcher.Partition("", d.id, w.o.partitions)
			for _, at := range times {
				if at.began.After(since) && (first[p].IsZero() || at.began.Before(first[p])) {
					first[p] = at.began
				}
			}
		}
		w.receiver.mu.Unlock()
		after = 0
		for _, at := range first {
			after = max(after, at.Sub(since))
		}
		return len(first) == w.o.partitions
	})
	return after.Round(time.Millisecond)
}

// finish is the end of a test with failovers: nothing that was promised is lost.
func (w *world) finish(dispatchers []*dispatcher) verdict {
	w.t.Helper()
	w.await(60 * time.Second)
	v := w.judge()
	for _, d := range dispatchers {
		d.alive()
		for _, word := range []string{"dispatcher is dead", "panic"} {
			if strings.Contains(d.log(), word) {
				w.t.Errorf("its log has %q", word)
			}
		}
		d.stop()
	}
	w.rest()
	if w.t.Failed() {
		w.logs("given back", "is dead\"", "waits", "wait\"", "goes on", "breaker", "cannot be read", "ready", "lost reply")
	}
	w.t.Log(v)
	return v
}

// TestClusterFailover: a master of a cluster dies for good while messages flow, another one hangs,
// and in the full form what else makes a node the master of other slots. Nothing that was
// replicated is lost, and everything goes on within five seconds.
func TestClusterFailover(t *testing.T) {
	slow(t)
	env := streamstest.ReplicatedCluster(t, "--appendonly", "yes", "--appendfsync", "always")
	w, d := failoverWorld(t, env, everywhere)
	key := otherMaster(t, env)
	dead := env.Owner(t, key)
	w.failover("a master killed for good", d, true, dead.Kill, func() bool { return env.Whole(dead, key) })
	w.await(60 * time.Second)

	const revision = "medis:subscriptions:rev"
	hung := env.Owner(t, revision)
	w.failover("a master hangs", d, true, func() { hung.Freeze(t) }, func() bool { return env.Whole(hung, revision) })
	w.await(60 * time.Second)
	hung.Thaw(t)

	if full() {
		dead.Move(t)
		dead.Start(t)
		env.AwaitReplica(t, dead)
		second := env.Owner(t, key)
		w.failover("its successor killed, its replica has another address", d, true, second.Kill, func() bool { return env.Whole(second, key) })
		w.await(60 * time.Second)

		env.AwaitReplica(t, hung)
		w.failover("CLUSTER FAILOVER by hand", d, false, func() { hung.Do(t, "CLUSTER", "FAILOVER") }, func() bool { return env.Owner(t, revision) == hung })
		w.await(60 * time.Second)

		second.Start(t)
		w.failover("the whole cluster restarted", d, false, func() {
			for _, s := range env.All() {
				s.Kill()
			}
			for i := range d {
				d[i].awaitReady(http.StatusServiceUnavailable, "/readyz tells it")
			}
			for _, s := range env.All() {
				s.Start(t)
			}
		}, func() bool { return env.Whole(nil, key) })
	}
	w.finish(d)
}

// TestSentinelFailover: the master that sentinels watch dies, and comes back as a replica, to
// which nothing is written.
func TestSentinelFailover(t *testing.T) {
	slow(t)
	env := streamstest.Sentinel(t)
	w, d := failoverWorld(t, env, 1)
	old := env.Server
	another := func() bool { master := env.MasterBySentinel(); return master != nil && master != old }
	w.failover("Sentinel, the master killed", d, true, old.Kill, another)
	w.await(60 * time.Second)
	old.Start(t) // a master without data, until the sentinels notice
	env.AwaitReplica(t, old)
	w.publish((w.rounds+1)*w.o.messages, w.o.messages, 0)
	w.rounds++
	w.await(60 * time.Second)
	if info, _ := old.Do(t, "INFO", "commandstats").(string); strings.Contains(info, "cmdstat_xreadgroup") {
		t.Errorf("dispatchers read from the master that was replaced:\n%s", info)
	}

	old = env.MasterBySentinel()
	w.failover("Sentinel, the master hangs", d, true, func() { old.Freeze(t) }, another)
	w.await(60 * time.Second)
	old.Thaw(t)
	if full() {
		env.AwaitReplica(t, old)
		old = env.MasterBySentinel()
		w.failover("Sentinel, the master and a sentinel killed", d, true, func() {
			env.Sentinels[0].Kill()
			old.Kill()
		}, another)
	}
	w.finish(d)
}
