package push

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// fullRedis is a Redis that is out of memory: it takes no dead letters, and says so after a while.
type fullRedis struct {
	Reader
	Settler
	mu    sync.Mutex
	kills int
	takes bool
}

func (r *fullRedis) Delete(context.Context, int, []medispatcher.Settlement) (int64, error) {
	return 1, nil
}

func (r *fullRedis) Kill(context.Context, int, []medispatcher.Settlement) error {
	time.Sleep(20 * time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kills++; r.takes {
		return nil
	}
	return errors.New("OOM")
}

// TestRefusedOutcomesWait: while Redis refuses an outcome and takes others, the log says once that it waits and once that it does
// not any longer, and Redis is asked less and less often.
func TestRefusedOutcomesWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		redis := &fullRedis{}
		q := newSettleQueue(&queue{redis, redis}, 1, &news{cfg: &Config{Log: slog.New(slog.NewTextHandler(&log, nil))}})
		q.done, q.stuck = func([]medispatcher.Settlement) {}, func() {}
		ctx, stop := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		ended.Go(func() { q.run(ctx, 0) })
		q.add(&medispatcher.Settlement{Outcome: medispatcher.Exhausted}, true)
		deliver := func(until time.Time) {
			for time.Now().Before(until) {
				time.Sleep(3 * time.Millisecond)
				q.add(&medispatcher.Settlement{Outcome: medispatcher.Sent}, true)
			}
		}
		deliver(time.Now().Add(time.Minute))
		redis.mu.Lock()
		kills := redis.kills
		redis.takes = true
		redis.mu.Unlock()
		deliver(time.Now().Add(time.Minute))
		synctest.Wait()
		if waits, on := strings.Count(log.String(), "settling waits"), strings.Count(log.String(), "settling goes on"); waits != 1 || on != 1 {
			t.Errorf("%d times it waits, %d times it goes on", waits, on)
		}
		if kills > 60 {
			t.Errorf("Redis was asked %d times in a minute", kills)
		}
		stop()
		ended.Wait()
	})
}
