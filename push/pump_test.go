package push

import (
	"testing"
	"time"
)

// TestPumpListsALaneOnce: a lane with a message that is due in a month, and with others that are due soon again and again, takes no
// more room than another one.
func TestPumpListsALaneOnce(t *testing.T) {
	p, now := newPump(), time.Now()
	month := now.Add(30 * 24 * time.Hour)
	l, other := &lane{}, &lane{}
	p.at(other, month.Add(time.Hour))
	for range 1000 {
		p.at(l, month)
		now = now.Add(time.Second)
		p.at(l, now)
		if p.next(now) != 0 || len(p.take(now, 10)) != 1 {
			t.Fatal("the lane is not worked on when it is due")
		}
	}
	if n := len(p.later); n > 2 {
		t.Errorf("%d entries for two lanes", n)
	}
	p.at(l, month)
	if taken := p.take(month, 10); len(taken) != 1 || taken[0] != l || p.has(l) || !p.has(other) {
		t.Error(taken, "taken in a month")
	}
	if taken := p.take(month.Add(time.Hour), 10); len(taken) != 1 || taken[0] != other {
		t.Error(taken, "taken in the end")
	}
}
