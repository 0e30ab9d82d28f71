package rdb

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/internal/sock"
)

// Failed adds to an error the name of the step that failed. IsNil, which means that there is nothing, is no error.
func Failed(step string, err error) error {
	if err == nil || IsNil(err) {
		return nil
	}
	if IsNoGroup(err) || IsWrongType(err) {
		err = fmt.Errorf("%w: %w", medispatcher.ErrGone, err)
	}
	peer, err := sock.Plain(err)
	if peer != nil { // in a cluster it matters which node
		err = fmt.Errorf("%s: %w", peer, err)
	}
	return &medispatcher.StepError{Step: step, Err: err}
}

// Unreadable is the error of a step whose script gave an unexpected answer.
func Unreadable(step string, answer any) error {
	return Failed(step, fmt.Errorf("unreadable answer %.200v", answer))
}

// IsNoGroup reports whether a stream or its group does not exist.
func IsNoGroup(err error) bool {
	return err != nil && strings.Contains(err.Error(), "NOGROUP") // an error from a script has text before it
}

// isAborted reports whether Redis ran no command of a transaction, because it refused one of them.
func isAborted(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "EXECABORT")
}

// IsBusyGroup reports whether a group exists already.
func IsBusyGroup(err error) bool {
	return err != nil && strings.Contains(err.Error(), "BUSYGROUP")
}

// IsWrongType reports whether a key is of another type.
func IsWrongType(err error) bool {
	return err != nil && strings.Contains(err.Error(), "WRONGTYPE")
}

// IsNoStream is IsNoGroup, and also knows the answer of XINFO to a missing stream.
func IsNoStream(err error) bool {
	return IsNoGroup(err) || err != nil && strings.Contains(err.Error(), "no such key")
}

// IsNil reports whether Redis answered that there is nothing.
func IsNil(err error) bool { return errors.Is(err, redis.Nil) }

// IsNoScript reports whether Redis does not have a script.
func IsNoScript(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }

// IsAnswer reports whether Redis itself returned the error. Other errors mean that Redis was not reached.
func IsAnswer(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}

// IsRefused reports whether the user may not run a command. Redis 7.0 says it in other words of one that a script runs.
func IsRefused(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "NOPERM") || strings.Contains(err.Error(), "user executing the script can't"))
}
