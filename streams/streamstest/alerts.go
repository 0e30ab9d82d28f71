package streamstest

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
)

// Ledger keeps the state of alerts in memory. It uses the clock of this process, which tests may
// fake. ConformAlerts runs the same cases on it and on package ledger.
type Ledger struct {
	ID string // the dispatcher that uses it

	*alertState
}

type alertState struct {
	mu       sync.Mutex
	leader   string
	until    time.Time
	counter  int64
	firing   map[string]*medispatcher.Firing
	last     map[string]int64 // key → id of the last notice
	sent     map[string]time.Time
	seen     map[string]bool
	causes   map[string]map[string]time.Time
	outbox   map[int64]*waiting
	history  []medispatcher.Notice
	outcomes map[int64]string

	// The input of the rules, set by tests.
	Channels map[string]medispatcher.ChannelStatus
	Counted  map[string]int64 // "failed:s", "sent:"
	In       medispatcher.IncomingStatus
	Kept     map[medispatcher.KeptPlace]medispatcher.Kept // the newest
	List     []medispatcher.Dispatcher
	Used     int64
	Limit    int64
	Failing  map[string]bool // causes of messages that still fail
	Err      error           // of LeadAlerts and Lengths
	Blind    error           // of Memory
}

type waiting struct {
	notice medispatcher.Notice
	after  int64
	due    time.Time
	owner  string
}

// NewLedger makes an empty ledger, used by dispatcher "a".
func NewLedger() *Ledger {
	return &Ledger{"a", &alertState{
		firing: map[string]*medispatcher.Firing{}, last: map[string]int64{}, sent: map[string]time.Time{}, seen: map[string]bool{},
		causes: map[string]map[string]time.Time{}, outbox: map[int64]*waiting{}, outcomes: map[int64]string{},
		Channels: map[string]medispatcher.ChannelStatus{}, Counted: map[string]int64{}, Failing: map[string]bool{},
		Kept: map[medispatcher.KeptPlace]medispatcher.Kept{},
	}}
}

// As is the same ledger, used by another dispatcher.
func (l *Ledger) As(id string) *Ledger { return &Ledger{id, l.alertState} }

// Flush clears everything except the input that tests set.
func (l *Ledger) Flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leader, l.counter, l.history = "", 0, nil
	clear(l.firing)
	clear(l.last)
	clear(l.sent)
	clear(l.seen)
	clear(l.causes)
	clear(l.outbox)
	clear(l.outcomes)
}

