package chaos_test

import (
	"fmt"
	"testing"
	"time"
)

// setting is how a run is made: the table of a full run, or a short check.
type setting struct {
	messages    int
	delay       time.Duration // of the worker
	concurrency int
}

func settings() []setting {
	if full() {
		return []setting{{5000, 10 * time.Millisecond, 32}, {5000, 40 * time.Millisecond, 8}}
	}
	return []setting{{1500, 10 * time.Millisecond, 8}}
}

func (s setting) String() string {
	return fmt.Sprintf("%d messages × %d, worker %s, %d in flight", s.messages, subscribers, s.delay, s.concurrency)
}

// limits are the dead-after limit of a run and how the dispatchers get it.
func limits() (deadAfter time.Duration, env []string) {
	if full() {
		return 10 * time.Second, nil // the defaults
	}
	return 2 * time.Second, []string{"MEDIS_DEAD_AFTER=2s", "MEDIS_HEARTBEAT=400ms"}
}

// TestDispatcherKilled: SIGKILL three times, restarted at once.
func TestDispatcherKilled(t *testing.T) {
	for _, s := range settings() {
		t.Run(s.String(), func(t *testing.T) {
			deadAfter, env := limits()
			w := newWorld(t, s.delay, s.concurrency)
			d := w.start(env...)
			w.publish(s.messages)
			const kills = 3
			var lastKill time.Time
			for range kills {
				pause(500*time.Millisecond, full(), 1500*time.Millisecond)
				d.kill()
				lastKill = time.Now()
				d = w.start(env...)
			}
			w.await(s.messages*subscribers, 90*time.Second)
			w.settled()
			lost, duplicates := w.count()
			after := w.last.Sub(lastKill)
			t.Logf("lost %d, duplicates %d, last delivery %.1f s after the last kill", lost, duplicates, after.Seconds())
			// What was in flight, and what was accepted a moment before and not settled yet.
			if most := 2 * kills * subscribers * s.concurrency; lost > 0 || duplicates > most {
				t.Errorf("lost %d; %d duplicates, more than %d", lost, duplicates, most)
			}
			drain := time.Duration(s.messages) * s.delay / time.Duration(s.concurrency)
			if limit := deadAfter + drain + 5*time.Second; after > limit {
				t.Errorf("the last delivery came %s after the last kill, more than %s", after, limit)
			}
			if err := d.stop(); err != nil {
				t.Errorf("the dispatcher ended with %v", err)
			}
		})
	}
}

// TestRedisKilled: SIGKILL of Redis with appendfsync always, restarted after two seconds.
func TestRedisKilled(t *testing.T) {
	for _, s := range settings() {
		t.Run(s.String(), func(t *testing.T) {
			_, env := limits()
			w := newWorld(t, s.delay, s.concurrency, "--appendonly", "yes", "--appendfsync", "always")
			d := w.start(env...)
			w.publish(s.messages)
			pause(300*time.Millisecond, full(), time.Second)
			w.env.Server.Kill()
			pause(2*time.Second, false, 0)
			w.env.Server.Start(t)
			back := time.Now()
			w.await(s.messages*subscribers, 90*time.Second)
			w.settled()
			lost, duplicates := w.count()
			t.Logf("lost %d, duplicates %d, last delivery %.1f s after Redis was back", lost, duplicates, w.last.Sub(back).Seconds())
			const settlingBatch = 512
			if lost > 0 || duplicates > settlingBatch {
				t.Errorf("lost %d, duplicates %d", lost, duplicates)
			}
			if err := d.stop(); err != nil {
				t.Errorf("the dispatcher did not survive: %v\n%s", err, d.log())
			}
		})
	}
}

// TestStoppedUnderLoad: SIGTERM while requests are in flight, and another dispatcher takes over.
func TestStoppedUnderLoad(t *testing.T) {
	_, env := limits()
	w := newWorld(t, 20*time.Millisecond, 8)
	first := w.start(env...)
	second := w.start(env...)
	w.publish(2000)
	pause(500*time.Millisecond, false, 0)
	if err := first.stop(); err != nil {
		t.Errorf("exit: %v\n%s", err, first.log())
	}
	stopped := time.Now()
	w.await(2000*subscribers, 60*time.Second)
	w.settled()
	lost, duplicates := w.count()
	t.Logf("lost %d, duplicates %d, all delivered %.1f s after the stop", lost, duplicates, w.last.Sub(stopped).Seconds())
	if lost > 0 || duplicates > 0 {
		t.Errorf("lost %d, duplicates %d; want none of either", lost, duplicates)
	}
	if err := second.stop(); err != nil {
		t.Errorf("exit: %v", err)
	}
}

// pause lets a fault come while there is work: the moment is the fault, not an event.
func pause(short time.Duration, isFull bool, long time.Duration) {
	if isFull {
		short = long
	}
	time.Sleep(short) //nolint:forbidigo // see above
}
