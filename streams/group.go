package streams

import (
	"context"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// groupScript makes a group and, if it is missing, its stream. The group sees everything in
// the stream: at "$" it would skip what arrived while there was no group.
//
// KEYS stream. ARGV group. Returns OK. Safe to repeat: if the group exists, it changes nothing
// and fails with BUSYGROUP.
// XACK comes first because Redis allows it, and then the rest of the script, even when out of
// memory. A channel that nobody has read yet must drain even if Redis is full.
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
