package streams

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// lookScript looks at channels.
//
// KEYS active, dead ones of it, then channel, retry, dead for each subscription. ARGV "1" to put those that hold something
// into the sets, then the subscriptions.
// Returns {names that it added (-1: the sets do not take them), for each subscription {length, when the first retry is
// due ("": there is none)}…}; a key of a wrong type has length 0. Safe to repeat: it adds what is there already.
//
// An idle channel costs one command, and the retries and dead letters of all of them one each.
var lookScript = rdb.NewScript(`
local add = ARGV[1] == '1'
local function any(first)
  local keys = {}
  for k = first, #KEYS, 3 do keys[#keys + 1] = KEYS[k] end
  return redis.call('EXISTS', unpack(keys)) > 0
end
local function holds(length) return type(length) ~= 'number' or length > 0 end -- a key of a wrong type is work for an operator
local retrying, buried = any(4), add and any(5)
local out, held, dead = {0}, {}, {}
for i = 2, #ARGV do
  local at, due = 3 * (i - 1), {}
  local length = redis.pcall('XLEN', KEYS[at])
  if retrying then due = redis.pcall('ZRANGE', KEYS[at + 1], 0, 0, 'WITHSCORES') end
  if add and (holds(length) or due[2]) then held[#held + 1] = ARGV[i] end
  if buried and holds(redis.pcall('XLEN', KEYS[at + 2])) then dead[#dead + 1] = ARGV[i] end
  out[i] = {type(length) == 'number' and length or 0, due[2] or ''}
end
for i, names in ipairs({held, dead}) do
  local n = #names > 0 and redis.pcall('SADD', KEYS[i], unpack(names)) or 0
  if type(n) ~= 'number' or out[1] < 0 then out[1] = -1 else out[1] = out[1] + n end
end
return out
`)

// look runs lookScript for a chunk of subscriptions.
func (s *Store) look(ctx context.Context, p int, subs []string, add bool) (waiting []medispatcher.Waiting, added int, err error) {
	k := []string{s.keys.Active(p), s.keys.ActiveDead(p)}
	argv := []any{add}
	for _, sub := range subs {
		k = append(k, s.keys.Channel(p, sub), s.keys.Retry(p, sub), s.keys.Dead(p, sub))
		argv = append(argv, sub)
	}
	res, err := lookScript.Run(ctx, s.db, k, argv...).Slice()
	if err == nil && len(res) != 1+len(subs) {
		err = fmt.Errorf("%d answers for %d channels", len(res)-1, len(subs))
	}
	if err != nil {
		return nil, 0, rdb.Failed("sweep", err)
	}
	now := s.db.Now()
	for i, answer := range res[1:] {
		row, _ := answer.([]any)
		if len(row) != 2 {
			return nil, 0, rdb.Unreadable("sweep", answer)
		}
		if rdb.ToInt(row[0]) == 0 {
			continue
		}
		w := medispatcher.Waiting{Channel: medispatcher.Channel{Partition: p, Subscription: subs[i]}, DueIn: -1}
		due, _ := row[1].(string)
		if ms, err := strconv.ParseFloat(due, 64); err == nil {
			w.DueIn = max(0, time.UnixMilli(int64(ms)).Sub(now))
		}
		waiting = append(waiting, w)
	}
	return waiting, rdb.ToInt(res[0]), nil
}

// Waiting finds the channels that are not empty. It looks at those of the active set. Where that is not known to be
// complete it looks at every channel of the subscriptions that all lists, which completes the set. So does the first
// call of a process. It is meant to run seldom. With an error, the channels it returns are still valid.
func (s *Store) Waiting(ctx context.Context, all func() []string) ([]medispatcher.Waiting, error) {
	kept, err := s.keptSets(ctx)
	if err != nil {
		return nil, err
	}
	sets := make([]string, s.cfg.Partitions)
	for p := range sets {
		sets[p] = s.keys.Active(p)
	}
	var errs []error
	var waiting []medispatcher.Waiting
	var every []string
	for p, list := range s.activeMembers(ctx, sets...) {
		subs, walk := list.subs, !kept || !list.built || !s.active.walkedAll(p)
		if walk {
			if every == nil {
				every = all()
			}
			subs = every
		}
		found, err := s.lookAll(ctx, p, subs, walk)
		waiting = append(waiting, found...)
		if err != nil {
			errs = append(errs, err)
			continue // this partition's master cannot be reached, say; others may be
		}
		switch {
		case walk && kept:
			s.active.noteWalked(p)
			s.markBuilt(ctx, p, true)
		case list.built && !kept:
			s.markBuilt(ctx, p, false)
		}
	}
	return waiting, errors.Join(errs...)
}

func (s *Store) lookAll(ctx context.Context, p int, subs []string, add bool) (waiting []medispatcher.Waiting, err error) {
	for from := 0; from < len(subs); from += rdb.SweepChunk {
		found, added, err := s.look(ctx, p, subs[from:min(from+rdb.SweepChunk, len(subs))], add)
		waiting = append(waiting, found...)
		if err == nil && added < 0 {
			err = rdb.Failed("sweep", errNoActive)
		}
		if err != nil {
			return waiting, err
		}
	}
	return waiting, nil
}

var errNoActive = errors.New("Redis does not take the active set: it is full, or the key is of another type") //nolint:staticcheck // Redis is a name

// Recheck looks at channels of a partition that the active set may lack, because a command typed by hand or a lost write took
// them out. It returns how many it put back.
func (s *Store) Recheck(ctx context.Context, p int, subs []string) (missing int, err error) {
	if kept, err := s.keptSets(ctx); err != nil || !kept {
		return 0, err // sweeps look at every channel
	}
	_, missing, err = s.look(ctx, p, subs, true)
	return max(0, missing), err
}
