package streams

import (
	"context"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// groupScript makes a group and, where it is missing, its stream. The group sees everything
// in the stream: at "$" it would skip what arrived while the group was lost.
//
// KEYS stream. ARGV group. An error says BUSYGROUP where the group is there: safe to repeat.
// XACK comes first because it is allowed out of memory, and so is then the rest: a channel
// that nobody has read yet must drain as well when Redis is full.
var groupScript = rdb.NewScript(`
redis.call('XACK', KEYS[1], ARGV[1], '0-1')
return redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
`)

func (s *Store) createGroup(ctx context.Context, stream, group string) error {
	err := groupScript.Run(ctx, s.db, []string{stream}, group).Err()
	if rdb.IsBusyGroup(err) {
		return nil
	}
	return rdb.Failed("create group "+group+" on "+stream, err)
}
