package streams

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Owners lists the consumers of channels of one partition, in the order of subs. A channel whose key is of a
// wrong type has an error of its own.
func (s *Store) Owners(ctx context.Context, p int, subs []string) ([]medispatcher.Owned, error) {
	pipe := s.db.Pipe(ctx)
	consumers := make([]*rdb.Reply[map[string]int64], len(subs))
	for i, sub := range subs {
		consumers[i] = rdb.ConsumersOf(pipe, s.keys.Channel(p, sub), rdb.GroupPush)
	}
	_ = pipe.Run() // each command has its own error
	owned, lengths := make([]medispatcher.Owned, len(subs)), make([]*rdb.Reply[int64], len(subs))
	pipe = s.db.Pipe(ctx)
	for i, sub := range subs {
		list, err := consumers[i].Result()
		switch {
		case rdb.IsWrongType(err):
			owned[i].Err = rdb.Failed("list the consumers of "+sub, err)
			continue
		case err != nil && !rdb.IsNoStream(err):
			return nil, rdb.Failed("list the consumers of "+sub, err)
		case err == nil: // without a group the length does not matter
			lengths[i] = rdb.Int(pipe, "XLEN", s.keys.Channel(p, sub))
		}
		owned[i].Pending = list
	}
	if err := pipe.Run(); err != nil && !rdb.IsWrongType(err) {
		return nil, rdb.Failed("count the entries of channels", err)
	}
	for i, n := range lengths {
		if n != nil {
			owned[i].Length = n.Val()
		}
	}
	return owned, nil
}

// IncomingOwners is Owners of a partition's incoming stream.
func (s *Store) IncomingOwners(ctx context.Context, p int) (map[string]int64, error) {
	consumers, err := rdb.ConsumersOf(s.db.With(ctx), s.keys.Incoming(p), rdb.GroupFanout).Result()
	if err != nil && !rdb.IsNoStream(err) {
		return nil, rdb.Failed("list the consumers of incoming", err)
	}
	return consumers, nil
}
