package streams

import (
	"fmt"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

// herd is n living dispatchers.
func herd(n int, now time.Time) (list []medispatcher.Dispatcher) {
	for i := range n {
		list = append(list, medispatcher.Dispatcher{
			ID: fmt.Sprintf("host-%d-abcd", i), Doorbell: "bell", Alive: true, Heartbeat: now, DeadAfter: 10 * time.Second,
		})
	}
	return list
}

// TestHomes: every dispatcher finds the same home, each is the home of its share, and one that leaves or joins moves the
// homes alone that it had or gets.
func TestHomes(t *testing.T) {
	t.Parallel()
	const dispatchers, channels = 32, 3200
	now := time.Now()
	all := herd(dispatchers, now)
	of := func(me int, list []medispatcher.Dispatcher) (ids [channels]string) {
		h := &homes{me: list[me].ID}
		h.note(list, now)
		for i := range channels {
			ids[i] = h.me
			if home, elsewhere := h.home(medispatcher.Channel{Partition: i % 4, Subscription: fmt.Sprintf("sub-%d", i)}); elsewhere {
				ids[i] = home.id
			}
		}
		return ids
	}
	before := of(0, all)
	share := map[string]int{}
	for i, id := range of(17, all) {
		if id != before[i] {
			t.Fatalf("the home of channel %d is %s by one dispatcher, and %s by another", i, id, before[i])
		}
		share[id]++
	}
	for _, d := range all {
		if n := share[d.ID]; n < channels/dispatchers/2 || n > 2*channels/dispatchers {
			t.Errorf("%s is the home of %d channels, of %d", d.ID, n, channels)
		}
	}
	gone := all[5].ID
	for i, id := range of(0, append(all[:5:5], all[6:]...)) {
		if had := before[i]; id != had && had != gone || id == gone {
			t.Errorf("without %s the home of channel %d is %s, and was %s", gone, i, id, had)
		}
	}
}

// TestNoHome: the dead, the silent, the deaf, and those of earlier versions are the home of nothing.
func TestNoHome(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for what, change := range map[string]func(d *medispatcher.Dispatcher){
		"dead":               func(d *medispatcher.Dispatcher) { d.Alive = false },
		"silent":             func(d *medispatcher.Dispatcher) { d.Heartbeat = now.Add(-5 * time.Second) },
		"an earlier version": func(d *medispatcher.Dispatcher) { d.Doorbell = "" },
		"deaf":               func(*medispatcher.Dispatcher) {},
	} {
		list := herd(2, now)
		change(&list[1])
		h := &homes{me: list[0].ID}
		h.note(list, now)
		if what == "deaf" {
			h.unheard(list[1].ID)
		}
		for i := range 100 {
			if home, elsewhere := h.home(medispatcher.Channel{Subscription: fmt.Sprint(i)}); elsewhere {
				t.Errorf("%s: the home of channel %d is %s", what, i, home.id)
			}
		}
		if h.anyEarly() != (what == "an earlier version") {
			t.Errorf("%s: a dispatcher without a doorbell: %t", what, h.anyEarly())
		}
	}
}

// TestHomesAgree: the weight is a contract between versions.
func TestHomesAgree(t *testing.T) {
	t.Parallel()
	if got := weigh(hashOf("host-1-ab"), hashOf("0/billing")); got != 0xd06f359b555e0ab7 {
		t.Errorf("weight %#x", got)
	}
}
