package chaos_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// awayFor is longer than the dead-after limit of these tests. When Redis is back, every
// heartbeat is too old, but no dispatcher may be declared dead.
const awayFor = 2500 * time.Millisecond

// away runs two dispatchers under load and calls fault, which makes Redis unusable, calls
// during, and repairs Redis. away checks that every accepted message is delivered, that
// /readyz reports the fault if reported is set, and that both dispatchers recover by themselves.
func away(t *testing.T, w *world, reported bool, fault func(during func())) verdict {
	t.Helper()
	d := []*dispatcher{w.start(), w.start()}
	for i := range d {
		d[i].awaitReady(http.StatusOK, "/readyz is 200 before the fault")
	}
	n := w.o.messages
	w.publish(0, n/3, 0)
	sent := w.publishing(n/3, n/3, awayFor)
	fault(func() {
		began := time.Now()
		for i := range d {
			if reported {
				d[i].awaitReady(http.StatusServiceUnavailable, "/readyz is 503 during the fault")
			}
		}
		t.Logf("/readyz reported the fault after %s", time.Since(began).Round(time.Millisecond))
		pause(time.Until(began.Add(awayFor)))
	})
	sent()
	for i := range d {
		d[i].awaitReady(http.StatusOK, "/readyz is 200 after the fault")
	}
	w.publish(2*n/3, n/3, 0)
	w.await(90 * time.Second)
	v := w.judge()
	for i := range d {
		d[i].alive()
		for _, word := range []string{"dispatcher is dead", "given back what a dead dispatcher owned", "panic"} {
			if strings.Contains(d[i].log(), word) {
				t.Errorf("the log of dispatcher %d contains %q", i, word)
			}
		}
		d[i].stop()
	}
	w.rest()
	if t.Failed() {
		w.logs("given back", "is dead\"", "waits", "wait\"", "goes on", "breaker", "cannot be read", "ready", "lost reply")
	}
	t.Log(v)
	return v
}

func quick() options {
	return options{messages: either(3000, 600), delay: 5 * time.Millisecond, concurrency: 8, deadAfter: 2 * time.Second}
}

// TestRedisRestarted: Redis gets SIGKILL and is started some seconds later.
func TestRedisRestarted(t *testing.T) {
	o := quick()
	o.env = streamstest.Real(t, "--appendonly", "yes", "--appendfsync", "always")
	w := newWorld(t, o)
	away(t, w, true, func(during func()) {
		w.env.Server.Kill()
		during()
		w.env.Server.Start(t)
	})
}

// TestRedisRefusesConnections: connections to Redis are refused for a while.
func TestRedisRefusesConnections(t *testing.T) {
	o := quick()
	o.env = streamstest.Real(t)
	proxy := streamstest.NewProxy(t, o.env.Server.Addr)
	o.url = proxy.URL()
	away(t, newWorld(t, o), true, func(during func()) {
		proxy.Refuse(t, true)
		during()
		proxy.Refuse(t, false)
	})
}

// TestRedisSilent: connections stay open and commands run, but no reply comes.
func TestRedisSilent(t *testing.T) {
	o := quick()
	o.env = streamstest.Real(t)
	proxy := streamstest.NewProxy(t, o.env.Server.Addr)
	o.url = proxy.URL()
	away(t, newWorld(t, o), true, func(during func()) {
		proxy.Replies(streamstest.HoldReplies, -1)
		during()
		proxy.Replies(streamstest.PassReplies, 0)
	})
}

// TestRedisFull: Redis has no memory left and does not evict. It refuses new messages, and
// the channels still drain. No message is written in part.
func TestRedisFull(t *testing.T) {
	w := newWorld(t, quick())
	away(t, w, true, func(during func()) {
		w.env.Server.Do(t, "CONFIG", "SET", "maxmemory-policy", "noeviction")
		w.env.Server.Do(t, "CONFIG", "SET", "maxmemory", "1")
		if err := w.env.Client.Do(t.Context(), "XADD", "medis:{0}:incoming", "*", "topic", "t", "body", "x").Err(); err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("publishing while Redis is full: got error %v, want OOM", err)
		}
		w.drain()
		during()
		w.env.Server.Do(t, "CONFIG", "SET", "maxmemory", "0")
	})
}

// drain waits until the channels are empty. The incoming stream may still hold messages.
func (w *world) drain() {
	w.t.Helper()
	var left string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); pause(10 * time.Millisecond) {
		channels, err := report.New(w.store).ChannelStatus(w.t.Context(), w.subs)
		left = fmt.Sprintf("%+v %v", channels, err)
		empty := err == nil
		for _, c := range channels {
			empty = empty && c.Ready+c.Buried == 0
		}
		if empty {
			return
		}
	}
	w.logs("given back", "is dead\"", "waits", "wait\"", "goes on", "breaker", "cannot be read", "ready", "lost reply")
	w.t.Errorf("the channels are not empty after 30 s: %s", left)
}

// TestRedisReadOnly: the master becomes a replica of a node that does not exist, and then a
// master again, as around a failover.
func TestRedisReadOnly(t *testing.T) {
	w := newWorld(t, quick())
	away(t, w, true, func(during func()) {
		w.env.Server.Do(t, "REPLICAOF", "127.0.0.1", "1")
		during()
		w.env.Server.Do(t, "REPLICAOF", "NO", "ONE")
	})
}

// TestRedisFarAway: replies and commands take 200 ms more each. Everything is slower, and nothing fails.
func TestRedisFarAway(t *testing.T) {
	o := quick()
	o.env = streamstest.Real(t)
	o.messages, o.deadAfter = either(1500, 180), 10*time.Second // the default
	proxy := streamstest.NewProxy(t, o.env.Server.Addr)
	o.url = proxy.URL()
	w := newWorld(t, o)
	away(t, w, false, func(during func()) {
		proxy.Delay(200*time.Millisecond, 200*time.Millisecond)
		during()
		w.await(60 * time.Second)
		proxy.Delay(0, 0)
	})
}

// TestRedisFlushed: FLUSHALL runs while the dispatchers wait for messages. It removes the
// messages and the subscriptions. Subscriptions that are put again work without a restart.
func TestRedisFlushed(t *testing.T) {
	w := newWorld(t, quick())
	d := []*dispatcher{w.start(), w.start()}
	w.publish(0, 300, 0)
	w.await(30 * time.Second)
	w.env.Flush(t)
	w.subscribe()
	w.publish(300, 300, time.Second)
	w.await(60 * time.Second)
	v := w.judge()
	if v.duplicates > 0 {
		t.Errorf("%d duplicates, want none", v.duplicates)
	}
	w.healed(2)
	for i := range d {
		d[i].awaitReady(http.StatusOK, "/readyz is 200")
		d[i].stop()
	}
	w.rest()
}
