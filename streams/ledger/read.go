package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// FiringAlerts lists the alerts that fire, in no order, with times by the shared clock.
func (l *Ledger) FiringAlerts(ctx context.Context) ([]medispatcher.Firing, error) {
	pipe := l.db.Pipe(ctx)
	firing, sent := rdb.Map(pipe, "HGETALL", l.keys.Alerts("firing")), rdb.Map(pipe, "HGETALL", l.keys.Alerts("sent"))
	if err := pipe.Run(); err != nil {
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

// readFiring reads "<since> <notices> <id> <alert>". ok is false for a text of any other form.
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

// ForgetNotices removes the times of notices that are too old to hold back another notice.
func (l *Ledger) ForgetNotices(ctx context.Context, now time.Time) error {
	sent, err := rdb.Map(l.db.With(ctx), "HGETALL", l.keys.Alerts("sent")).Result()
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
	return rdb.Failed("forget notices", rdb.Int(l.db.With(ctx), rdb.Cmd("HDEL", l.keys.Alerts("sent"), old...)...).Err())
}

// Alerts lists the alerts that fire, a thousand at most, and the last hundred notices, newest first.
func (l *Ledger) Alerts(ctx context.Context) (medispatcher.Alerts, error) {
	all := medispatcher.Alerts{Last: []medispatcher.Notice{}}
	var err error
	if err = l.db.Hear(ctx); err != nil {
		return all, err
	}
	if all.Firing, err = l.FiringAlerts(ctx); err != nil {
		return all, err
	}
	for i := range all.Firing {
		f := &all.Firing[i]
		f.Since, f.Last = l.db.ShownTime(f.Since), l.db.ShownTime(f.Last)
	}
	all.FiringCount = len(all.Firing)
	slices.SortFunc(all.Firing, func(a, b medispatcher.Firing) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Key(), b.Key()))
	})
	all.Firing = all.Firing[:min(len(all.Firing), maxListed)]
	pipe := l.db.Pipe(ctx)
	history := rdb.Texts(pipe, "LRANGE", l.keys.Alerts("history"), 0, maxHistory-1)
	outcomes := rdb.Map(pipe, "HGETALL", l.keys.Alerts("outcomes"))
	waiting := rdb.Int(pipe, "HLEN", l.keys.Alerts("outbox"))
	if err := pipe.Run(); err != nil {
		return all, rdb.Failed("list notices", err)
	}
	all.Waiting = waiting.Val()
	for _, text := range history.Val() {
		id, rest, _ := strings.Cut(text, " ")
		if n, ok := readNotice(id, rest); ok {
			n.Since, n.At = l.db.ShownTime(n.Since), l.db.ShownTime(n.At)
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
