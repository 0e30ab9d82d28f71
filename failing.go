package medispatcher

import "time"

// Failing is a message that failed at least once and waits for its next attempt.
type Failing struct {
	Partition int       `json:"partition"`
	Entry     string    `json:"entry"` // id in its channel
	ID        string    `json:"id"`    // of the message; empty: it was settled while this was read
	Topic     string    `json:"topic"`
	Due       time.Time `json:"due"` // when its next attempt may begin
	Failure   *Failure  `json:"failure"`
}
