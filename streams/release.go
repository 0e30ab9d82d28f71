package streams

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// releaseScript hands entries of a live consumer to ~buried. They are due now, and the attempt
// is not counted.
//
// KEYS 1–4 counts, 5 channel, 6 retry, 7 active.
// ARGV consumer, "1" to remove the consumer if it then owns nothing, due time, entry ids.
// Returns what vanished.
//
// Safe to repeat: an entry that the consumer does not own is left alone. The script removes the
// consumer only after it checked that it owns nothing, because XGROUP DELCONSUMER discards
// pending entries.
var releaseScript = rdb.NewScript(countLua + vanishedLua + `
local ch, kept = KEYS[5], false
for i = 4, #ARGV do
  local pending = redis.call('XPENDING', ch, 'push', ARGV[i], ARGV[i], 1, ARGV[1])
  if pending[1] then
    if redis.call('XCLAIM', ch, 'push', '` + rdb.Buried + `', 0, ARGV[i], 'RETRYCOUNT', pending[1][4], 'JUSTID')[1] then
      redis.call('ZADD', KEYS[6], ARGV[3], ARGV[i])
      kept = true
    else
      redis.call('XACK', ch, 'push', ARGV[i])
      vanish(sub_of(ch), ARGV[i])
    end
  end
end
if kept then redis.pcall('SADD', KEYS[7], sub_of(ch)) end
if ARGV[2] == '1' and #redis.call('XPENDING', ch, 'push', '-', '+', 1, ARGV[1]) == 0 then
  redis.call('XGROUP', 'DELCONSUMER', ch, 'push', ARGV[1])
end
return vanished()
`)

// releaseStep is the most entries that one step releases. More would hold Redis for longer than 10 ms on a slow machine.
const releaseStep = 256

// Release lets go of entries of this process, so that any dispatcher can take them at once.
// The attempt is not counted. With leave the process also leaves the group of the channel,
// if it owns nothing there any more.
func (s *Store) Release(ctx context.Context, c medispatcher.Channel, entryIDs []string, leave bool) error {
	for {
		step := entryIDs[:min(len(entryIDs), releaseStep)]
		entryIDs = entryIDs[len(step):]
		if err := s.release(ctx, c, step, leave && len(entryIDs) == 0); err != nil || len(entryIDs) == 0 {
			return err
		}
	}
}

// release is Release in one step.
func (s *Store) release(ctx context.Context, c medispatcher.Channel, entryIDs []string, leave bool) error {
	argv := []any{s.cfg.ID, leave, rdb.DueNow}
	for _, id := range entryIDs {
		argv = append(argv, id)
	}
	k := append(s.countKeys(c.Partition), s.keys.Channel(c.Partition, c.Subscription), s.keys.Retry(c.Partition, c.Subscription), s.keys.Active(c.Partition))
	vanished, err := releaseScript.Run(ctx, s.db, k, argv...).Result()
	s.noteVanished(c.Partition, vanished)
	if rdb.IsNoGroup(err) {
		return nil // the channel was purged: nothing is owned
	}
	return rdb.Failed("release entries of "+c.Subscription, err)
}

// Mine lists the ids of up to limit entries that this process owns in each of some channels, in their order. It may not
// know of some of them, because the reply of a read was lost. All channels share one round trip.
func (s *Store) Mine(ctx context.Context, channels []medispatcher.Channel, limit int) []medispatcher.Mine {
	pipe := s.db.Pipe(ctx)
	asked := make([]*rdb.Reply[[]rdb.Pending], len(channels))
	for i, c := range channels {
		asked[i] = rdb.PendingOf(pipe, s.keys.Channel(c.Partition, c.Subscription), rdb.GroupPush, "-", "+", limit, s.cfg.ID)
	}
	_ = pipe.Run() // each command has its own error
	mine := make([]medispatcher.Mine, len(channels))
	for i := range mine {
		pending, err := asked[i].Result()
		for _, p := range pending {
			mine[i].EntryIDs = append(mine[i].EntryIDs, p.ID)
		}
		if !rdb.IsNoGroup(err) { // otherwise nothing is owned
			mine[i].Err = rdb.Failed("list own entries of "+channels[i].Subscription, err)
		}
	}
	return mine
}

// LeaveIncoming removes this process from the groups of those incoming streams where it owns nothing.
func (s *Store) LeaveIncoming(ctx context.Context) error {
	for p := range s.db.Partitions() {
		err := leaveScript.Run(ctx, s.db, []string{s.keys.Incoming(p)}, rdb.GroupFanout, s.cfg.ID).Err()
		if err != nil && !rdb.IsNoGroup(err) {
			return rdb.Failed("leave incoming", err)
		}
	}
	return nil
}

// LeaveChannels removes this process from the groups of those channels where it owns nothing. All share one round trip.
func (s *Store) LeaveChannels(ctx context.Context, channels []medispatcher.Channel) (err error) {
	leave := func(c medispatcher.Channel, answer *rdb.Answer) {
		if now := answer.Err(); err == nil && now != nil && !rdb.IsNoGroup(now) {
			err = rdb.Failed("leave the channel of "+c.Subscription, now)
		}
	}
	key := func(c medispatcher.Channel) []string { return []string{s.keys.Channel(c.Partition, c.Subscription)} }
	for len(channels) > 0 {
		pipe, answers := s.db.Pipe(ctx), make([]*rdb.Answer, len(channels))
		for i, c := range channels {
			answers[i] = leaveScript.In(pipe, key(c), rdb.GroupPush, s.cfg.ID)
		}
		_ = pipe.Run() // each command has its own error
		var again []medispatcher.Channel
		for i, c := range channels {
			if rdb.IsNoScript(answers[i].Err()) {
				again = append(again, c)
			} else {
				leave(c, answers[i])
			}
		}
		if channels = again; len(again) > 0 { // its node has the script then
			leave(again[0], leaveScript.Run(ctx, s.db, key(again[0]), rdb.GroupPush, s.cfg.ID))
			channels = again[1:]
		}
	}
	return err
}

// leaveScript removes a consumer from a group if it owns nothing.
//
// KEYS stream. ARGV group, consumer. Returns 0, also if it removed the consumer.
// Safe to repeat: the consumer is then not in the group.
var leaveScript = rdb.NewScript(`
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) == 0 then
  return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
end
return 0
`)
