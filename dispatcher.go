package medispatcher

import "time"

// Dispatcher describes one running dispatcher.
type Dispatcher struct {
	ID       string `json:"id"`
	Host     string `json:"host"`
	PID      int    `json:"pid"`
	Version  string `json:"version"`
	Env      string `json:"env,omitempty"`
	Copies   int    `json:"copies,omitempty"`   // newest layout of a channel's copies that it reads; 0 is the first
	Active   bool   `json:"active,omitempty"`   // it keeps the active sets; earlier versions do not
	Lines    bool   `json:"lines,omitempty"`    // it keeps messages of a key in order; earlier versions do not
	Doorbell string `json:"doorbell,omitempty"` // pub/sub channel on which others ring it; versions before doorbells have none
	// Partitions is how many it works on, and Spread how many of them it spreads new messages over. Earlier versions say neither.
	Partitions int           `json:"partitions,omitempty"`
	Spread     int           `json:"spread,omitempty"`
	Started    time.Time     `json:"started"`
	DeadAfter  time.Duration `json:"dead_after_ns"`
	Heartbeat  time.Time     `json:"heartbeat"`
	Alive      bool          `json:"alive"`
	// Division is among whom it divides the limits of subscriptions whose scope is the cluster, and Over those of them, MaxHeld at
	// most, of which it has more in flight than its share; AllOver if there are more of them. Leaving: it takes nothing more.
	// Earlier versions say none of these.
	Division string   `json:"division,omitempty"`
	Over     []string `json:"over,omitempty"`
	AllOver  bool     `json:"all_over,omitempty"`
	Leaving  bool     `json:"leaving,omitempty"`
	// Retention is how long it keeps messages in the archive; 0: it keeps none, or its version is an earlier one.
	Retention time.Duration `json:"retention_ns,omitempty"`
	// Held are the open breakers of this dispatcher, the oldest first, MaxHeld at most.
	// HeldTotal counts all of them.
	Held      []Breaker `json:"held,omitempty"`
	HeldTotal int       `json:"held_total,omitempty"`
	// Short is what its machine lacked for an attempt within the last minute, such as "file descriptors".
	Short string `json:"short,omitempty"`
	// LogProblem is why this dispatcher cannot write a log; empty when it can.
	LogProblem string `json:"log_problem,omitempty"`
}

// Undivided is the Division of a dispatcher that has not heard of the others yet. It has no shares.
const Undivided = "-"

// Shares reports whether others leave a share of limits to it while it is alive.
func (d *Dispatcher) Shares() bool {
	return !d.Leaving && d.Division != Undivided && d.Version != ""
}

// SharesNothing reports whether it is of an earlier version, which knows nothing of shares: it has the whole of each limit.
func (d *Dispatcher) SharesNothing() bool { return d.Version != "" && d.Division == "" }

// MaxHeld bounds the lists of subscriptions that a dispatcher publishes, its open breakers among them: every other
// dispatcher reads them several times a second.
const MaxHeld = 200

// Breaker is an open breaker: a dispatcher pushes nothing to the subscription.
type Breaker struct {
	Subscription string    `json:"subscription"`
	Since        time.Time `json:"since"`
}

// PartitionHeld is what one partition holds, in messages.
type PartitionHeld struct {
	Partition  int   `json:"partition"`
	Incoming   int64 `json:"incoming"`
	Delayed    int64 `json:"delayed"`
	Messages   int64 `json:"messages"` // in channels, READY and BURIED
	Dead       int64 `json:"dead"`
	Unrouted   int64 `json:"unrouted"`
	Quarantine int64 `json:"quarantine"`
}

// Empty reports whether it holds nothing.
func (h *PartitionHeld) Empty() bool {
	return h.Incoming+h.Delayed+h.Messages+h.Dead+h.Unrouted+h.Quarantine == 0
}

// Spreads are over how many partitions the living dispatchers spread new messages, each number once, with one dispatcher
// that does so. Those of earlier versions do not say.
func Spreads(all []Dispatcher) map[int]string {
	by := map[int]string{}
	for _, d := range all {
		if d.Alive && d.Spread > 0 {
			by[d.Spread] = d.ID
		}
	}
	return by
}
