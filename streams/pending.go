package streams

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

// pendingPage bounds the bodies that are read at once.
const pendingPage = 50

// EachPending calls do for the entries of a channel that a consumer owns, the message whole,
// the oldest first, until do says stop. It changes nothing, and works where giving back does not.
func (s *Store) EachPending(ctx context.Context, c medispatcher.Channel, consumer string, do func(medispatcher.Delivery) (more bool)) error {
	key, from := s.keys.channel(c.Partition, c.Subscription), "-"
	for {
		page, err := s.client.XPendingExt(ctx, &redis.XPendingExtArgs{
			Stream: key, Group: groupPush, Start: from, End: "+", Count: pendingPage, Consumer: consumer,
		}).Result()
		if err != nil {
			return failed("read the entries of "+consumer, err)
		}
		pipe := s.client.Pipeline()
		entries := make([]*redis.XMessageSliceCmd, len(page))
		for i, e := range page {
			entries[i] = pipe.XRangeN(ctx, key, e.ID, e.ID, 1)
		}
		if len(page) > 0 {
			if _, err := pipe.Exec(ctx); err != nil {
				return failed("read the entries of "+consumer, err)
			}
		}
		for i, e := range page {
			found := entries[i].Val()
			if len(found) > 0 && !do(delivery(c, e.ID, max(1, int(e.RetryCount)), found[0].Values)) {
				return nil
			}
			from = nextID(e.ID)
		}
		if len(page) < pendingPage {
			return nil
		}
	}
}
