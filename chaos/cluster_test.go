package chaos_test

import (
	"testing"
	"time"

	"github.com/solate/medispatcher/streams/streamstest"
)

// TestCluster: three partitions on a Redis Cluster of three masters. While the cluster is
// whole, every message comes once. Then a master is killed under load, and nothing is lost.
func TestCluster(t *testing.T) {
	env := streamstest.Cluster(t, "--appendonly", "yes", "--appendfsync", "always")
	w := newWorld(t, options{
		delay: 5 * time.Millisecond, concurrency: 8, partitions: 3, env: env,
		deadAfter: 10 * time.Second,
	})
	d := w.start()
	n := either(3000, 300)
	w.publish(0, n, 0)
	w.await(60 * time.Second)
	if v := w.judge(); v.duplicates > 0 {
		t.Errorf("%d duplicates before any fault, want none", v.duplicates)
	}
	for p, key := range []string{"medis:{0}:incoming", "medis:{1}:incoming", "medis:{2}:incoming"} {
		added, _ := env.Owner(t, key).Do(t, "XINFO", "STREAM", key).(map[any]any)
		if added["entries-added"] == int64(0) {
			t.Errorf("partition %d got no message, want some in each", p)
		}
	}
	second := w.start()
	sent := w.publishing(n, n, 3*time.Second)
	pause(time.Second)
	// One master holds a partition but not the subscriptions; the other holds the subscriptions, which every partition needs.
	keys := []string{otherMaster(t, env), "medis:subscriptions:rev"}
	for _, key := range keys[either(0, 1):] {
		node := env.Owner(t, key)
		node.Kill()
		pause(3 * time.Second) // longer than the node timeout: the cluster is down meanwhile
		node.Start(t)
		env.AwaitCluster(t)
	}
	sent()
	w.await(90 * time.Second)
	w.healed(2)
	v := w.judge()
	for _, x := range []*dispatcher{d, second} {
		x.alive()
		x.stop()
	}
	w.rest()
	if v.duplicates > 0 {
		t.Errorf("%d duplicates, want none", v.duplicates)
	}
	if t.Failed() {
		w.logs("given back", "is dead\"", "waits", "wait\"", "goes on", "breaker", "cannot be read", "ready", "lost reply")
	}
	t.Log(v)
	figures.add("Redis Cluster, %d masters killed one after the other: %s", len(keys), v)
}

// otherMaster returns a key of a partition on another master than the subscriptions' revision.
func otherMaster(t *testing.T, env *streamstest.Env) string {
	t.Helper()
	for _, key := range []string{"medis:{0}:incoming", "medis:{1}:incoming", "medis:{2}:incoming"} {
		if env.Owner(t, key) != env.Owner(t, "medis:subscriptions:rev") {
			return key
		}
	}
	t.Fatal("every partition is on the master of the subscriptions, want one elsewhere")
	return ""
}
