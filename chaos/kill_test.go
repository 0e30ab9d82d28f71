package chaos_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/solate/medispatcher/streams/streamstest"
)

// setting is the load of a run. A full run has two, a short one has one.
type setting struct {
	messages    int
	delay       time.Duration // of the receiver
	concurrency int
}

func settings() []setting {
	if full() {
		return []setting{{5000, 10 * time.Millisecond, 32}, {5000, 40 * time.Millisecond, 8}}
	}
	return []setting{{1500, 10 * time.Millisecond, 8}}
}

func (s setting) String() string {
	return fmt.Sprintf("%d messages × %d, answers after %s, %d in flight", s.messages, subscribers, s.delay, s.concurrency)
}

// options uses the default dead-after limit in a full run, and a shorter one otherwise.
func (s setting) options() options {
	o := options{delay: s.delay, concurrency: s.concurrency, retries: 8}
	if full() {
		o.deadAfter = 10 * time.Second
	}
	return o
}

// either returns its first argument in a full run, and its second otherwise.
func either[T any](long, short T) T {
	if full() {
		return long
	}
	return short
}

// TestDispatcherKilled: a dispatcher gets SIGKILL three times and is restarted at once.
func TestDispatcherKilled(t *testing.T) {
	for _, s := range settings() {
		t.Run(s.String(), func(t *testing.T) {
			w := newWorld(t, s.options())
			d := w.start()
			w.publish(0, s.messages, 0)
			for range 3 {
				pause(either(1500*time.Millisecond, 500*time.Millisecond))
				w.kill(&d)
			}
			w.await(90 * time.Second)
			w.healed(1)
			v := w.judge()
			after := w.last.Sub(w.kills[2].to)
			t.Logf("%s; last delivery %.1f s after the last kill", v, after.Seconds())
			figures.cell(lostA, v.lost)
			figures.cell(duplicatesA, v.duplicates)
			figures.cell(lastA, fmt.Sprintf("%.1f s", after.Seconds()))
			drain := time.Duration(s.messages) * s.delay / time.Duration(s.concurrency)
			if limit := w.o.deadAfter + drain + 5*time.Second; after > limit {
				t.Errorf("the last delivery came %s after the last kill, want at most %s", after, limit)
			}
			d.stop()
			w.rest()
		})
	}
}

// TestRedisKilled: Redis with appendfsync always gets SIGKILL and is restarted after two
// seconds. Meanwhile the dispatcher keeps the outcomes it cannot settle, so no message comes twice.
func TestRedisKilled(t *testing.T) {
	for _, s := range settings() {
		t.Run(s.String(), func(t *testing.T) {
			o := s.options()
			o.env = streamstest.Real(t, "--appendonly", "yes", "--appendfsync", "always")
			w := newWorld(t, o)
			d := w.start()
			w.publish(0, s.messages, 0)
			pause(either(time.Second, 300*time.Millisecond))
			w.env.Server.Kill()
			pause(2 * time.Second)
			w.env.Server.Start(t)
			back := time.Now()
			w.await(90 * time.Second)
			v := w.judge()
			t.Logf("%s; last delivery %.1f s after Redis was back", v, w.last.Sub(back).Seconds())
			d.alive()
			figures.cell(lostB, v.lost)
			figures.cell(duplicatesB, v.duplicates)
			figures.cell(survivedB, map[bool]string{true: "yes", false: "no"}[d.running()])
			if v.duplicates > 0 {
				t.Errorf("%d duplicates, want none: the dispatcher was not killed", v.duplicates)
			}
			d.stop()
			w.rest()
		})
	}
}
