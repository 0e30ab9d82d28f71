package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// noticeLua adds a notice to the history, and to the outbox unless too many wait there.
// KEYS 1 counter, 2 outbox, 3 due, 4 history, 5 outcomes.
const noticeLua = `
local function ms(n) return string.format('%.0f', n) end
local function notice(kind, since, now, after, alert, most_waiting, most_kept)
  local id = ms(redis.call('INCR', KEYS[1]))
  local text = kind .. ' ' .. ms(since) .. ' ' .. ms(now) .. ' ' .. after .. ' ' .. alert
  redis.call('LPUSH', KEYS[4], id .. ' ' .. text)
  while redis.call('LLEN', KEYS[4]) > tonumber(most_kept) do
    redis.call('HDEL', KEYS[5], string.match(redis.call('RPOP', KEYS[4]), '^%d+'))
  end
  if redis.call('HLEN', KEYS[2]) >= tonumber(most_waiting) then
    redis.call('HSET', KEYS[5], id, 'not sent: too many wait')
    return id, false
  end
  redis.call('HSET', KEYS[2], id, text)
  redis.call('ZADD', KEYS[3], now, id)
  return id, true
end
`

// raiseScript records that a rule fires. It makes the first notice at once, and further ones at
// intervals while the rule fires.
//
// KEYS as noticeLua, 6 firing, 7 sent, 8 seen, 9 causes of the alert.
// ARGV key of the alert, alert, ms between notices, most notices waiting, most notices kept, most
// causes, ms an event is remembered, "1" if the only cause is an event that raises once, now in ms, causes.
// Returns 0 if no notice was made, 1 if one was made, 2 if one was made but cannot be sent.
//
// Safe to repeat: an alert that has its notice gets no other within the interval. HDEL comes first
// because Redis allows it when memory is full, and then allows all that follows.
var raiseScript = rdb.NewScript(noticeLua + `
local now = tonumber(ARGV[9])
redis.call('HDEL', KEYS[6], '')
if ARGV[8] == '1' then
  redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', now - ARGV[7])
  local event = ARGV[1] .. ' ' .. ARGV[10]
  if redis.call('ZSCORE', KEYS[8], event) then return 0 end
  redis.call('ZADD', KEYS[8], now, event)
else
  for i = 10, #ARGV do
    if redis.call('ZSCORE', KEYS[9], ARGV[i]) or redis.call('ZCARD', KEYS[9]) < tonumber(ARGV[6]) then
      redis.call('ZADD', KEYS[9], now, ARGV[i])
    end
  end
end
local since, notices, last = now, 0, '0'
local old = redis.call('HGET', KEYS[6], ARGV[1])
if old then
  local s, n, l = string.match(old, '^(%d+) (%d+) (%d+) ')
  since, notices, last = tonumber(s), tonumber(n), l
end
local before = tonumber(redis.call('HGET', KEYS[7], ARGV[1]) or '0')
local made = 0
if before + ARGV[3] <= now then
  local kind = 'alert'
  if notices > 0 then kind = 'reminder' end
  local id, sent = notice(kind, since, now, '0', ARGV[2], ARGV[4], ARGV[5])
  redis.call('HSET', KEYS[7], ARGV[1], ms(now))
  notices, last, made = notices + 1, id, 2
  if sent then made = 1 end
else
  redis.call('INCR', KEYS[1])
end
redis.call('HSET', KEYS[6], ARGV[1], ms(since) .. ' ' .. ms(notices) .. ' ' .. last .. ' ' .. ARGV[2])
return made
`)

func (l *Ledger) noticeKeys(more ...string) []string {
	k := make([]string, 0, 5+len(more))
	for _, name := range append([]string{"counter", "outbox", "due", "history", "outcomes"}, more...) {
		k = append(k, l.keys.Alerts(name))
	}
	return k
}

// RaiseAlert records that a rule fires. It makes the first notice at once, and while the rule fires
// at most one more in each interval every. causes keep the alert firing (see AlertCauses); a rule that is
// evaluated all the time has none. once says that the only cause is an event, which raises the alert
// one time, however many dispatchers report it. queued says that a notice waits to be sent, dropped
// that one was made but too many wait.
func (l *Ledger) RaiseAlert(ctx context.Context, a medispatcher.Alert, every time.Duration, causes []string, once bool) (queued, dropped bool, err error) {
	text, err := json.Marshal(a)
	if err != nil {
		return false, false, err
	}
	now, err := l.db.SharedNow(ctx)
	if err != nil {
		return false, false, err
	}
	k := l.noticeKeys("firing", "sent", "seen", "causes:"+a.Key())
	argv := []any{a.Key(), text, every.Milliseconds(), maxOutbox, maxHistory, maxCauses, seenFor.Milliseconds(), once, now.UnixMilli()}
	for _, cause := range causes {
		argv = append(argv, cause)
	}
	made, err := raiseScript.Run(ctx, l.db, k, argv...).Int()
	return made == 1, made == 2, rdb.Failed("raise alert", err)
}

// resolveScript ends an alert. It makes a notice if there was one when the alert began.
//
// KEYS as noticeLua, 6 firing, 7 causes of the alert.
// ARGV key of the alert, alert, "1" for no notice, most notices waiting, most notices kept, now in ms.
// Returns as raiseScript.
//
// Safe to repeat: an alert that does not fire is left alone. HDEL comes first, as in raiseScript.
var resolveScript = rdb.NewScript(noticeLua + `
local now = tonumber(ARGV[6])
local old = redis.call('HGET', KEYS[6], ARGV[1])
if not old then return 0 end
redis.call('HDEL', KEYS[6], ARGV[1])
redis.call('DEL', KEYS[7])
local since, notices, last = string.match(old, '^(%d+) (%d+) (%d+) ')
if notices == '0' or ARGV[3] == '1' then
  redis.call('INCR', KEYS[1])
  return 0
end
local _, sent = notice('recovered', tonumber(since), now, last, ARGV[2], ARGV[4], ARGV[5])
if sent then return 1 end
return 2
`)

// ResolveAlert ends an alert. It makes a notice, unless quiet is set or no notice said that the alert fires.
func (l *Ledger) ResolveAlert(ctx context.Context, a medispatcher.Alert, quiet bool) (queued bool, err error) {
	text, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	now, err := l.db.SharedNow(ctx)
	if err != nil {
		return false, err
	}
	k := l.noticeKeys("firing", "causes:"+a.Key())
	made, err := resolveScript.Run(ctx, l.db, k, a.Key(), text, quiet, maxOutbox, maxHistory, now.UnixMilli()).Int()
	return made == 1, rdb.Failed("resolve alert", err)
}