// Set changes the input of the rules.
func (l *Ledger) Set(change func(l *Ledger)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// LeadAlerts is Store.LeadAlerts.
func (l *Ledger) LeadAlerts(_ context.Context, lease time.Duration) (bool, time.Time, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.leader != "" && l.leader != l.ID && l.until.After(now) {
		return false, now, l.counter, l.Err
	}
	l.leader, l.until = l.ID, now.Add(lease)
	return true, now, l.counter, l.Err
}

// UnleadAlerts is Store.UnleadAlerts.
func (l *Ledger) UnleadAlerts(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leader == l.ID {
		l.leader = ""
	}
	return nil
}

// ForgetNotices is Store.ForgetNotices.
func (l *Ledger) ForgetNotices(context.Context, time.Time) error { return nil }

func (l *alertState) notice(kind string, since time.Time, after int64, a medispatcher.Alert) int64 {
	l.counter++
	n := medispatcher.Notice{ID: l.counter, Kind: kind, Since: since, At: time.Now(), Alert: a}
	l.history = append([]medispatcher.Notice{n}, l.history...)
	l.history = l.history[:min(len(l.history), 100)]
	l.outbox[n.ID] = &waiting{notice: n, after: after, due: n.At}
	return n.ID
}

// RaiseAlert is Store.RaiseAlert.
func (l *Ledger) RaiseAlert(_ context.Context, a medispatcher.Alert, every time.Duration, causes []string, once bool) (queued, dropped bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, now := a.Key(), time.Now()
	if once {
		if l.seen[key+causes[0]] {
			return false, false, nil
		}
		l.seen[key+causes[0]] = true
	} else {
		for _, c := range causes {
			if l.causes[key] == nil {
				l.causes[key] = map[string]time.Time{}
			}
			l.causes[key][c] = now
		}
	}
	f := l.firing[key]
	if f == nil {
		f = &medispatcher.Firing{Since: now}
		l.firing[key] = f
	}
	f.Alert = a
	if before, ok := l.sent[key]; ok && now.Sub(before) < every {
		l.counter++
		return false, false, nil
	}
	kind := medispatcher.NoticeAlert
	if f.Notices > 0 {
		kind = medispatcher.NoticeReminder
	}
	l.last[key] = l.notice(kind, f.Since, 0, a)
	l.sent[key] = now
	f.Notices++
	return true, false, nil
}

// ResolveAlert is Store.ResolveAlert.
func (l *Ledger) ResolveAlert(_ context.Context, a medispatcher.Alert, quiet bool) (queued bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.firing[a.Key()]
	if f == nil {
		return false, nil
	}
	delete(l.firing, a.Key())
	delete(l.causes, a.Key())
	if f.Notices == 0 || quiet {
		l.counter++
		return false, nil
	}
	l.notice(medispatcher.NoticeRecovered, f.Since, l.last[a.Key()], a)
	return true, nil
}

// FiringAlerts is Store.FiringAlerts.
func (l *Ledger) FiringAlerts(context.Context) ([]medispatcher.Firing, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []medispatcher.Firing
	for key, f := range l.firing {
		shown := *f
		shown.Last = l.sent[key]
		list = append(list, shown)
	}
	return list, nil
}

// Alerts is Store.Alerts.
func (l *Ledger) Alerts(ctx context.Context) (medispatcher.Alerts, error) {
	all := medispatcher.Alerts{Waiting: int64(len(l.outbox))}
	all.Firing, _ = l.FiringAlerts(ctx)
	all.FiringCount = len(all.Firing)
	l.mu.Lock()
	defer l.mu.Unlock()
	all.Last = slices.Clone(l.history)
	for i := range all.Last {
		all.Last[i].Outcome = l.outcomes[all.Last[i].ID]
	}
	return all, nil
}

// AlertCauses is Store.AlertCauses.
func (l *Ledger) AlertCauses(_ context.Context, alerts []medispatcher.Alert) (map[string]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := map[string]int64{}
	for _, a := range alerts {
		for cause, at := range l.causes[a.Key()] {
			age := time.Since(at)
			over := age > 15*time.Second
			if a.Rule == medispatcher.RuleMessageFailures {
				over = age > 5*time.Second && !l.Failing[cause]
			}
			if over {
				delete(l.causes[a.Key()], cause)
				continue
			}
			left[a.Key()]++
		}
	}
	return left, nil
}

// HoldCause is Store.HoldCause.
func (l *Ledger) HoldCause(_ context.Context, alerts []medispatcher.Alert, cause string) (unknown []medispatcher.Alert, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range alerts {
		if _, ok := l.causes[a.Key()][cause]; !ok {
			unknown = append(unknown, a)
			continue
		}
		l.causes[a.Key()][cause] = time.Now()
	}
	return unknown, nil
}

// EndCause is Store.EndCause.
func (l *Ledger) EndCause(_ context.Context, a medispatcher.Alert, cause string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.causes[a.Key()], cause)
	return nil
}

