package chaos_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/solate/medispatcher/streams/streamstest"
)

// storm is a load and the number of faults during it.
type storm struct {
	messages, hits int
	over           time.Duration // in which the messages are sent
	low, high      time.Duration // bounds of the time between two faults
}

func theStorm() storm {
	return either(
		storm{20_000, 15, 30 * time.Second, 500 * time.Millisecond, 3 * time.Second},
		storm{1000, 3, 2 * time.Second, 200 * time.Millisecond, 800 * time.Millisecond},
	)
}

// options has a receiver that fails three attempts in ten.
func (s storm) options() options {
	return options{delay: 5 * time.Millisecond, concurrency: 16, retries: 8, plan: thirty, timeout: 3 * time.Second}
}

// run publishes, calls hit at random moments, waits until everything is settled, and checks the verdict.
func (s storm) run(t *testing.T, w *world, dispatchers []*dispatcher, hit func(r *rand.Rand)) verdict {
	t.Helper()
	r := moments(t)
	sent := w.publishing(0, s.messages, s.over)
	for range s.hits {
		pause(between(r, s.low, s.high))
		hit(r)
	}
	sent()
	w.await(either(120*time.Second, 40*time.Second))
	w.healed(len(dispatchers))
	v := w.judge()
	if v.dead != w.doomed() {
		t.Errorf("%d dead letters, want the %d whose attempts all fail", v.dead, w.doomed())
	}
	for _, d := range dispatchers {
		d.alive()
		d.stop()
	}
	w.rest()
	if t.Failed() {
		for _, k := range w.kills {
			t.Logf("killed from %s to %s", k.from.Format("05.000"), k.to.Format("05.000"))
		}
		w.logs("given back", "is dead\"", "waits", "wait\"", "goes on", "breaker", "cannot be read", "ready", "stopp", "lost reply")
	}
	return v
}

// TestStormOnDispatchers: one or the other of two dispatchers is killed at random moments and
// started again, while three attempts in ten fail.
func TestStormOnDispatchers(t *testing.T) {
	s := theStorm()
	w := newWorld(t, s.options())
	d := []*dispatcher{w.start(), w.start()}
	v := s.run(t, w, d, func(r *rand.Rand) { w.kill(&d[r.IntN(len(d))]) })
	t.Logf("%d kills: %s", s.hits, v)
	figures.add("dispatchers killed %d times: %s", s.hits, v)
}

// reconnects is a limit that allows for go-redis: after ten connections that failed it makes one a second, so a fault may last that
// much longer for a dispatcher.
const reconnects = 4 * time.Second

// TestStormOnRedis: redis-server is killed at random moments and started again with its
// append-only file. The dispatchers are not killed, so no message comes twice.
func TestStormOnRedis(t *testing.T) {
	s := theStorm()
	o := s.options()
	o.env = streamstest.Real(t, "--appendonly", "yes", "--appendfsync", "always")
	o.deadAfter = reconnects
	w := newWorld(t, o)
	d := []*dispatcher{w.start(), w.start()}
	v := s.run(t, w, d, func(r *rand.Rand) {
		w.env.Server.Kill()
		pause(between(r, 0, w.o.deadAfter/4))
		w.env.Server.Start(t)
	})
	t.Logf("%d kills of Redis: %s", s.hits, v)
	figures.add("redis-server killed %d times: %s", s.hits, v)
}

// TestStormOnTheNetwork: one of two dispatchers has a bad network to Redis. It cuts connections,
// refuses them, and delays or swallows replies.
func TestStormOnTheNetwork(t *testing.T) {
	s := theStorm()
	o := s.options()
	o.env = streamstest.Real(t)
	o.deadAfter = reconnects
	proxy := streamstest.NewProxy(t, o.env.Server.Addr)
	w := newWorld(t, o)
	d := []*dispatcher{w.start("MEDIS_REDIS_URL=" + proxy.URL()), w.start()}
	v := s.run(t, w, d, func(r *rand.Rand) {
		switch r.IntN(5) {
		case 0:
			proxy.Cut()
		case 1:
			proxy.Refuse(t, true)
			pause(between(r, 0, w.o.deadAfter/8))
			proxy.Refuse(t, false)
		case 2:
			proxy.Replies(streamstest.CutReplies, 1+r.IntN(20))
		case 3:
			proxy.Replies(streamstest.HoldReplies, 1+r.IntN(3))
		case 4:
			proxy.Delay(between(r, 0, 50*time.Millisecond)+1, between(r, 0, 50*time.Millisecond)+1)
			pause(between(r, s.low, s.high))
			proxy.Delay(0, 0)
		}
	})
	t.Logf("%d faults of the network: %s", s.hits, v)
	figures.add("network to Redis disturbed %d times: %s", s.hits, v)
}
