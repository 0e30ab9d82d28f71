package push

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestSettledSoon: outcomes do not linger once they take half of the slots and messages wait for one.
func TestSettledSoon(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		answered, messages int
		soon               bool
	}{
		"half, and others wait": {16, 40, true},
		"less":                  {15, 40, false},
		"nothing waits":         {16, 31, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sub := subscription("a")
				sub.Concurrency = 32
				f := newFixture(t, sub)
				var requests, settled atomic.Int64
				f.w.answer = func(*http.Request) (int, time.Duration) {
					if requests.Add(1) <= int64(c.answered) {
						return http.StatusOK, time.Second
					}
					return http.StatusOK, 3 * time.Second
				}
				f.hook(func(step string) {
					if step == "delete" {
						settled.CompareAndSwap(0, time.Now().UnixNano())
					}
				}, nil)
				stop := f.run()
				f.put("a", c.messages)
				began := time.Now()
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if took := time.Duration(settled.Load()-began.UnixNano()) - time.Second; took < settleLinger != c.soon || took < 0 {
					t.Errorf("settled %s after the answers", took)
				}
				f.ok(stop())
			})
		})
	}
}
