package chaos_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/streamstest"
)

// wholeWithin is the promised limit: every partition delivers this long after Redis is whole again.
const wholeWithin = 5 * time.Second

// stall is how long a Redis that works may take to answer. Dispatchers give up a check after this time.
const stall = 500 * time.Millisecond

// everywhere is enough partitions to have one on every master of a cluster of three.
const everywhere = 4

// failoverWorld has two dispatchers on a Redis with replicas. They have delivered some messages.
// A message counts as accepted when a replica has it, because a failover may lose any other.
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

// failover injects a fault under load and waits until Redis is whole and every partition delivers.
// It adds both times to the figures. If reported is set, /readyz must report the fault.
func (w *world) failover(what string, dispatchers []*dispatcher, reported bool, fault func(), whole func() bool) {
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
		eventually(t, "/readyz is 503 during the fault", func() bool {
			var status int
			status, text = d.readyz()
			return !reported || status == http.StatusServiceUnavailable
		})
		t.Logf("%s: after %s /readyz said: %s", what, time.Since(from).Round(time.Millisecond), text)
	}
	eventually(t, "Redis is whole", whole)
	wholeAt := time.Now()
	w.kills = append(w.kills, span{from, wholeAt})
	after := w.awaitEach(wholeAt, whole)
	for _, d := range dispatchers {
		d.awaitReady(http.StatusOK, "/readyz is 200 after the fault")
	}
	took := wholeAt.Sub(from).Round(10 * time.Millisecond)
	t.Logf("%s: Redis whole after %s; from then, every partition delivers after %s and all are ready after %s", what, took, after, time.Since(wholeAt).Round(10*time.Millisecond))
	figures.add("%s: Redis is whole after %s, every partition delivers %s later", what, took, after)
	if after > wholeWithin {
		t.Errorf("%s: a partition delivered %s after Redis was whole, want at most %s", what, after, wholeWithin)
	}
	sent()
}

// probe checks Redis from the producer, as dispatchers do. That is how the producer learns of a new master.
func (w *world) probe(ctx context.Context) {
	for medispatcher.Sleep(ctx, 300*time.Millisecond) {
		within, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		_ = w.store.Probe(within)
		cancel()
	}
}

// awaitEach waits until every partition has delivered something after Redis was whole, and returns
// how long that took. A Redis that is busy or loses another master meanwhile is not whole: a partition
// that delivers later is measured from the end of that.
func (w *world) awaitEach(wholeAt time.Time, whole func() bool) time.Duration {
	w.t.Helper()
	after := make([]time.Duration, w.o.partitions) // from when Redis was last whole, of each partition
	since, checked, missing := wholeAt, wholeAt, w.o.partitions
	eventually(w.t, "every partition delivers", func() bool {
		if time.Since(checked) > stall/5 {
			began := time.Now()
			if ok := whole(); !ok || time.Since(began) > stall {
				since = time.Now()
				w.t.Logf("%s after Redis was whole it is not: works %t, answers after %s", since.Sub(wholeAt).Round(time.Millisecond), ok, since.Sub(began).Round(time.Millisecond))
			}
			checked = time.Now()
		}
		for p, at := range w.firsts(wholeAt) {
			if after[p] == 0 {
				after[p] = max(at.Sub(since), time.Nanosecond)
				missing--
			}
		}
		return missing == 0
	})
	return slices.Max(after).Round(time.Millisecond)
}

// firsts is when each partition delivered first after a time.
func (w *world) firsts(after time.Time) map[int]time.Time {
	first := map[int]time.Time{}
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	for d, times := range w.got {
		p := medispatcher.Partition("", d.id, w.o.partitions)
		for _, at := range times {
			if at.began.After(after) && (first[p].IsZero() || at.began.Before(first[p])) {
				first[p] = at.began
			}
		}
	}
	return first
}

// finish ends a test with failovers: it checks the verdict and stops the dispatchers.
func (w *world) finish(dispatchers []*dispatcher) verdict {
	w.t.Helper()
	w.await(60 * time.Second)
	v := w.judge()
	for i, d := range dispatchers {
		d.alive()
		for _, word := range []string{"dispatcher is dead", "panic"} {
			if strings.Contains(d.log(), word) {
				w.t.Errorf("the log of dispatcher %d contains %q", i, word)
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

// TestClusterFailover: under load a master of a cluster dies for good, then another one hangs. The
// full run also covers other causes of a new master. Nothing that was replicated is lost, and every
// partition delivers within wholeWithin.
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
				d[i].awaitReady(http.StatusServiceUnavailable, "/readyz is 503 during the fault")
			}
			for _, s := range env.All() {
				s.Start(t)
			}
		}, func() bool { return env.Whole(nil, key) })
	}
	w.finish(d)
}

// TestSentinelFailover: the master that Sentinel watches dies and comes back as a replica. The
// dispatchers must not read from it then.
func TestSentinelFailover(t *testing.T) {
	slow(t)
	env := streamstest.Sentinel(t)
	w, d := failoverWorld(t, env, 1)
	old := env.Server
	another := func() bool { master := env.MasterBySentinel(); return master != nil && master != old }
	w.failover("Sentinel, the master killed", d, true, old.Kill, another)
	w.await(60 * time.Second)
	old.Start(t) // it is an empty master until the sentinels notice it
	env.AwaitReplica(t, old)
	w.publish((w.rounds+1)*w.o.messages, w.o.messages, 0)
	w.rounds++
	w.await(60 * time.Second)
	if info, _ := old.Do(t, "INFO", "commandstats").(string); strings.Contains(info, "cmdstat_xreadgroup") {
		t.Errorf("the dispatchers read from the master that was replaced, want no XREADGROUP there:\n%s", info)
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
