package medispatcher

import "time"

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
