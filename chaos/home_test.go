package chaos_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestHomes: of three dispatchers, one hangs, one is killed, one ends, or another joins, while each is the home of some
// channels and full so often that the homes are rung. No message comes later than after the dead-after limit and a sweep.
func TestHomes(t *testing.T) {
	slow(t)
	for _, c := range []struct {
		what string
		hit  func(w *world, d *dispatcher) (left int) // how many dispatchers there are afterwards
		dies bool
	}{
		{"a home hangs", func(w *world, d *dispatcher) int {
			from := time.Now()
			_ = d.cmd.Process.Signal(syscall.SIGSTOP)
			pause(w.o.deadAfter + 3*time.Second)
			w.kills = append(w.kills, span{from, d.kill().to})
			return 2
		}, true},
		{"a home is killed", func(w *world, d *dispatcher) int {
			w.kills = append(w.kills, d.kill())
			return 2
		}, true},
		{"a home ends", func(_ *world, d *dispatcher) int {
			d.stop()
			return 2
		}, false},
		{"one joins", func(w *world, _ *dispatcher) int {
			w.start()
			return 4
		}, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, options{delay: 40 * time.Millisecond, concurrency: 2, partitions: 4})
			var all []*dispatcher
			for range 3 {
				all = append(all, w.start())
			}
			pause(2 * w.o.deadAfter / 5) // until each has heard of the others
			sent := map[string]time.Time{}
			send := func(from, n int) {
				for i := from; i < from+n; i++ {
					sent[fmt.Sprintf("m%d", i)] = time.Now()
					w.publish(i, 1, 0)
					pause(10 * time.Millisecond) // two thirds of what all slots take
				}
			}
			n := either(2000, 400)
			send(0, n/4)
			left, hit := 0, make(chan struct{})
			go func() { defer close(hit); left = c.hit(w, all[0]) }()
			send(n/4, n-n/4)
			<-hit
			w.await(30 * time.Second)
			w.healed(left)
			v := w.judge()
			took := w.delays(sent)
			t.Logf("%s; on the way: half %s at most, 99 of 100 %s, all %s", v,
				took[len(took)/2].Round(time.Millisecond), took[len(took)*99/100].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
			limit := sweep + 3*time.Second
			if c.dies { // what it had in hand is given back first
				limit += w.o.deadAfter
			}
			if most := took[len(took)-1]; most > limit {
				t.Errorf("a message came after %s, want at most %s", most, limit)
			}
			for _, d := range w.started {
				if d.running() {
					d.stop()
				}
			}
			w.rest()
		})
	}
}

// sweep is the time between two searches for what no doorbell rang for.
const sweep = 5 * time.Second

// delays are the times from sending each message to its first acceptance by each subscription, sorted.
func (w *world) delays(sent map[string]time.Time) (list []time.Duration) {
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	for d, all := range w.got {
		list = append(list, all[0].began.Sub(sent[d.id]))
	}
	slices.Sort(list)
	return list
}
