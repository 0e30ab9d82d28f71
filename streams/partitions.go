package streams

import (
	"context"
	"fmt"
	"strconv"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Every dispatcher notes in one key, with its heartbeat, over how many partitions it spreads messages. The number there only
// grows, until somebody forgets the partitions that are empty. So every process knows all partitions that may hold
// something, whatever its own MEDIS_PARTITIONS is.

// MaxPartitions is the most partitions that there can be.
const MaxPartitions = rdb.MaxPartitions

// LearnPartitions reads how many partitions there are. A dispatcher does this with each heartbeat.
func (s *Store) LearnPartitions(ctx context.Context) (int, error) {
	text, err := rdb.Text(s.db.With(ctx), "GET", s.keys.Partitions()).Result()
	if err != nil && !rdb.IsNil(err) && !rdb.IsWrongType(err) {
		return 0, rdb.Failed("read the number of partitions", err)
	}
	n, _ := strconv.Atoi(text) // of a key that somebody wrote by hand
	s.db.NotePartitions(n)
	return s.Partitions(), nil
}

// SpreadOver sets over how many partitions this process spreads new messages. It is for a process that has just opened
// the store, and learned what the dispatchers do.
func (s *Store) SpreadOver(n int) { s.cfg.Spread = n }

// Spread is over how many partitions this process spreads new messages.
func (s *Store) Spread() int { return s.cfg.Spread }

// PartitionHeld is what one partition holds, in messages.
func (s *Store) PartitionHeld(ctx context.Context, p int, subs []string) (h medispatcher.PartitionHeld, err error) {
	h.Partition = p
	add := func(into *int64, command string, keys ...string) {
		for from := 0; from < len(keys) && err == nil; from += rdb.SweepChunk {
			pipe := s.db.Pipe(ctx)
			var lengths []*rdb.Reply[int64]
			for _, key := range keys[from:min(from+rdb.SweepChunk, len(keys))] {
				lengths = append(lengths, rdb.Int(pipe, command, key))
			}
			if err = pipe.Run(); rdb.IsWrongType(err) { // a key of another type holds no messages
				err = nil
			}
			for _, n := range lengths {
				*into += n.Val()
			}
		}
	}
	channels, waits, dead := make([]string, len(subs)), make([]string, len(subs)), make([]string, len(subs))
	for i, sub := range subs {
		channels[i], waits[i], dead[i] = s.keys.Channel(p, sub), s.keys.Wait(p, sub), s.keys.Dead(p, sub)
	}
	add(&h.Incoming, "XLEN", s.keys.Incoming(p))
	add(&h.Delayed, "ZCARD", s.keys.Delayed(p))
	add(&h.Messages, "XLEN", channels...)
	add(&h.Messages, "HLEN", waits...)
	add(&h.Dead, "XLEN", dead...)
	add(&h.Unrouted, "XLEN", s.keys.Unrouted(p))
	add(&h.Quarantine, "XLEN", s.keys.Quarantine(p))
	return h, rdb.Failed(fmt.Sprintf("count what partition %d holds", p), err)
}

// forgetPartitionsScript lowers the number of partitions.
//
// KEYS partitions. ARGV the number as it was, the new one. Returns 1 if it was lowered. Safe to repeat: it is then not
// as it was.
var forgetPartitionsScript = rdb.NewScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
`)

// ForgetPartitions notes that of all partitions only the first n are used any more. Dispatchers that start from now on
// work on no others. It fails with ErrConflict if a dispatcher has just begun to use more.
func (s *Store) ForgetPartitions(ctx context.Context, all, n int) error {
	done, err := forgetPartitionsScript.Run(ctx, s.db, []string{s.keys.Partitions()}, all, n).Int64()
	if err == nil && done == 0 {
		err = fmt.Errorf("the number of partitions has just changed: %w", medispatcher.ErrConflict)
	}
	return rdb.Failed("forget partitions", err)
}