// ClaimNotices is Store.ClaimNotices.
func (l *Ledger) ClaimNotices(_ context.Context, limit int, lease time.Duration) ([]medispatcher.Notice, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []medispatcher.Notice
	ids := make([]int64, 0, len(l.outbox))
	for id := range l.outbox {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		w := l.outbox[id]
		if w.due.After(time.Now()) || l.outbox[w.after] != nil || len(list) == limit {
			continue
		}
		w.owner, w.due = l.ID, time.Now().Add(lease)
		w.notice.Tries++
		n := w.notice
		n.Done = slices.Clone(n.Done)
		list = append(list, n)
	}
	return list, nil
}

// MarkNotice is Store.MarkNotice.
func (l *Ledger) MarkNotice(_ context.Context, id int64, receiver string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.outbox[id]; w != nil && w.owner == l.ID && !slices.Contains(w.notice.Done, receiver) {
		w.notice.Done = append(w.notice.Done, receiver)
	}
	return nil
}

// SettleNotice is Store.SettleNotice.
func (l *Ledger) SettleNotice(_ context.Context, n *medispatcher.Notice, outcome string, unsent bool) (mine bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.outbox[n.ID]
	if w == nil || w.owner != l.ID {
		return false, nil
	}
	delete(l.outbox, n.ID)
	l.outcomes[n.ID] = outcome
	if f := l.firing[n.Key()]; unsent && f != nil && f.Notices == 1 && l.last[n.Key()] == n.ID {
		f.Notices = 0
	}
	return true, nil
}

// PostponeNotice is Store.PostponeNotice.
func (l *Ledger) PostponeNotice(_ context.Context, id int64, delay time.Duration, uncounted bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.outbox[id]; w != nil && w.owner == l.ID {
		w.owner, w.due = "", time.Now().Add(delay)
		if uncounted {
			w.notice.Tries--
		}
	}
	return nil
}

// Lengths is Store.Lengths.
func (l *Ledger) Lengths(_ context.Context, subs []string) ([]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]int64, len(subs))
	for i, id := range subs {
		list[i] = l.Channels[id].Ready + l.Channels[id].Buried
	}
	return list, l.Err
}

// ChannelStatus is Store.ChannelStatus.
func (l *Ledger) ChannelStatus(_ context.Context, subs []string) ([]medispatcher.ChannelStatus, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]medispatcher.ChannelStatus, len(subs))
	for i, id := range subs {
		list[i] = l.Channels[id]
		list[i].ID = id
	}
	return list, nil
}

// CountedWithin is Store.CountedWithin, whatever the window.
func (l *Ledger) CountedWithin(_ context.Context, what string, _ time.Duration, subs []string) ([]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]int64, len(subs))
	for i, id := range subs {
		list[i] = l.Counted[what+":"+id]
	}
	return list, nil
}

// CountedSums is Store.CountedSums.
func (l *Ledger) CountedSums(_ context.Context, _ time.Duration, what ...string) ([]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]int64, len(what))
	for i, field := range what {
		list[i] = l.Counted[field]
	}
	return list, nil
}

// ListKept is Store.ListKept.
func (l *Ledger) ListKept(_ context.Context, place medispatcher.KeptPlace, _ medispatcher.KeptQuery) ([]medispatcher.Kept, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k, there := l.Kept[place]; there {
		return []medispatcher.Kept{k}, nil
	}
	return nil, nil
}

// IncomingWaiting is Store.IncomingStatus.
func (l *Ledger) IncomingWaiting(context.Context) (medispatcher.IncomingStatus, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.In, nil
}

// Dispatchers is Store.Dispatchers.
func (l *Ledger) Dispatchers(context.Context) ([]medispatcher.Dispatcher, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.List), nil
}

// Memory is Store.Memory.
func (l *Ledger) Memory(context.Context) (used, limit int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Used, l.Limit, l.Blind
}

// Told lists the notices so far, the oldest first, one a line: "alert backlog:s 7000".
func (l *Ledger) Told() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for _, n := range slices.Backward(l.history) {
		lines = append(lines, n.Kind+" "+n.Key()+" "+strconv.FormatInt(n.Value, 10))
	}
	return strings.Join(lines, "\n")
}
