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

// Failing is a message that failed at least once and waits for its next attempt.
type Failing struct {
	Partition int       `json:"partition"`
	Entry     string    `json:"entry"` // id in its channel
	ID        string    `json:"id"`    // of the message; empty: it was settled while this was read
	Topic     string    `json:"topic"`
	Due       time.Time `json:"due"` // when its next attempt may begin
	Failure   *Failure  `json:"failure"`
}
