package medispatcher

import "time"

// Place is where a message, or one subscription's copy of it, is now.
type Place struct {
	State        State      `json:"state"`
	Subscription string     `json:"subscription,omitempty"` // whose copy it is; empty for the message itself
	At           string     `json:"at,omitempty"`           // names this place, see Ref
	Partition    int        `json:"partition"`
	Entry        string     `json:"entry"`                // id in its stream
	Attempt      int        `json:"attempt,omitempty"`    // of a BURIED copy: under way, or the next
	Dispatcher   string     `json:"dispatcher,omitempty"` // that is working on it
	Due          *time.Time `json:"due,omitempty"`        // the next attempt, or the end of the delay
	Failure      *Failure   `json:"failure,omitempty"`
	Kept         string     `json:"kept,omitempty"`   // of a kept message: its id for showing, replaying and purging
	Since        *time.Time `json:"since,omitempty"`  // when it got there
	Reason       string     `json:"reason,omitempty"` // why it is there
}

// Event is a thing that happened to a message.
type Event struct {
	Time          time.Time `json:"time"`
	What          string    `json:"what"`                    // copied, filtered, unroutable, duplicate, quarantined, delayed, or the outcome of an attempt
	Subscriptions []string  `json:"subscriptions,omitempty"` // that got a copy
	Filtered      []string  `json:"filtered,omitempty"`      // whose filters refused it, the first hundred
	Subscription  string    `json:"subscription,omitempty"`  // of an attempt
	Attempt       int       `json:"attempt,omitempty"`
	Target        string    `json:"target,omitempty"`
	Error         string    `json:"error,omitempty"`
	TookMS        float64   `json:"took_ms,omitempty"`
	Dispatcher    string    `json:"dispatcher,omitempty"`
}

// Story is what is known of one message: its places and its events.
type Story struct {
	ID     string  `json:"id"`
	Topic  string  `json:"topic,omitempty"`
	Places []Place `json:"places"` // where it is in Redis
	Events []Event `json:"events"` // kept by MEDIS_HISTORY, oldest first
	// Searched is false when a stream was too long to be searched to its end: the message may have
	// places that are not listed.
	Searched bool `json:"searched"`
}

// NotFound says why nothing may be known of a message.
func (s Story) NotFound() string {
	if !s.Searched {
		return "it may still wait in a stream that is too long to be searched to its end; MEDIS_HISTORY keeps what happens to messages"
	}
	return "every subscription has it, it was purged, or it never existed; MEDIS_HISTORY keeps what happens to messages"
}
