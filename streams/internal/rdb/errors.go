package rdb

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
)

// Failed names the step that an error of Redis stopped.
func Failed(step string, err error) error {
	if err == nil || errors.Is(err, redis.Nil) {
		return nil
	}
	if IsNoGroup(err) || IsWrongType(err) {
		return &medispatcher.StepError{Step: step, Err: fmt.Errorf("%w: %w", medispatcher.ErrGone, err)}
	}
	return &medispatcher.StepError{Step: step, Err: err}
}

func IsNoGroup(err error) bool {
	return err != nil && strings.Contains(err.Error(), "NOGROUP") // scripts put words before it
}

func IsBusyGroup(err error) bool {
	return err != nil && strings.Contains(err.Error(), "BUSYGROUP")
}

func IsWrongType(err error) bool {
	return err != nil && strings.Contains(err.Error(), "WRONGTYPE")
}

func IsNoStream(err error) bool {
	return IsNoGroup(err) || err != nil && strings.Contains(err.Error(), "no such key")
}

// IsNil reports whether Redis answered that there is nothing.
func IsNil(err error) bool { return errors.Is(err, redis.Nil) }

// IsNoScript reports whether Redis does not have a script.
func IsNoScript(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }

// IsAnswer reports whether an error is what Redis answered, not one of the way to it.
func IsAnswer(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer)
}
