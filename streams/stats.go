package streams

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

// statsChunk is the most fields asked for in one command.
const statsChunk = 1000

// countLua begins every script that counts. A step counts what it does inside its script,
// so that a repetition counts nothing twice: in hashes of this second, minute and hour,
// which are kept a little longer than they are read, and of all time. Their fields are
// "<what>:<name>", such as sent:billing or received:order.created. Counting never fails a
// step. Producers that make up topics must not fill Redis: past a limit a new name counts as ~other.
//
// KEYS 1–4 counts of the second, the minute, the hour and all time.
const countLua = `
local function count_in(key, expire, field, n)
  local sum = redis.pcall('HINCRBY', key, field, n)
  if sum ~= n then return true end
  if expire > 0 then redis.pcall('EXPIRE', key, expire) end
  return redis.pcall('HLEN', key) <= 200000
end
local function count(what, n)
  for i, expire in ipairs({75, 3900, 93600, 0}) do
    if not count_in(KEYS[i], expire, what, n) then
      redis.pcall('HDEL', KEYS[i], what)
      count_in(KEYS[i], expire, string.match(what, '^[^:]*') .. ':~other', n)
    end
  end
end
`

// countKeys are the hashes that a step counts in now.
func (s *Store) countKeys(p int) []string {
	now := s.now().Unix()
	return []string{s.keys.stats(p, 's', now), s.keys.stats(p, 'm', now/60), s.keys.stats(p, 'h', now/3600), s.keys.statsTotal(p)}
}

// now is the time of Redis, as the last heartbeat told it: dispatchers whose clocks differ
// count in the same seconds.
func (s *Store) now() time.Time {
	return time.Now().Add(time.Duration(s.clockAhead.Load()))
}

// appendCounts appends the names under which an outcome counts, their number first.
func appendCounts(argv []any, s *medispatcher.Settlement) []any {
	at := len(argv)
	argv = append(argv, 0, s.Outcome.String()+":"+s.Subscription)
	if ended := s.Outcome == medispatcher.Exhausted || s.Outcome == medispatcher.Dropped; ended && s.Failure != nil {
		argv = append(argv, "failed:"+s.Subscription) // its last attempt did
	}
	if s.Attempt > 1 {
		argv = append(argv, "retried:"+s.Subscription)
	}
	argv[at] = len(argv) - at - 1
	return argv
}

// Windows sums counts over all partitions: for each field, such as "sent:billing", what was
// counted in the last second, 10 s, minute, hour and day, and in all. The second is the
// last full one; the hour and the day include the part of the minute and of the hour that is under way.
func (s *Store) Windows(ctx context.Context, fields []string) (map[string]medispatcher.Windows, error) {
	sums := make(map[string]medispatcher.Windows, len(fields))
	redisNow, err := s.client.Time(ctx).Result()
	if err != nil {
		return nil, failed("time", err)
	}
	now := redisNow.Unix()
	for p := range s.cfg.Partitions {
		for chunk := range slices.Chunk(fields, statsChunk) {
			if err := s.windows(ctx, p, now, chunk, sums); err != nil {
				return nil, err
			}
		}
	}
	return sums, nil
}

func (s *Store) windows(ctx context.Context, p int, now int64, fields []string, sums map[string]medispatcher.Windows) error {
	pipe := s.client.Pipeline()
	type bucket struct {
		cmd  *redis.SliceCmd
		kind byte
		age  int64
	}
	var buckets []bucket
	ask := func(kind byte, at, age int64) {
		buckets = append(buckets, bucket{pipe.HMGet(ctx, s.keys.stats(p, kind, at), fields...), kind, age})
	}
	for age := int64(1); age <= 60; age++ {
		ask('s', now-age, age)
	}
	for age := range int64(60) {
		ask('m', now/60-age, age)
	}
	for age := range int64(24) {
		ask('h', now/3600-age, age)
	}
	buckets = append(buckets, bucket{pipe.HMGet(ctx, s.keys.statsTotal(p), fields...), 't', 0})
	if _, err := pipe.Exec(ctx); err != nil {
		return failed("read counts", err)
	}
	for _, b := range buckets {
		for i, v := range b.cmd.Val() {
			text, _ := v.(string)
			n, _ := strconv.ParseInt(text, 10, 64)
			if n == 0 {
				continue
			}
			w := sums[fields[i]]
			switch b.kind {
			case 's':
				w.Minute += n
				if b.age <= 10 {
					w.TenSeconds += n
				}
				if b.age == 1 {
					w.Second += n
				}
			case 'm':
				w.Hour += n
			case 'h':
				w.Day += n
			case 't':
				w.Total += n
			}
			sums[fields[i]] = w
		}
	}
	return nil
}

// Counts returns the totals of everything counted so far, "<what>:<name>" → n, over all partitions.
func (s *Store) Counts(ctx context.Context) (map[string]int64, error) {
	sums := map[string]int64{}
	for p := range s.cfg.Partitions {
		h, err := s.client.HGetAll(ctx, s.keys.statsTotal(p)).Result()
		if err != nil {
			return nil, failed("read counts", err)
		}
		for what, n := range h {
			v, _ := strconv.ParseInt(n, 10, 64)
			sums[what] += v
		}
	}
	return sums, nil
}
