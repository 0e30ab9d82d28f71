package alert

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
)

// Ledger is what all dispatchers know of alerts together; package streams has the real one.
type Ledger interface {
	// RaiseAlert notes that a rule fires. queued: there is a notice to be sent; dropped: there is
	// one and too many wait.
	RaiseAlert(ctx context.Context, a medispatcher.Alert, every time.Duration, causes []string, once bool) (queued, dropped bool, err error)
	// ResolveAlert notes that it is over.
	ResolveAlert(ctx context.Context, a medispatcher.Alert, quiet bool) (queued bool, err error)
	// FiringAlerts lists what fires.
	FiringAlerts(ctx context.Context) ([]medispatcher.Firing, error)
}

// Lead is how one dispatcher of many comes to evaluate the rules.
type Lead interface {
	// LeadAlerts asks for it. now is the clock that all dispatchers share, revision changes
	// with what fires.
	LeadAlerts(ctx context.Context, lease time.Duration) (leads bool, now time.Time, revision int64, err error)
	UnleadAlerts(ctx context.Context) error
	// ForgetNotices removes times of notices that throttle nothing any more.
	ForgetNotices(ctx context.Context, now time.Time) error
}

// Counts is what the rules look at.
type Counts interface {
	// Lengths counts all messages in channels, in the order of subs.
	Lengths(ctx context.Context, subs []string) ([]int64, error)
	ChannelStatus(ctx context.Context, subs []string) ([]medispatcher.ChannelStatus, error)
	// CountedWithin sums counts such as "failed" over a window, in the order of subs.
	CountedWithin(ctx context.Context, what string, window time.Duration, subs []string) ([]int64, error)
	// CountedSums are counts of no subscription over a window, such as "unroutable:" or "quarantined".
	CountedSums(ctx context.Context, window time.Duration, what ...string) ([]int64, error)
}

// System is what the rules that belong to no subscription look at.
type System interface {
	IncomingStatus(ctx context.Context) (medispatcher.IncomingStatus, error)
	Dispatchers(ctx context.Context) ([]medispatcher.Dispatcher, error)
	// Memory is what Redis uses and may use, in bytes; limit 0: there is none.
	Memory(ctx context.Context) (used, limit int64, err error)
	ListKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.KeptQuery) ([]medispatcher.Kept, error)
}

// Causes is what keeps alerts firing that nobody can count.
type Causes interface {
	// AlertCauses counts what is left of them, by key of the alert.
	AlertCauses(ctx context.Context, alerts []medispatcher.Alert) (map[string]int64, error)
	// HoldCause says that a cause goes on, and lists the alerts that do not know of it.
	HoldCause(ctx context.Context, alerts []medispatcher.Alert, cause string) (unknown []medispatcher.Alert, err error)
	EndCause(ctx context.Context, a medispatcher.Alert, cause string) error
}

// Store is all of it.
type Store interface {
	Ledger
	Lead
	Counts
	System
	Causes
}
