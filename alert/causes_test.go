package alert

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// counting counts the alerts of which the causes are read at once.
type counting struct {
	Store
	most int
}

func (c *counting) AlertCauses(ctx context.Context, alerts []medispatcher.Alert) (map[string]int64, error) {
	c.most = max(c.most, len(alerts))
	return c.Store.AlertCauses(ctx, alerts)
}

// TestCausesOfVeryManyAlerts: a host is down that very many subscriptions push to. A round reads the causes of some. Each alert that
// is over ends nevertheless, and no other.
func TestCausesOfVeryManyAlerts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sc := start(t, thresholds())
		c := &counting{Store: sc.ledger}
		sc.stop()
		sc.monitor.store = c
		const many = 2*causesAtOnce + causesAtOnce/2
		for i := range many {
			sc.change(fmt.Sprint("s", i), func(*medispatcher.Subscription) {})
			sc.events.Breaker(fmt.Sprint("s", i), true, "")
		}
		sc.events.write(t.Context())
		rounds := func(n int) {
			for range n {
				time.Sleep(roundEvery)
				sc.events.hold(t.Context())
				if err := sc.monitor.Round(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		firing := func() map[string]bool {
			list, err := sc.ledger.FiringAlerts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			subs := map[string]bool{}
			for i := range list {
				subs[list[i].Subscription] = true
			}
			return subs
		}
		rounds(6)
		left := firing()
		if len(left) != many {
			t.Errorf("%d alerts fire", len(left))
		}
		for i := range many {
			if i%2 == 0 {
				delete(left, fmt.Sprint("s", i))
				sc.events.Breaker(fmt.Sprint("s", i), false, "")
			}
		}
		sc.events.write(t.Context())
		rounds(18)
		if now := firing(); !maps.Equal(now, left) || c.most > causesAtOnce {
			t.Errorf("%d alerts fire, want %d; the causes of %d were read at once", len(now), len(left), c.most)
		}
	})
}
