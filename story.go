package medispatcher

import "time"

// Place is where a message, or one subscription's copy of it, is now.
type Place struct {
	State        State      `json:"state"`
	Subscription string     `json:"subscription,omitempty"` // empty: the message itself
	Partition    int        `json:"partition"`
	Entry        string     `json:"entry"`                // id in its stream
	Attempt      int        `json:"attempt,omitempty"`    // under way or next, of a BURIED one
	Dispatcher   string     `json:"dispatcher,omitempty"` // that has it in hand
	Due          *time.Time `json:"due,omitempty"`        // the next attempt, or the end of the delay
	Failure      *Failure   `json:"failure,omitempty"`
	Kept         string     `json:"kept,omitempty"`   // its id for showing, replaying and purging, where it is kept
	Since        *time.Time `json:"since,omitempty"`  // when it came there
	Reason       string     `json:"reason,omitempty"` // why it is there
}

// Event is a thing that happened to a message.
type Event struct {
	Time          time.Time `json:"time"`
	What          string    `json:"what"`                    // copied, unroutable, duplicate, quarantined, delayed, or the outcome of an attempt
	Subscriptions []string  `json:"subscriptions,omitempty"` // that it was copied to
	Subscription  string    `json:"subscription,omitempty"`  // whose attempt it was
	Attempt       int       `json:"attempt,omitempty"`
	Target        string    `json:"target,omitempty"`
	Error         string    `json:"error,omitempty"`
	TookMS        float64   `json:"took_ms,omitempty"`
	Dispatcher    string    `json:"dispatcher,omitempty"`
}

// Story is what is known of a message.
type Story struct {
	ID     string  `json:"id"`
	Topic  string  `json:"topic,omitempty"`
	Places []Place `json:"places"` // where it is in Redis
	Events []Event `json:"events"` // what MEDIS_HISTORY kept, the oldest first
	// Searched is false when streams were too long to be searched whole: it may be elsewhere, too.
	Searched bool `json:"searched"`
}

// NotFound says why there may be nothing to tell of a message.
func (s Story) NotFound() string {
	if !s.Searched {
		return "it may still wait in a stream that is too long to be searched whole; MEDIS_HISTORY keeps what happens to messages"
	}
	return "every subscription has it, it was purged, or it never was; MEDIS_HISTORY keeps what happens to messages"
}
