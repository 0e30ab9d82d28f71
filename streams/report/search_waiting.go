package report

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/entry"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// waitingPage is about how many copies of a line one command reads, bodies included.
const waitingPage = 10

// findWaiting looks for copies that wait behind others of their key, in the lines of ordered subscriptions.
func (x *searcher) findWaiting(ctx context.Context, subs []string) error {
	pipe := x.report.db.Pipe(ctx)
	lengths := make([]*rdb.Reply[int64], len(subs))
	for i, sub := range subs {
		lengths[i] = rdb.Int(pipe, "HLEN", x.report.keys.Wait(x.trail.p, sub))
	}
	if err := pipe.Run(); err != nil && !rdb.IsWrongType(err) {
		return err
	}
	for i, sub := range subs {
		if lengths[i].Val() == 0 {
			continue
		}
		if err := x.findInLines(ctx, sub); err != nil {
			return err
		}
	}
	return nil
}

func (x *searcher) findInLines(ctx context.Context, sub string) error {
	key, cursor := x.report.keys.Wait(x.trail.p, sub), "0"
	for looked := 0; ; {
		page, err := rdb.Scan(x.report.db.With(ctx), "HSCAN", key, cursor, "COUNT", waitingPage).Result()
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(page.Items); i += 2 {
			looked++
			x.left -= len(page.Items[i+1])
			copied := rdb.Entry{Fields: entry.Waiting(page.Items[i+1])}
			if x.trail.isCopy(copied) {
				at := medispatcher.Place{
					State: medispatcher.Ready, Subscription: sub, Partition: x.trail.p, Entry: page.Items[i], Reason: "waits behind another message of its key",
				}
				d := entry.Delivery(medispatcher.Channel{Partition: x.trail.p, Subscription: sub}, "", 1, copied.Fields)
				if d.Tried > 0 {
					at.Attempt, at.Failure = d.Tried+1, d.Failure
				}
				x.story.Topic = d.Message.Topic
				x.story.Places = append(x.story.Places, at)
				return nil
			}
		}
		if cursor = page.Next; cursor == "0" {
			return nil
		}
		if looked >= searchEntries || x.left <= 0 {
			x.story.Searched = false
			return nil
		}
	}
}
