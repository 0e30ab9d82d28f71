package medispatcher

import "time"

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
	State    string `json:"state"`             // Active, Paused or BreakerOpen
	Ready    int64  `json:"ready"`             // includes Waiting
	Waiting  int64  `json:"waiting,omitempty"` // behind others of their key, in an ordered subscription
	Buried   int64  `json:"buried"`            // includes Retrying
	Retrying int64  `json:"retrying"`
	Dead     int64  `json:"dead"`
	OldestMS int64  `json:"oldest_ms"` // age of the oldest message that is not settled; 0: there is none
	// Shares are what the dispatchers that run may have in flight, where the limits hold in all of them together. One that is not
	// listed takes nothing.
	Shares []Share `json:"shares,omitempty"`
	// HeldBy are the dispatchers whose breaker for the subscription is open.
	HeldBy []Holder `json:"held_by,omitempty"`
}

// Share is how many pushes and retries of a subscription a dispatcher may have in flight.
type Share struct {
	Dispatcher string `json:"dispatcher"`
	Pushes     int    `json:"pushes"`
	Retries    int    `json:"retries"`
}

// Holder is a dispatcher whose breaker for a subscription is open.
type Holder struct {
	Dispatcher string    `json:"dispatcher"`
	Since      time.Time `json:"since"`
}

// IncomingStatus counts the messages before their fan-out, over all partitions.
type IncomingStatus struct {
	Ready      int64 `json:"ready"`
	Buried     int64 `json:"buried"`
	Delayed    int64 `json:"delayed"`
	Quarantine int64 `json:"quarantine"` // kept, because they could not be decoded
	Unrouted   int64 `json:"unrouted"`   // kept, because no subscription wanted them
	OldestMS   int64 `json:"oldest_ms"`
	// Archive is what is kept of accepted messages; nil: nothing is.
	Archive *ArchiveSpan `json:"archive,omitempty"`
}

// Status is the state of the whole system at one moment.
type Status struct {
	Incoming      IncomingStatus  `json:"incoming"`
	Totals        StatusTotals    `json:"totals"`
	Subscriptions []ChannelStatus `json:"subscriptions"` // all, or a part
	Dispatchers   []Dispatcher    `json:"dispatchers"`
	Revision      int64           `json:"revision"`
}

// StatusTotals are over all subscriptions, whether they are listed or not.
type StatusTotals struct {
	Subscriptions int   `json:"subscriptions"`
	Ready         int64 `json:"ready"`
	Buried        int64 `json:"buried"` // includes Retrying
	Retrying      int64 `json:"retrying"`
	Dead          int64 `json:"dead"`
	OldestMS      int64 `json:"oldest_ms"`
}

// TotalsOf adds up subscriptions.
func TotalsOf(list []ChannelStatus) StatusTotals {
	t := StatusTotals{Subscriptions: len(list)}
	for i := range list {
		c := &list[i]
		t.Ready, t.Buried, t.Retrying, t.Dead = t.Ready+c.Ready, t.Buried+c.Buried, t.Retrying+c.Retrying, t.Dead+c.Dead
		t.OldestMS = max(t.OldestMS, c.OldestMS)
	}
	return t
}

// Failing is a message that failed at least once and waits for its next attempt.
type Failing struct {
	Partition int       `json:"partition"`
	Entry     string    `json:"entry"` // id in its channel
	ID        string    `json:"id"`    // of the message; empty when it was settled meanwhile
	Topic     string    `json:"topic"`
	Key       string    `json:"key,omitempty"`
	Behind    int64     `json:"behind"` // messages of its key that wait for it, in an ordered subscription
	Due       time.Time `json:"due"`    // when its next attempt is due
	Failure   *Failure  `json:"failure"`
}
