package medispatcher

import "time"

// Dispatcher describes one running dispatcher.
type Dispatcher struct {
	ID        string        `json:"id"`
	Host      string        `json:"host"`
	PID       int           `json:"pid"`
	Version   string        `json:"version"`
	Env       string        `json:"env,omitempty"`
	Copies    int           `json:"copies,omitempty"`   // newest layout of a channel's copies that it reads; 0 is the first
	Active    bool          `json:"active,omitempty"`   // it keeps the active sets; earlier versions do not
	Doorbell  string        `json:"doorbell,omitempty"` // pub/sub channel on which others ring it; versions before doorbells have none
	Started   time.Time     `json:"started"`
	DeadAfter time.Duration `json:"dead_after_ns"`
	Heartbeat time.Time     `json:"heartbeat"`
	Alive     bool          `json:"alive"`
	// Held are the open breakers of this dispatcher, the oldest first, MaxHeld at most.
	// HeldTotal counts all of them.
	Held      []Breaker `json:"held,omitempty"`
	HeldTotal int       `json:"held_total,omitempty"`
	// Short is what its machine lacked for an attempt within the last minute, such as "file descriptors".
	Short string `json:"short,omitempty"`
	// LogProblem is why this dispatcher cannot write a log; empty when it can.
	LogProblem string `json:"log_problem,omitempty"`
}

// MaxHeld bounds the list of open breakers that a dispatcher publishes: every other
// dispatcher reads it several times a second.
const MaxHeld = 200

// Breaker is an open breaker: a dispatcher pushes nothing to the subscription.
type Breaker struct {
	Subscription string    `json:"subscription"`
	Since        time.Time `json:"since"`
}
