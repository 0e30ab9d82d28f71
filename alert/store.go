package alert

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
)

// Ledger is what all dispatchers know of alerts together.
type Ledger interface {
	// RaiseAlert writes that an alert fires. queued: there is a notice to send. dropped: there is a
	// notice that will not be sent, because too many wait.
	RaiseAlert(ctx context.Context, a medispatcher.Alert, every time.Duration, causes []string, once bool) (queued, dropped bool, err error)
	// ResolveAlert writes that an alert is over. quiet: without a notice.
	ResolveAlert(ctx context.Context, a medispatcher.Alert, quiet bool) (queued bool, err error)
	// FiringAlerts lists the alerts that fire.
	FiringAlerts(ctx context.Context) ([]medispatcher.Firing, error)
}

// Lead elects the one dispatcher that evaluates the rules.
type Lead interface {
	// LeadAlerts asks for the lead, or renews it. now is by the clock that all dispatchers share; revision
	// changes whenever an alert does.
	LeadAlerts(ctx context.Context, lease time.Duration) (leads bool, now time.Time, revision int64, err error)
	UnleadAlerts(ctx context.Context) error
	// ForgetNotices removes the times of notices that are too old to hold back another one.
	ForgetNotices(ctx context.Context, now time.Time) error
}

// Counts is what the rules about subscriptions compare.
type Counts interface {
	// Lengths returns the lengths of channels, in the order of subs.
	Lengths(ctx context.Context, subs []string) ([]int64, error)
	ChannelStatus(ctx context.Context, subs []string) ([]medispatcher.ChannelStatus, error)
	// CountedWithin sums counts such as "failed" over a window, in the order of subs.
	CountedWithin(ctx context.Context, what string, window time.Duration, subs []string) ([]int64, error)
	// CountedSums sums counts of the whole over a window, such as "unroutable:" or "quarantined".
	CountedSums(ctx context.Context, window time.Duration, what ...string) ([]int64, error)
}

// System is what the other rules compare.
type System interface {
	// IncomingWaiting counts the messages before their fan-out, without those that are delayed or kept.
	IncomingWaiting(ctx context.Context) (medispatcher.IncomingStatus, error)
	Dispatchers(ctx context.Context) ([]medispatcher.Dispatcher, error)
	// Memory is what Redis uses and what it may use, in bytes; limit 0: as much as there is.
	Memory(ctx context.Context) (used, limit int64, err error)
	ListKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.KeptQuery) ([]medispatcher.Kept, error)
}

// Causes keeps alerts firing that have no value to compare.
type Causes interface {
	// AlertCauses counts the causes that alerts have left, by key of the alert.
	AlertCauses(ctx context.Context, alerts []medispatcher.Alert) (map[string]int64, error)
	// HoldCause repeats that cause is one of the causes of alerts. unknown are those that do not have it.
	HoldCause(ctx context.Context, alerts []medispatcher.Alert, cause string) (unknown []medispatcher.Alert, err error)
	EndCause(ctx context.Context, a medispatcher.Alert, cause string) error
}

// Store is all that the Monitor and Events need of Redis; package streams implements it.
type Store interface {
	Ledger
	Lead
	Counts
	System
	Causes
}
