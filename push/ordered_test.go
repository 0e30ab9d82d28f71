package push

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestOrderedIsSettledAtOnce: an outcome of an ordered subscription does not linger when nothing else is under way: the next message
// of its key enters the channel when it is settled. Others gather outcomes for a moment.
func TestOrderedIsSettledAtOnce(t *testing.T) {
	t.Parallel()
	for _, ordered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			sub := subscription("a")
			sub.Ordered = ordered
			f := newFixture(t, sub)
			var settled atomic.Int64
			f.hook(func(step string) {
				if step == "delete" {
					settled.Store(time.Now().UnixNano())
				}
			}, nil)
			stop := f.run()
			f.put("a", 1)
			began := time.Now()
			time.Sleep(time.Second)
			synctest.Wait()
			took := time.Duration(settled.Load() - began.UnixNano())
			if lingered := took >= settleLinger; lingered == ordered {
				t.Errorf("ordered %t: settled after %s", ordered, took)
			}
			f.ok(stop())
		})
	}
}
