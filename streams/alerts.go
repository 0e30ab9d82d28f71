package streams

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// What all dispatchers know of alerts together lies under <prefix>:alerts:{alerts}: and is bounded
// by the number of subscriptions and by the limits below.
//
//	leader    string, expiring   the dispatcher that evaluates the rules, and until when, ms
//	counter   string             counts changes; a notice's id is its count
//	firing    hash               <rule>:<subscription> → "<since ms> <notices> <id of the last notice> <alert as JSON>"
//	sent      hash               <rule>:<subscription> → when its last notice was made, ms; outlives firing
//	seen      zset               events that raised an alert and must not do so again → when, ms
//	causes:<rule>:<subscription> zset    what keeps an alert firing → when that was last seen, ms
//	outbox    hash               id → a notice that is not sent yet: "<kind> <since ms> <at ms> <id it comes after> <alert as JSON>"
//	due       zset               id → when it may be taken to be sent, ms
//	claims    hash               id → "<who took it> <tries> <receivers that have it, joined by commas>"
//	history   list               the last notices, as in outbox with "<id> " before, the newest first
//	outcomes  hash               id → what became of a notice of the history
const (
	maxOutbox   = 10_000 // notices; what comes past that is logged alone
	maxHistory  = 100
	maxListed   = 1000 // alerts that fire, in an answer
	maxCauses   = 100  // of an alert: others that keep it firing are not remembered
	seenFor     = time.Hour
	sentKept    = 8 * 24 * time.Hour // longer than the longest alert.every
	causeSettle = 5 * time.Second    // a message that fails is known here a little before it is in its channel's failures
	causeHeld   = 15 * time.Second   // a dispatcher that says nothing for so long holds nothing
)

// leadScript makes the caller the one dispatcher that evaluates the rules of alerts, for a while.
//
// KEYS leader, counter. ARGV dispatcher, ms to hold, now in ms. Returns {1 or 0, counter}.
//
// The leader's lease ends by the shared clock. That it expires is housekeeping: where Redis's clock is
// set back, it does so too late. Safe to repeat: who leads holds on. DEL comes first because it is allowed out of memory, and
// so is then SET: a Redis that is full is worth an alert.
var leadScript = redis.NewScript(`
local count = redis.call('GET', KEYS[2]) or '0'
local leader = redis.call('GET', KEYS[1])
local who, ends = string.match(leader or '', '^(%S*) ?(%d*)$')
if leader and who ~= ARGV[1] and (tonumber(ends) or math.huge) > tonumber(ARGV[3]) then return {0, count} end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. string.format('%.0f', ARGV[3] + ARGV[2]), 'PX', ARGV[2])
return {1, count}
`)

// LeadAlerts asks to be the one dispatcher that evaluates the rules, for the time of a lease. now is
// by the shared clock; revision changes with what fires.
func (s *Store) LeadAlerts(ctx context.Context, lease time.Duration) (leads bool, now time.Time, revision int64, err error) {
	if now, err = s.db.SharedNow(ctx); err != nil {
		return false, now, 0, err
	}
	k := []string{s.keys.Alerts("leader"), s.keys.Alerts("counter")}
	res, err := leadScript.Run(ctx, s.db.Client, k, s.cfg.ID, lease.Milliseconds(), now.UnixMilli()).Slice()
	if err != nil {
		return false, now, 0, rdb.Failed("lead alerts", err)
	}
	if len(res) != 2 {
		return false, now, 0, fmt.Errorf("redis: lead alerts: unreadable answer %v", res)
	}
	return rdb.ToInt(res[0]) == 1, now, int64(rdb.ToInt(res[1])), nil
}

// unleadScript ends a lease before its time. KEYS leader. ARGV dispatcher. Safe to repeat.
var unleadScript = redis.NewScript(`
local leader = redis.call('GET', KEYS[1])
if leader and string.match(leader, '^%S*') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`)

// UnleadAlerts lets another dispatcher evaluate the rules.
func (s *Store) UnleadAlerts(ctx context.Context) error {
	return rdb.Failed("end leading alerts", unleadScript.Run(ctx, s.db.Client, []string{s.keys.Alerts("leader")}, s.cfg.ID).Err())
}

// noticeLua puts a notice into the outbox and the history, unless there are too many.
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

