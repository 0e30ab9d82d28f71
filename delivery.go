package medispatcher

import "time"

// Channel names one subscription's stream in one partition.
type Channel struct {
	Partition    int
	Subscription string
}

// Want asks for at most Max messages of a channel.
type Want struct {
	Channel
	Max int
}

// Delivery is one message handed to a push worker: BURIED and owned by this dispatcher.
type Delivery struct {
	Channel
	EntryID string
	Attempt int // 1, 2, …; an attempt whose outcome nobody knows repeats its number
	Message Message
	Failure *Failure    // nil before the first failure
	Broken  *PanicError // reading the entry panicked: it cannot be sent
}

// Failure is the record of a message that failed at least once.
type Failure struct {
	Attempts   int       `json:"attempts"`
	FirstError string    `json:"first_error"`
	LastError  string    `json:"last_error"`
	FirstAt    time.Time `json:"first_at"`
	LastAt     time.Time `json:"last_at"`
	Target     string    `json:"target"` // URL of the last attempt, without userinfo
}

// Settlement is what became of a delivery.
type Settlement struct {
	Channel
	EntryID  string
	Outcome  Outcome
	Attempt  int           // the attempt that ended
	Took     time.Duration // it waited so long for its answer
	Target   string        // URL that was asked, without userinfo
	Delay    time.Duration // until the next attempt, with Failed
	Failure  *Failure      // of an attempt that failed; nil with Dropped: no URL qualified
	Panicked bool          // the attempt failed by a panic of ours: not a failure of the subscriber
	Message  *Message      // whose outcome it is, for telling of an outcome that Redis does not take
	By       *Subscription // as it was when the attempt began: what the outcome was decided by; nil: none was made
}

// Outcome classifies how a delivery ended.
type Outcome int

// The outcomes of a delivery.
const (
	Sent      Outcome = iota // → DELETED, counted as sent
	Failed                   // → BURIED, retrying after Delay
	Exhausted                // → DEAD
	Dropped                  // → DELETED by policy, counted as dropped
	Released                 // → BURIED, retrying now, the attempt not counted
)

func (o Outcome) String() string {
	return [...]string{"sent", "failed", "dead", "dropped", "released"}[o]
}

// Waiting is a channel with something in it.
type Waiting struct {
	Channel
	DueIn time.Duration // until the first of its retrying messages is due; negative: none
}

// Owned says who owns what in a channel.
type Owned struct {
	Length  int64            // entries in the stream
	Pending map[string]int64 // pending entries of each consumer, those with none included
	Err     error            // the channel cannot be looked at; other channels can
}

// Dispatcher describes one running dispatcher.
type Dispatcher struct {
	ID        string        `json:"id"`
	Host      string        `json:"host"`
	PID       int           `json:"pid"`
	Version   string        `json:"version"`
	Env       string        `json:"env,omitempty"`
	Started   time.Time     `json:"started"`
	DeadAfter time.Duration `json:"dead_after_ns"`
	Heartbeat time.Time     `json:"heartbeat"`
	Alive     bool          `json:"alive"`
	// Held are the breakers that are open in this dispatcher, the oldest first. The list is
	// cut at MaxHeld; HeldTotal is how many there are.
	Held      []Breaker `json:"held,omitempty"`
	HeldTotal int       `json:"held_total,omitempty"`
	// Short is what its machine lacked for attempts within the last minute, such as "file descriptors".
	Short string `json:"short,omitempty"`
	// LogProblem is why this dispatcher cannot write a log now; empty: it can.
	LogProblem string `json:"log_problem,omitempty"`
}

// MaxHeld bounds the list of open breakers that a dispatcher tells of: every other
// dispatcher reads it several times a second.
const MaxHeld = 200

// Breaker is an open one: a dispatcher holds back what it would push to a subscription.
type Breaker struct {
	Subscription string    `json:"subscription"`
	Since        time.Time `json:"since"`
}

// The states of a subscription.
const (
	Active      = "active"
	Paused      = "paused"
	BreakerOpen = "breaker_open" // in at least one dispatcher
)

// ChannelStatus counts the messages of a subscription, over all partitions.
type ChannelStatus struct {
	ID       string `json:"id"`
	Topic    string `json:"topic"`
	State    string `json:"state"` // Active, Paused or BreakerOpen
	Ready    int64  `json:"ready"`
	Buried   int64  `json:"buried"` // includes Retrying
	Retrying int64  `json:"retrying"`
	Dead     int64  `json:"dead"`
	OldestMS int64  `json:"oldest_ms"` // age of the oldest message not settled; 0: none
	// HeldBy are the dispatchers whose breaker for the subscription is open.
	HeldBy []Holder `json:"held_by,omitempty"`
}

// Holder is a dispatcher that holds a subscription's messages back.
type Holder struct {
	Dispatcher string    `json:"dispatcher"`
	Since      time.Time `json:"since"`
}

// IncomingStatus counts the messages before their fan-out, over all partitions.
type IncomingStatus struct {
	Ready      int64 `json:"ready"`
	Buried     int64 `json:"buried"`
	Delayed    int64 `json:"delayed"`
	Quarantine int64 `json:"quarantine"` // kept: they could not be decoded
	Unrouted   int64 `json:"unrouted"`   // kept: no subscription wanted them
	OldestMS   int64 `json:"oldest_ms"`
}

// Status is the state of the whole system at one moment.
type Status struct {
	Incoming      IncomingStatus  `json:"incoming"`
	Subscriptions []ChannelStatus `json:"subscriptions"`
	Dispatchers   []Dispatcher    `json:"dispatchers"`
	Revision      int64           `json:"revision"`
}

// DeadLetter is a message whose attempts are exhausted, kept whole.
type DeadLetter struct {
	ID      string // "<partition>-<entry id>", for showing, replaying and purging
	Died    time.Time
	Message Message
	Failure *Failure
}
