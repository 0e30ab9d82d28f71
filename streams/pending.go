package streams

import (
	"context"
	"slices"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const (
	pendingPage   = 500 // entry ids read in one round trip
	pendingBodies = 50  // messages read in one round trip
)

// EachPending calls do with every wanted entry of a channel that a consumer owns, the oldest
// first, until do returns false. The messages are whole. It only reads, so it works even when
// giving back fails.
func (s *Store) EachPending(ctx context.Context, c medispatcher.Channel, consumer string,
	wanted func(entryID string) bool, do func(medispatcher.Delivery) (more bool),
) error {
	for from := "-"; from != ""; {
		page, err := rdb.PendingOf(s.db.With(ctx), s.keys.Channel(c.Partition, c.Subscription), rdb.GroupPush, from, "+", pendingPage, consumer).Result()
		if err != nil {
			return rdb.Failed("list the entries of "+consumer, err)
		}
		from = ""
		if len(page) == pendingPage {
			from = rdb.NextID(page[len(page)-1].ID)
		}
		page = slices.DeleteFunc(page, func(e rdb.Pending) bool { return !wanted(e.ID) })
		for len(page) > 0 {
			var deliveries []medispatcher.Delivery
			read := 0
			err := orOne(min(pendingBodies, len(page)), func(n int) (err error) {
				read = n
				deliveries, err = s.pendingMessages(ctx, c, page[:n])
				return err
			})
			if err != nil {
				return err
			}
			for _, d := range deliveries {
				if !do(d) {
					return nil
				}
			}
			page = page[read:]
		}
	}
	return nil
}

// pendingMessages reads entries. It leaves out those that were deleted meanwhile.
func (s *Store) pendingMessages(ctx context.Context, c medispatcher.Channel, list []rdb.Pending) ([]medispatcher.Delivery, error) {
	pipe := s.db.Pipe(ctx)
	cmds := make([]*rdb.Reply[[]rdb.Entry], len(list))
	for i, e := range list {
		cmds[i] = rdb.Range(pipe, s.keys.Channel(c.Partition, c.Subscription), e.ID, e.ID, 1)
	}
	if err := pipe.Run(); err != nil {
		return nil, rdb.Failed("read entries of "+c.Subscription, err)
	}
	var deliveries []medispatcher.Delivery
	for i, e := range list {
		for _, m := range cmds[i].Val() {
			deliveries = append(deliveries, entry.Delivery(c, m.ID, max(1, int(e.Deliveries)), m.Fields))
		}
	}
	return deliveries, nil
}
