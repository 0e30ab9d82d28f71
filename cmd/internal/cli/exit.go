// Package cli is what the commands of both binaries have in common: exit codes, mistakes in the command line,
// tables, JSON and text that are safe for a terminal, logs on stderr, and errors of Redis in words for an
// operator. It imports the configuration and the domain; only cmd imports it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
)

// Exit codes of every command.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2 // wrong arguments, wrong configuration, a wrong field
)

// ListSubscriptions is what to do about a subscription that is not there.
const ListSubscriptions = "medispatcher sub ls lists the subscriptions"

// UsageError is a mistake in the command line.
type UsageError string

func (e UsageError) Error() string { return string(e) }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error { return UsageError(fmt.Sprintf(format, args...)) }

// ExitCode is the exit code for the error of a command.
func ExitCode(err error) int {
	var usage UsageError
	var problems config.Problems
	var fields medispatcher.Problems
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage), errors.As(err, &problems), errors.As(err, &fields):
		return ExitUsage
	}
	return ExitFailed
}

// Complain prints an error on stderr: one line for each problem, each problem once.
func Complain(stderr io.Writer, program string, err error) {
	var lines []string
	for _, err := range parts(err) {
		text := err.Error()
		if errors.Is(err, context.Canceled) {
			text = "interrupted" // it does not matter in which step
		}
		for line := range strings.SplitSeq(text, "\n") {
			if line != "" && !slices.Contains(lines, line) {
				lines = append(lines, line)
				_, _ = fmt.Fprintln(stderr, program+": "+Clean(line))
			}
		}
	}
}

// parts takes apart what errors.Join joined. An error that quotes several others in one text stays whole.
func parts(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	list := joined.Unwrap()
	if whole := errors.Join(list...); whole == nil || whole.Error() != err.Error() {
		return []error{err}
	}
	var all []error
	for _, err := range list {
		all = append(all, parts(err)...)
	}
	return all
}
