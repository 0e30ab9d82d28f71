package publish

import (
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
)

// Error is a message that Redis did not take, and that is not parked either.
type Error struct {
	ID      string // of the message: repeat it with this one
	Unknown bool   // no answer came, so Redis or the recover list may have it all the same
	Err     error  // of Redis, of the network, or of the context
	Parking error  // why it is not parked; nil: there is no recover list, or the context has ended
}

// Error says what became of the message, why, and with which id to repeat it.
func (e *Error) Error() string {
	text := "publish: Redis did not take the message: "
	if e.Unknown && !isReply(e.Err) {
		text = "publish: Redis may not have the message: "
	}
	text += e.Err.Error()
	if e.Parking != nil {
		text += "; " + e.Parking.Error()
	}
	if e.Unknown && e.ID != "" {
		text += "; publish it again with the id " + e.ID
	}
	return text
}

// Unwrap are the causes.
func (e *Error) Unwrap() []error {
	if e.Parking == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Parking}
}

// isReply reports whether Redis answered with an error, and so did nothing.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// isLost reports whether a command may have been run although it failed.
func isLost(err error) bool {
	if err == nil || isReply(err) {
		return false
	}
	op, ok := errors.AsType[*net.OpError](err)
	return !ok || op.Op != "dial"
}
