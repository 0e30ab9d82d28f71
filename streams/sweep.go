package streams

import (
	"context"
	"errors"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Waiting finds the channels of subscriptions that are not empty. It costs one XLEN for each
// channel, in round trips of rdb.SweepChunk, and is meant to run seldom. With an error, the
// channels it returns are still valid.
func (s *Store) Waiting(ctx context.Context, subs []string) ([]medispatcher.Waiting, error) {
	var waiting []medispatcher.Waiting
	var errs []error
	for p := range s.cfg.Partitions {
		for from := 0; from < len(subs); from += rdb.SweepChunk {
			found, err := s.waiting(ctx, p, subs[from:min(from+rdb.SweepChunk, len(subs))])
			if err != nil {
				errs = append(errs, err)
				break // this partition's master cannot be reached; others may be
			}
			waiting = append(waiting, found...)
		}
	}
	return waiting, errors.Join(errs...)
}

func (s *Store) waiting(ctx context.Context, p int, subs []string) ([]medispatcher.Waiting, error) {
	pipe := s.db.Pipe(ctx)
	lengths := make([]*rdb.Reply[int64], len(subs))
	for i, sub := range subs {
		lengths[i] = rdb.Int(pipe, "XLEN", s.keys.Channel(p, sub))
	}
	if err := pipe.Run(); err != nil && !rdb.IsWrongType(err) {
		return nil, rdb.Failed("sweep", err)
	}
	var waiting []medispatcher.Waiting
	var dues []*rdb.Reply[[]rdb.Score]
	pipe = s.db.Pipe(ctx)
	for i, sub := range subs {
		if lengths[i].Val() > 0 {
			waiting = append(waiting, medispatcher.Waiting{
				Channel: medispatcher.Channel{Partition: p, Subscription: sub}, DueIn: -1,
			})
			dues = append(dues, rdb.Scores(pipe, "ZRANGE", s.keys.Retry(p, sub), 0, 0, "WITHSCORES"))
		}
	}
	if len(waiting) == 0 {
		return nil, nil
	}
	if err := pipe.Run(); err != nil && !rdb.IsWrongType(err) {
		return nil, rdb.Failed("sweep", err)
	}
	now := s.db.Now()
	for i, due := range dues {
		if z := due.Val(); len(z) > 0 {
			waiting[i].DueIn = max(0, time.UnixMilli(int64(z[0].Score)).Sub(now))
		}
	}
	return waiting, nil
}
