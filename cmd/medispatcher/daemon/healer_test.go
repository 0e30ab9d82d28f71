package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// TestHealerJudges: a dispatcher is dead if Redis says so, or if its heartbeat has not changed for as long as its own
// dead-after limit.
func TestHealerJudges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &healer{info: medispatcher.Dispatcher{ID: "me"}, silences: silences{}}
		all := []medispatcher.Dispatcher{
			{ID: "me", Alive: true, DeadAfter: time.Hour},
			{ID: "dead", DeadAfter: time.Hour},
			{ID: "silent", Alive: true, Heartbeat: time.Now().Add(time.Hour), DeadAfter: 2 * time.Second},
		}
		if dead, listed := h.judge(all); len(dead) != 1 || dead[0].ID != "dead" || !listed {
			t.Errorf("%+v, listed: %t", dead, listed)
		}
		time.Sleep(2 * time.Second)
		if dead, listed := h.judge(all[1:]); len(dead) != 2 || dead[1].ID != "silent" || listed {
			t.Errorf("%+v, listed: %t", dead, listed)
		}
		if len(h.silences) != 2 {
			t.Errorf("it has in mind %v, though one is off the list", h.silences)
		}
	})
}
