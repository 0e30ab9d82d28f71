package ledger

import (
	"context"
	"time"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// leadScript makes the caller the leader, the one dispatcher that evaluates the rules of alerts.
//
// KEYS leader, counter. ARGV dispatcher, ms to hold, now in ms. Returns {1 or 0, counter}.
//
// The lease ends by the shared clock. The expiry of the key is only housekeeping: it comes too late
// if the clock of Redis is set back. Safe to repeat: the leader stays the leader. DEL comes first
// because Redis allows it when memory is full, and then allows SET too: a full Redis deserves an alert.
var leadScript = rdb.NewScript(`
local count = redis.call('GET', KEYS[2]) or '0'
local leader = redis.call('GET', KEYS[1])
local who, ends = string.match(leader or '', '^(%S*) ?(%d*)$')
if leader and who ~= ARGV[1] and (tonumber(ends) or math.huge) > tonumber(ARGV[3]) then return {0, count} end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. string.format('%.0f', ARGV[3] + ARGV[2]), 'PX', ARGV[2])
return {1, count}
`)

// LeadAlerts asks to be the one dispatcher that evaluates the rules, for the time of a lease. now is
// by the shared clock. revision changes whenever an alert is raised or ends.
func (l *Ledger) LeadAlerts(ctx context.Context, lease time.Duration) (leads bool, now time.Time, revision int64, err error) {
	if now, err = l.db.SharedNow(ctx); err != nil {
		return false, now, 0, err
	}
	k := []string{l.keys.Alerts("leader"), l.keys.Alerts("counter")}
	res, err := leadScript.Run(ctx, l.db, k, l.cfg.ID, lease.Milliseconds(), now.UnixMilli()).Slice()
	if err != nil {
		return false, now, 0, rdb.Failed("lead alerts", err)
	}
	if len(res) != 2 {
		return false, now, 0, rdb.Unreadable("lead alerts", res)
	}
	return rdb.ToInt(res[0]) == 1, now, int64(rdb.ToInt(res[1])), nil
}

// unleadScript ends a lease before its time. KEYS leader. ARGV dispatcher. Safe to repeat.
var unleadScript = rdb.NewScript(`
local leader = redis.call('GET', KEYS[1])
if leader and string.match(leader, '^%S*') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`)

// UnleadAlerts ends the lease, so that another dispatcher can evaluate the rules.
func (l *Ledger) UnleadAlerts(ctx context.Context) error {
	return rdb.Failed("end leading alerts", unleadScript.Run(ctx, l.db, []string{l.keys.Alerts("leader")}, l.cfg.ID).Err())
}
