package ledger

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// claimScript takes notices to send, each for the time of a lease. If the dispatcher dies, another
// one takes them when the lease has ended.
//
// KEYS outbox, due, claims. ARGV dispatcher, ms of the lease, limit, ms until a notice that must wait
// for another one is tried again, now in ms. Returns {id, notice, tries, receivers that have it} for each.
//
// A notice that comes after another one waits until that one is settled, so that nobody reads of a
// recovery before the alert. Safe to repeat: notices in a lost reply come back when their lease ends.
// ZREM comes first because Redis allows it when memory is full, and then allows all that follows.
var claimScript = rdb.NewScript(`
local now = tonumber(ARGV[5])
local out = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[3])) do
  redis.call('ZREM', KEYS[2], id)
  local text = redis.call('HGET', KEYS[1], id)
  if text then
    local after = string.match(text, '^%S+ %d+ %d+ (%d+) ')
    if after and after ~= '0' and redis.call('HEXISTS', KEYS[1], after) == 1 then
      redis.call('ZADD', KEYS[2], now + ARGV[4], id)
    else
      local tries, done = string.match(redis.call('HGET', KEYS[3], id) or '', '^%S* (%d+) (.*)$')
      tries = (tonumber(tries) or 0) + 1
      redis.call('HSET', KEYS[3], id, ARGV[1] .. ' ' .. tries .. ' ' .. (done or ''))
      redis.call('ZADD', KEYS[2], now + ARGV[2], id)
      out[#out + 1] = {id, text, tries, done or ''}
    end
  end
end
return out
`)

// afterPause is how long a notice is put off if the one before it is not settled.
const afterPause = time.Second

// ClaimNotices takes up to limit waiting notices, for the time of a lease.
func (l *Ledger) ClaimNotices(ctx context.Context, limit int, lease time.Duration) ([]medispatcher.Notice, error) {
	now, err := l.db.SharedNow(ctx)
	if err != nil {
		return nil, err
	}
	res, err := claimScript.Run(ctx, l.db, l.outboxKeys(), l.cfg.ID, lease.Milliseconds(), limit, afterPause.Milliseconds(), now.UnixMilli()).Slice()
	if err != nil {
		return nil, rdb.Failed("claim notices", err)
	}
	var list []medispatcher.Notice
	for _, r := range res {
		row, _ := r.([]any)
		if len(row) != 4 {
			continue
		}
		id, _ := row[0].(string)
		text, _ := row[1].(string)
		n, ok := readNotice(id, text)
		if !ok { // not written by a dispatcher: it cannot be sent
			n.ID, _ = strconv.ParseInt(id, 10, 64)
			if _, err := l.SettleNotice(ctx, &n, "not sent: unreadable", false); err != nil {
				return list, err
			}
			continue
		}
		n.Since, n.At, n.Tries = l.db.ShownTime(n.Since), l.db.ShownTime(n.At), rdb.ToInt(row[2])
		if done, _ := row[3].(string); done != "" {
			n.Done = strings.Split(done, ",")
		}
		list = append(list, n)
	}
	return list, nil
}

func (l *Ledger) outboxKeys(more ...string) []string {
	k := []string{l.keys.Alerts("outbox"), l.keys.Alerts("due"), l.keys.Alerts("claims")}
	for _, name := range more {
		k = append(k, l.keys.Alerts(name))
	}
	return k
}

// markScript records that a receiver has a notice. KEYS claims. ARGV dispatcher, id, receiver.
// Returns 1 if the dispatcher holds the notice. Safe to repeat: a receiver is recorded once.
var markScript = rdb.NewScript(`
local me, tries, done = string.match(redis.call('HGET', KEYS[1], ARGV[2]) or '', '^(%S*) (%d+) (.*)$')
if me ~= ARGV[1] then return 0 end
if string.find(',' .. done .. ',', ',' .. ARGV[3] .. ',', 1, true) then return 1 end
if done ~= '' then done = done .. ',' end
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[1], ARGV[2], me .. ' ' .. tries .. ' ' .. done .. ARGV[3])
return 1
`)

// MarkNotice records that a receiver has a notice that this process took, so that a further try
// skips that receiver. receiver is a name without commas and spaces.
func (l *Ledger) MarkNotice(ctx context.Context, id int64, receiver string) error {
	return rdb.Failed("mark a notice", markScript.Run(ctx, l.db, []string{l.keys.Alerts("claims")}, l.cfg.ID, id, receiver).Err())
}

// settleScript ends a notice.
//
// KEYS outbox, due, claims, outcomes, history, firing. ARGV dispatcher, id, outcome, "1" if
// no receiver has it, key of its alert. Returns 1 if the dispatcher held the notice.
//
// If no receiver has the only notice of an alert, the notice is not counted, and the end of the alert
// makes no notice. Safe to repeat: a notice that the dispatcher does not hold is left alone. HDEL
// comes first because Redis allows it when memory is full, and then allows all that follows.
var settleScript = rdb.NewScript(`
local me = string.match(redis.call('HGET', KEYS[3], ARGV[2]) or '', '^(%S*) ')
if me ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[2])
local oldest = redis.call('LINDEX', KEYS[5], -1)
if oldest and tonumber(string.match(oldest, '^%d+')) <= tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[4], ARGV[2], ARGV[3])
end
if ARGV[4] == '1' then
  local since, notices, last, alert = string.match(redis.call('HGET', KEYS[6], ARGV[5]) or '', '^(%d+) (%d+) (%d+) (.*)$')
  if notices == '1' and last == ARGV[2] then
    redis.call('HSET', KEYS[6], ARGV[5], since .. ' 0 0 ' .. alert)
  end
end
return 1
`)

// SettleNotice ends a notice that this process took. unsent says that no receiver has it. mine says
// that this process still held it.
func (l *Ledger) SettleNotice(ctx context.Context, n *medispatcher.Notice, outcome string, unsent bool) (mine bool, err error) {
	k := l.outboxKeys("outcomes", "history", "firing")
	mine, err = settleScript.Run(ctx, l.db, k, l.cfg.ID, n.ID, outcome, unsent, n.Key()).Bool()
	return mine, rdb.Failed("settle a notice", err)
}

// postponeScript puts a notice off. KEYS due, claims. ARGV dispatcher, id, ms, "1" if this try
// does not count, now in ms. Returns 1 if the dispatcher held the notice. Safe to repeat: the
// dispatcher then no longer holds it.
var postponeScript = rdb.NewScript(`
local now = tonumber(ARGV[5])
local me, tries, done = string.match(redis.call('HGET', KEYS[2], ARGV[2]) or '', '^(%S*) (%d+) (.*)$')
if me ~= ARGV[1] then return 0 end
if ARGV[4] == '1' then tries = tries - 1 end
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], '- ' .. tries .. ' ' .. done)
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2])
return 1
`)

// PostponeNotice returns a notice that this process took. Any dispatcher may take it after delay.
// uncounted says that it was not tried.
func (l *Ledger) PostponeNotice(ctx context.Context, id int64, delay time.Duration, uncounted bool) error {
	now, err := l.db.SharedNow(ctx)
	if err != nil {
		return err
	}
	k := []string{l.keys.Alerts("due"), l.keys.Alerts("claims")}
	return rdb.Failed("put a notice off", postponeScript.Run(ctx, l.db, k, l.cfg.ID, id, delay.Milliseconds(), uncounted, now.UnixMilli()).Err())
}
