package daemon

import (
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

// TestHearing: a dispatcher whose own heartbeat is late, or was late a moment ago, declares nobody dead.
func TestHearing(t *testing.T) {
	const every, deadAfter = 2 * time.Second, 10 * time.Second
	began := time.Now()
	h := hearing{every: every, deadAfter: deadAfter}
	at := func(d time.Duration) time.Time { return began.Add(d) }
	expect := func(d time.Duration, late, judges bool) {
		t.Helper()
		if got := h.late(at(d)); got != late {
			t.Errorf("at %s late: %t", d, got)
		}
		if got := h.mayJudge(at(d)); got != judges {
			t.Errorf("at %s it may judge: %t", d, got)
		}
	}
	expect(0, true, false)
	if !h.heard(at(0)) || h.heard(at(time.Second)) {
		t.Error("heard reports another heartbeat than the first")
	}
	for d := time.Second; d <= 8*time.Second; d += time.Second {
		h.heard(at(d))
		expect(d, false, d > deadAfter*2/3)
	}
	expect(13*time.Second, true, false) // Redis was away
	h.heard(at(14 * time.Second))
	expect(14*time.Second, false, false)
	for d := 15 * time.Second; d <= 24*time.Second; d += time.Second {
		h.heard(at(d))
	}
	expect(24*time.Second, false, true)
	h.gap(at(24 * time.Second))
	expect(25*time.Second, false, false)
}

// TestSilences: a heartbeat that does not change is no sign of life, whatever time it says.
func TestSilences(t *testing.T) {
	now := time.Now()
	s := silences{}
	d := medispatcher.Dispatcher{ID: "d", Heartbeat: now.Add(time.Hour)}
	for i := range 4 {
		if got := s.note(&d, now.Add(time.Duration(i)*time.Second)); got != time.Duration(i)*time.Second {
			t.Errorf("silent for %s, not %d s", got, i)
		}
	}
	d.Heartbeat = d.Heartbeat.Add(time.Second)
	if got := s.note(&d, now.Add(5*time.Second)); got != 0 {
		t.Errorf("silent for %s although it was heard", got)
	}
}
