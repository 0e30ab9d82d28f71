package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

// heartbeatScript notes the time of Redis for a dispatcher.
//
// KEYS dispatchers. ARGV dispatcher id. Returns {the time in ms, 1 when it was on the list before, else 0}.
//
// Safe to repeat. ZREM comes first because it is allowed out of memory, and so is
// then ZADD: a full Redis must not make a live dispatcher look dead.
var heartbeatScript = redis.NewScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local known = redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
return {now, known}
`)

// introduceScript notes who a dispatcher is.
//
// KEYS its info. ARGV info, ms to keep it. Safe to repeat. DEL comes first because it is
// allowed out of memory, and so is then SET.
var introduceScript = redis.NewScript(`
redis.call('DEL', KEYS[1])
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
`)

const (
	// infoEvery repairs an info that Redis lost: dispatchers would judge this one by another's limit.
	infoEvery = time.Minute
	// infoKept is far longer than the limit: whoever judges a dead dispatcher reads its limit there.
	infoKept = 24 * time.Hour
)

// introduction is the info that Redis has of this process, as far as known.
type introduction struct {
	mu   sync.Mutex
	info string
	at   time.Time
}

// Heartbeat says that this dispatcher is alive, and who it is where that changed, or where
// Redis may have forgotten it. That it is alive is heard also when the info is refused, which
// the next heartbeat then repeats.
func (s *Store) Heartbeat(ctx context.Context, d medispatcher.Dispatcher) error {
	asked := time.Now()
	res, err := heartbeatScript.Run(ctx, s.client, []string{s.keys.dispatchers()}, s.cfg.ID).Int64Slice()
	if err == nil && len(res) != 2 {
		err = fmt.Errorf("unreadable answer %v", res)
	}
	if err != nil {
		return failed("heartbeat", err)
	}
	s.clockAhead.Store(int64(time.UnixMilli(res[0]).Sub(asked)))
	info, err := json.Marshal(d)
	if err != nil {
		return err
	}
	said := &s.introduced
	said.mu.Lock()
	defer said.mu.Unlock()
	if known := res[1] == 1; known && said.info == string(info) && time.Since(said.at) < infoEvery {
		return nil
	}
	kept := max(infoKept, 10*d.DeadAfter).Milliseconds()
	said.info = ""
	if introduceScript.Run(ctx, s.client, []string{s.keys.dispatcher(s.cfg.ID)}, info, kept).Err() == nil {
		said.info, said.at = string(info), time.Now()
	}
	return nil
}

// Leave takes this dispatcher off the list.
func (s *Store) Leave(ctx context.Context) error {
	if err := s.client.ZRem(ctx, s.keys.dispatchers(), s.cfg.ID).Err(); err != nil {
		return failed("leave", err)
	}
	return failed("leave", s.client.Del(ctx, s.keys.dispatcher(s.cfg.ID)).Err())
}

// dispatchersScript reads the heartbeats and the clock that they are by: on a cluster the
// clock of another node may be off, and the living would look dead.
// KEYS dispatchers. Returns the time in ms, then id and time of each heartbeat. Reads only.
var dispatchersScript = redis.NewScript(`
local t = redis.call('TIME')
return {t[1] * 1000 + math.floor(t[2] / 1000), redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
`)

// Dispatchers lists every dispatcher that has a heartbeat, the dead ones included.
func (s *Store) Dispatchers(ctx context.Context) ([]medispatcher.Dispatcher, error) {
	res, err := dispatchersScript.Run(ctx, s.client, []string{s.keys.dispatchers()}).Slice()
	if err != nil {
		return nil, failed("list dispatchers", err)
	}
	ms, _ := res[0].(int64)
	beats, _ := res[1].([]any)
	now := time.UnixMilli(ms)
	list := make([]medispatcher.Dispatcher, 0, len(beats)/2)
	for i := 0; i+1 < len(beats); i += 2 {
		id, _ := beats[i].(string)
		var d medispatcher.Dispatcher
		info, err := s.client.Get(ctx, s.keys.dispatcher(id)).Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, failed("read a dispatcher's info", err) // its limit is in there: nobody may judge it by another
		}
		if err != nil || json.Unmarshal(info, &d) != nil {
			d = medispatcher.Dispatcher{DeadAfter: 10 * time.Second}
		}
		text, _ := beats[i+1].(string)
		beat, _ := strconv.ParseFloat(text, 64)
		d.ID, d.Heartbeat = id, time.UnixMilli(int64(beat))
		d.Alive = now.Sub(d.Heartbeat) < d.DeadAfter
		list = append(list, d)
	}
	return list, nil
}

// forgetScript takes a dispatcher off the list if its last heartbeat is still that one.
// KEYS dispatchers. ARGV dispatcher id, time of its last heartbeat in ms. Safe to repeat.
var forgetScript = redis.NewScript(`
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or -1) == tonumber(ARGV[2]) then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
`)

// Forget takes a dead dispatcher, all of whose entries were given back, off the list.
func (s *Store) Forget(ctx context.Context, d medispatcher.Dispatcher) error {
	n, err := forgetScript.Run(ctx, s.client, []string{s.keys.dispatchers()}, d.ID, d.Heartbeat.UnixMilli()).Int64()
	if err == nil && n > 0 {
		err = s.client.Del(ctx, s.keys.dispatcher(d.ID)).Err()
	}
	return failed("forget", err)
}