// raiseScript notes that a rule fires, and makes a notice of it: the first at once, and one
// within each while it goes on.
//
// KEYS as noticeLua, 6 firing, 7 sent, 8 seen, 9 causes of the alert.
// ARGV key of the alert, alert, ms between notices, most notices waiting, most notices kept, most
// causes, ms an event is remembered, "1" where the one cause is an event that raises once, now in ms, causes.
// Returns 0 where no notice was made, 1 where one was, 2 where one was made and cannot be sent.
//
// Safe to repeat: what fires and has its notice gets no other within that time. HDEL comes first
// because it is allowed out of memory, and so is then all that follows.
var raiseScript = redis.NewScript(noticeLua + `
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

func (s *Store) noticeKeys(more ...string) []string {
	k := make([]string, 0, 5+len(more))
	for _, name := range append([]string{"counter", "outbox", "due", "history", "outcomes"}, more...) {
		k = append(k, s.keys.Alerts(name))
	}
	return k
}

// RaiseAlert notes that a rule fires. The first notice is made at once, others while it goes on, one in
// every at most. causes are what keeps it firing (see AlertCauses); a rule that is looked at all the
// time has none. once says that the one cause is an event, which raises the alert one time however
// many dispatchers tell of it. queued tells whether a notice waits to be sent, dropped that one was
// made and too many wait.
func (s *Store) RaiseAlert(ctx context.Context, a medispatcher.Alert, every time.Duration, causes []string, once bool) (queued, dropped bool, err error) {
	text, err := json.Marshal(a)
	if err != nil {
		return false, false, err
	}
	now, err := s.db.SharedNow(ctx)
	if err != nil {
		return false, false, err
	}
	k := s.noticeKeys("firing", "sent", "seen", "causes:"+a.Key())
	argv := []any{a.Key(), text, every.Milliseconds(), maxOutbox, maxHistory, maxCauses, seenFor.Milliseconds(), once, now.UnixMilli()}
	for _, cause := range causes {
		argv = append(argv, cause)
	}
	made, err := raiseScript.Run(ctx, s.db.Client, k, argv...).Int()
	return made == 1, made == 2, rdb.Failed("raise alert", err)
}

// resolveScript ends an alert, with a notice where one told of its beginning.
//
// KEYS as noticeLua, 6 firing, 7 causes of the alert.
// ARGV key of the alert, alert, "1" for no notice, most notices waiting, most notices kept, now in ms.
// Returns as raiseScript.
//
// Safe to repeat: what does not fire is left alone. HDEL comes first, as there.
var resolveScript = redis.NewScript(noticeLua + `
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

// ResolveAlert ends an alert. There is a notice of it unless quiet is set, or none told that it fired.
func (s *Store) ResolveAlert(ctx context.Context, a medispatcher.Alert, quiet bool) (queued bool, err error) {
	text, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	now, err := s.db.SharedNow(ctx)
	if err != nil {
		return false, err
	}
	k := s.noticeKeys("firing", "causes:"+a.Key())
	made, err := resolveScript.Run(ctx, s.db.Client, k, a.Key(), text, quiet, maxOutbox, maxHistory, now.UnixMilli()).Int()
	return made == 1, rdb.Failed("resolve alert", err)
}

// FiringAlerts lists what fires, in no order, with times by the shared clock.
func (s *Store) FiringAlerts(ctx context.Context) ([]medispatcher.Firing, error) {
	pipe := s.db.Client.Pipeline()
	firing, sent := pipe.HGetAll(ctx, s.keys.Alerts("firing")), pipe.HGetAll(ctx, s.keys.Alerts("sent"))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, rdb.Failed("list alerts", err)
	}
	list := make([]medispatcher.Firing, 0, len(firing.Val()))
	for key, text := range firing.Val() {
		if f, ok := readFiring(text); ok {
			f.Last = unixMilli(sent.Val()[key])
			list = append(list, f)
		}
	}
	return list, nil
}

// readFiring reads "<since> <notices> <id> <alert>". What somebody else wrote there is no alert.
func readFiring(text string) (f medispatcher.Firing, ok bool) {
	parts := strings.SplitN(text, " ", 4)
	if len(parts) != 4 || json.Unmarshal([]byte(parts[3]), &f.Alert) != nil {
		return f, false
	}
	f.Since = unixMilli(parts[0])
	f.Notices, _ = strconv.Atoi(parts[1])
	return f, true
}

func unixMilli(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// ForgetNotices removes the times of notices that throttle nothing any more.
func (s *Store) ForgetNotices(ctx context.Context, now time.Time) error {
	sent, err := s.db.Client.HGetAll(ctx, s.keys.Alerts("sent")).Result()
	if err != nil {
		return rdb.Failed("forget notices", err)
	}
	var old []string
	for key, at := range sent {
		if now.Sub(unixMilli(at)) > sentKept {
			old = append(old, key)
		}
	}
	if len(old) == 0 {
		return nil
	}
	return rdb.Failed("forget notices", s.db.Client.HDel(ctx, s.keys.Alerts("sent"), old...).Err())
}

// Alerts is what fires, a thousand at most, and the last hundred notices, the newest first.
func (s *Store) Alerts(ctx context.Context) (medispatcher.Alerts, error) {
	all := medispatcher.Alerts{Last: []medispatcher.Notice{}}
	var err error
	if err = s.db.Hear(ctx); err != nil {
		return all, err
	}
	if all.Firing, err = s.FiringAlerts(ctx); err != nil {
		return all, err
	}
	for i := range all.Firing {
		f := &all.Firing[i]
		f.Since, f.Last = s.db.ShownTime(f.Since), s.db.ShownTime(f.Last)
	}
	all.FiringCount = len(all.Firing)
	slices.SortFunc(all.Firing, func(a, b medispatcher.Firing) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Key(), b.Key()))
	})
	all.Firing = all.Firing[:min(len(all.Firing), maxListed)]
	pipe := s.db.Client.Pipeline()
	history := pipe.LRange(ctx, s.keys.Alerts("history"), 0, maxHistory-1)
	outcomes := pipe.HGetAll(ctx, s.keys.Alerts("outcomes"))
	waiting := pipe.HLen(ctx, s.keys.Alerts("outbox"))
	if _, err := pipe.Exec(ctx); err != nil {
		return all, rdb.Failed("list notices", err)
	}
	all.Waiting = waiting.Val()
	for _, text := range history.Val() {
		id, rest, _ := strings.Cut(text, " ")
		if n, ok := readNotice(id, rest); ok {
			n.Since, n.At = s.db.ShownTime(n.Since), s.db.ShownTime(n.At)
			n.Outcome = outcomes.Val()[id]
			all.Last = append(all.Last, n)
		}
	}
	return all, nil
}

// readNotice reads "<kind> <since> <at> <after> <alert>".
func readNotice(id, text string) (n medispatcher.Notice, ok bool) {
	parts := strings.SplitN(text, " ", 5)
	if len(parts) != 5 || json.Unmarshal([]byte(parts[4]), &n.Alert) != nil {
		return n, false
	}
	n.ID, _ = strconv.ParseInt(id, 10, 64)
	n.Kind, n.Since, n.At = parts[0], unixMilli(parts[1]), unixMilli(parts[2])
	return n, true
}
