package streams

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

// Owners lists the consumers of channels of one partition with the number of their
// pending entries, those with none included. The maps stand in the order of subs.
func (s *Store) Owners(ctx context.Context, p int, subs []string) ([]map[string]int64, error) {
	pipe := s.client.Pipeline()
	cmds := make([]*redis.XInfoConsumersCmd, len(subs))
	for i, sub := range subs {
		cmds[i] = pipe.XInfoConsumers(ctx, s.keys.channel(p, sub), groupPush)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	owners := make([]map[string]int64, len(subs))
	for i, cmd := range cmds {
		consumers, err := cmd.Result()
		if err != nil && !noSuchStream(err) {
			return nil, failed("list the consumers of "+subs[i], err)
		}
		owners[i] = consumerMap(consumers)
	}
	return owners, nil
}

// IncomingOwners is Owners of a partition's incoming stream.
func (s *Store) IncomingOwners(ctx context.Context, p int) (map[string]int64, error) {
	consumers, err := s.client.XInfoConsumers(ctx, s.keys.incoming(p), groupFanout).Result()
	if err != nil && !noSuchStream(err) {
		return nil, failed("list the consumers of incoming", err)
	}
	return consumerMap(consumers), nil
}

func consumerMap(list []redis.XInfoConsumer) map[string]int64 {
	m := make(map[string]int64, len(list))
	for _, c := range list {
		m[c.Name] = c.Pending
	}
	return m
}

// kickScript gives back what a consumer that is gone left behind, due now, the
// attempt not counted, and removes the consumer once it owns nothing.
//
// KEYS channel, retry. ARGV consumer, limit, due time.
// Returns {entries given back, entries it still owns: 0 or 1 for more}.
//
// Safe to repeat and to run by several at once: each entry is moved by the one call
// that finds it with the consumer.
var kickScript = redis.NewScript(`
local moved = 0
for _, e in ipairs(redis.call('XPENDING', KEYS[1], 'push', '-', '+', ARGV[2], ARGV[1])) do
  redis.call('XCLAIM', KEYS[1], 'push', '~buried', 0, e[1], 'RETRYCOUNT', e[4], 'JUSTID')
  redis.call('ZADD', KEYS[2], ARGV[3], e[1])
  moved = moved + 1
end
if #redis.call('XPENDING', KEYS[1], 'push', '-', '+', 1, ARGV[1]) > 0 then return {moved, 1} end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'push', ARGV[1])
return {moved, 0}
`)

// Kick gives back up to limit entries of a consumer that is gone. more tells whether
// it owns others; when it does not, it is removed from the group.
func (s *Store) Kick(ctx context.Context, c medispatcher.Channel, consumer string, limit int) (moved int, more bool, err error) {
	k := []string{s.keys.channel(c.Partition, c.Subscription), s.keys.retry(c.Partition, c.Subscription)}
	return s.kick(ctx, kickScript, "kick "+c.Subscription, k, consumer, limit, dueNow)
}

func (s *Store) kick(ctx context.Context, script *redis.Script, step string, k []string, args ...any) (moved int, more bool, err error) {
	res, err := script.Run(ctx, s.client, k, args...).Int64Slice()
	if isNoGroup(err) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, failed(step, err)
	}
	if len(res) != 2 {
		return 0, false, fmt.Errorf("redis: %s: unreadable answer %v", step, res)
	}
	return int(res[0]), res[1] != 0, nil
}

// kickIncomingScript moves what a fan-out consumer that is gone left behind to
// another consumer, and removes the former once it owns nothing.
//
// KEYS incoming. ARGV consumer, limit, new owner.
// Returns as kickScript. Safe to repeat.
var kickIncomingScript = redis.NewScript(`
local moved = 0
for _, e in ipairs(redis.call('XPENDING', KEYS[1], 'fanout', '-', '+', ARGV[2], ARGV[1])) do
  redis.call('XCLAIM', KEYS[1], 'fanout', ARGV[3], 0, e[1], 'RETRYCOUNT', e[4], 'JUSTID')
  moved = moved + 1
end
if #redis.call('XPENDING', KEYS[1], 'fanout', '-', '+', 1, ARGV[1]) > 0 then return {moved, 1} end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'fanout', ARGV[1])
return {moved, 0}
`)

// KickIncoming moves up to limit entries of a fan-out consumer that is gone to this
// process, or with adopt unset to a consumer that nobody is, where every dispatcher looks.
func (s *Store) KickIncoming(ctx context.Context, p int, consumer string, limit int, adopt bool) (moved int, more bool, err error) {
	to := buriedConsumer
	if adopt {
		to = s.cfg.ID
	}
	return s.kick(ctx, kickIncomingScript, "kick incoming", []string{s.keys.incoming(p)}, consumer, limit, to)
}

// orphanScript finds entries of ~buried that no due time will ever wake.
//
// KEYS channel, retry. ARGV start of the range, limit, "1" to make every entry due now, "1" to change nothing, now in ms, due time.
// Returns {entries made due, where to go on ("": done)}.
//
// Safe to repeat: an entry with a due time is left alone.
var orphanScript = redis.NewScript(`
local now = tonumber(ARGV[5])
local found = redis.call('XPENDING', KEYS[1], 'push', ARGV[1], '+', ARGV[2], '~buried')
local made = 0
for _, e in ipairs(found) do
  local due = redis.call('ZSCORE', KEYS[2], e[1])
  if not due or ARGV[3] == '1' and tonumber(due) > now then
    if ARGV[4] ~= '1' then redis.call('ZADD', KEYS[2], ARGV[6], e[1]) end
    made = made + 1
  end
end
if #found < tonumber(ARGV[2]) then return {made, ''} end
local ms, seq = string.match(found[#found][1], '(%d+)-(%d+)')
return {made, ms .. '-' .. string.format('%.0f', seq + 1)}
`)

// Orphans makes entries of ~buried that have no due time due now, and with all set
// every entry that waits. With dryRun it only counts them.
func (s *Store) Orphans(ctx context.Context, c medispatcher.Channel, all, dryRun bool) (int, error) {
	k := []string{s.keys.channel(c.Partition, c.Subscription), s.keys.retry(c.Partition, c.Subscription)}
	now, err := s.sharedNow(ctx)
	if err != nil {
		return 0, err
	}
	made, from := 0, "-"
	for from != "" {
		res, err := orphanScript.Run(ctx, s.client, k, from, kickBatch, all, dryRun, now.UnixMilli(), dueNow).Slice()
		if isNoGroup(err) {
			return made, nil
		}
		if err != nil {
			return made, failed("find entries without a due time", err)
		}
		made += toInt(res[0])
		from, _ = res[1].(string)
	}
	return made, nil
}

// kickBatch is the most entries a script looks at, so that it holds Redis for milliseconds.
const kickBatch = 200

func noSuchStream(err error) bool {
	return isNoGroup(err) || err != nil && strings.Contains(err.Error(), "no such key")
}
