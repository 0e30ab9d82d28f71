package push

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// sweeps counts the searches for missed doorbells.
type sweeps struct {
	Reader
	n int
}

func (s *sweeps) Waiting(ctx context.Context, all func() []string) ([]medispatcher.Waiting, error) {
	s.n++
	return s.Reader.Waiting(ctx, all)
}

// TestSweepsOfMany: of up to eight dispatchers each sweeps every five seconds, and more take turns.
func TestSweepsOfMany(t *testing.T) {
	t.Parallel()
	for others, want := range map[int64]int{0: 160, 7: 160, 8: 80, 31: 40} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, subscription("a"))
			counted := &sweeps{Reader: f.s.queue.Reader}
			f.s.queue.Reader = counted
			f.s.cfg.Others = func() int64 { return others }
			stop := f.run()
			time.Sleep(800*time.Second + time.Millisecond)
			synctest.Wait()
			if n := counted.n; n < want || n > want+2 { // one as it begins
				t.Errorf("beside %d others it swept %d times, want %d", others, n, want)
			}
			f.ok(stop())
		})
	}
}
