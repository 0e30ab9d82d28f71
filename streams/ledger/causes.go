package ledger

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Causes keep an alert firing: messages that fail, and dispatchers whose breaker is open. Only a look
// at Redis tells when a cause has ended, because any dispatcher may deliver the message, and a
// dispatcher may die. A message is named by its partition and entry, a dispatcher by its id.

// MessageCause names a message as the cause of an alert.
func MessageCause(p int, entryID string) string { return strconv.Itoa(p) + " " + entryID }

// AlertCauses counts the causes of alerts, by key of the alert, and forgets those that have ended. A
// message has ended if it failed some seconds ago and has no failure record now: it was delivered,
// dead-lettered or purged. A dispatcher has ended if it has not renewed its cause for some time.
func (l *Ledger) AlertCauses(ctx context.Context, alerts []medispatcher.Alert) (map[string]int64, error) {
	left := make(map[string]int64, len(alerts))
	if len(alerts) == 0 {
		return left, nil
	}
	shared, err := l.db.SharedNow(ctx)
	if err != nil {
		return nil, err
	}
	pipe := l.db.Pipe(ctx)
	lists := make([]*rdb.Reply[[]rdb.Score], len(alerts))
	for i := range alerts {
		lists[i] = rdb.Scores(pipe, "ZRANGE", l.keys.Alerts("causes:"+alerts[i].Key()), 0, -1, "WITHSCORES")
	}
	if err := pipe.Run(); err != nil {
		return nil, rdb.Failed("read the causes of alerts", err)
	}
	now := float64(shared.UnixMilli())
	type doubt struct {
		key, cause string
		failing    *rdb.Reply[bool]
	}
	var doubts []doubt
	gone := map[string][]string{}
	pipe = l.db.Pipe(ctx)
	for i := range alerts {
		key := alerts[i].Key()
		for _, z := range lists[i].Val() {
			cause := z.Member
			left[key]++
			switch age := now - z.Score; {
			case alerts[i].Rule != medispatcher.RuleMessageFailures:
				if age > float64(causeHeld.Milliseconds()) {
					gone[key] = append(gone[key], cause)
				}
			case age > float64(causeSettle.Milliseconds()):
				p, entry, _ := strings.Cut(cause, " ")
				partition, _ := strconv.Atoi(p)
				doubts = append(doubts, doubt{key, cause, rdb.Bool(pipe, "HEXISTS", l.keys.Failures(partition, alerts[i].Subscription), entry)})
			}
		}
	}
	if len(doubts) > 0 {
		if err := pipe.Run(); err != nil && !rdb.IsWrongType(err) {
			return nil, rdb.Failed("check failing messages", err)
		}
		for _, d := range doubts {
			if !d.failing.Val() {
				gone[d.key] = append(gone[d.key], d.cause)
			}
		}
	}
	return left, l.dropCauses(ctx, gone, left)
}

func (l *Ledger) dropCauses(ctx context.Context, gone map[string][]string, left map[string]int64) error {
	if len(gone) == 0 {
		return nil
	}
	pipe := l.db.Pipe(ctx)
	for key, causes := range gone {
		rdb.Int(pipe, rdb.Cmd("ZREM", l.keys.Alerts("causes:"+key), causes...)...)
		left[key] -= int64(len(causes))
	}
	err := pipe.Run()
	return rdb.Failed("forget causes of alerts", err)
}

// holdScript renews a cause. KEYS causes of alerts. ARGV cause, now in ms.
// Returns for each alert 1 if it has the cause, else 0. Safe to repeat. ZREM comes first because
// Redis allows it when memory is full, and then allows ZADD too. ZADD tells only of a time that is another one.
var holdScript = rdb.NewScript(`
local now = tonumber(ARGV[2])
redis.call('ZREM', KEYS[1], '')
local out = {}
for i, key in ipairs(KEYS) do
  out[i] = redis.call('ZADD', key, 'XX', 'CH', now, ARGV[1])
  if out[i] == 0 and redis.call('ZSCORE', key, ARGV[1]) then out[i] = 1 end
end
return out
`)

// HoldCause renews this process's cause of alerts. It lists the alerts that do not have the cause,
// because they ended or Redis lost them: the caller raises those again.
func (l *Ledger) HoldCause(ctx context.Context, alerts []medispatcher.Alert, cause string) (unknown []medispatcher.Alert, err error) {
	now, err := l.db.SharedNow(ctx)
	if err != nil {
		return nil, err
	}
	for chunk := range slices.Chunk(alerts, rdb.SweepChunk) {
		k := make([]string, len(chunk))
		for i := range chunk {
			k[i] = l.keys.Alerts("causes:" + chunk[i].Key())
		}
		known, err := holdScript.Run(ctx, l.db, k, cause, now.UnixMilli()).Int64Slice()
		if err != nil {
			return nil, rdb.Failed("hold alerts", err)
		}
		for i := range chunk {
			if i >= len(known) || known[i] == 0 {
				unknown = append(unknown, chunk[i])
			}
		}
	}
	return unknown, nil
}

// EndCause removes a cause of an alert.
func (l *Ledger) EndCause(ctx context.Context, a medispatcher.Alert, cause string) error {
	return rdb.Failed("end the cause of an alert", rdb.Int(l.db.With(ctx), "ZREM", l.keys.Alerts("causes:"+a.Key()), cause).Err())
}
