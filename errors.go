package medispatcher

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotFound: no subscription has this id.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the thing changed since it was read, or its state forbids the step.
	ErrConflict = errors.New("conflict")
	// ErrPrecondition: an If-Match or If-None-Match was given and does not hold.
	ErrPrecondition = errors.New("it has changed since it was read; read it again and repeat the change")
	// ErrTooLarge: a message body is larger than MEDIS_MAX_BODY.
	ErrTooLarge = errors.New("message body is too large")
	// ErrGone: a channel is not there any more: purged, or its key replaced by hand.
	ErrGone = errors.New("the channel is gone")
	// ErrGroupCreated: a channel had no consumer group; it has one now, and can be read.
	ErrGroupCreated = errors.New("the consumer group was missing and was created again")
)

// ChannelError is an error that concerns one channel of several.
type ChannelError struct {
	Channel Channel
	Err     error
}

func (e *ChannelError) Error() string { return e.Err.Error() }

// Unwrap is the error itself.
func (e *ChannelError) Unwrap() error { return e.Err }

// StepError is a step in Redis that failed.
type StepError struct {
	Step string // what was to be done: "list subscriptions"
	Err  error
}

func (e *StepError) Error() string { return "redis: " + e.Text() }

// Text is the error without the word redis.
func (e *StepError) Text() string { return e.Step + ": " + OneLine(e.Err) }

// Unwrap is the cause.
func (e *StepError) Unwrap() error { return e.Err }

// StepText is an error in one line, without the word redis if it is a failed step, for a text that names Redis.
func StepText(err error) string {
	if step, ok := errors.AsType[*StepError](err); ok {
		return step.Text()
	}
	return OneLine(err)
}

// OneLine is an error in one line: the problems of a document, or joined errors, with semicolons between them.
func OneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// FieldError is a problem with one named field of what a user wrote.
type FieldError struct {
	Field   string // JSON name, dotted for nested fields: "drop.action"
	Problem string // what is wrong and what would be right
}

func (e FieldError) Error() string { return e.Field + ": " + e.Problem }

// Problems is every problem of one document, in the order of its fields.
type Problems []FieldError

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, e := range p {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(field, format string, args ...any) {
	*p = append(*p, FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// err returns p as an error, nil when it is empty.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}
