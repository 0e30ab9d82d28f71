package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

// place is where undelivered messages wait for an operator: the dead letters of a subscription,
// the quarantine, the unrouted messages.
type place interface {
	// list is a page of at most pageSize messages. next is where the search goes on; "" at its end.
	list(ctx context.Context, q medispatcher.Search) (list []waiting, next string, err error)
	// show is one message whole, for JSON.
	show(ctx context.Context, id string) (any, error)
	// replay and purge act on the messages named, or on all that are there when they begin. They call more with
	// how many of how many are done.
	replay(ctx context.Context, ids []string, more progressFunc) (outcome, error)
	purge(ctx context.Context, ids []string, more progressFunc) (outcome, error)
	// count, replayMatching and purgeMatching are for the messages that match. They stop after a while, and say where to go on.
	count(ctx context.Context, q medispatcher.Search) (medispatcher.MatchCount, error)
	replayMatching(ctx context.Context, q medispatcher.Search) (o outcome, next string, err error)
	purgeMatching(ctx context.Context, q medispatcher.Search) (o outcome, next string, err error)
}

// pageSize is how many messages are read at once. Redis sends all of their bodies in one go.
const pageSize = 32

// waiting is a message on a list.
type waiting struct {
	id   string
	row  []string
	json any
}

// placeTexts hold what differs between the commands of the places.
type placeTexts struct {
	name, what       string // the command, and one message
	scope            string // the argument before the ids, if there is one
	short, long      string
	list, listJSON   string
	show             string
	replay, replayed string // short and long
	purge            string
	header           []string
	// none is said of an empty place, all is asked before everything is purged, and where names the place in results.
	none, all, where func(scope string) string
	open             func(ctx context.Context, s *state, scope string) (place, error)
}

// placeCommand is a command with ls, show, replay and purge.
func (a *app) placeCommand(t *placeTexts) *cobra.Command {
	cmd := &cobra.Command{
		Use:                   t.name + " COMMAND",
		DisableFlagsInUseLine: true,
		GroupID:               groupOperate,
		Short:                 t.short,
		Long:                  t.long,
		Example:               t.example(),
		Args:                  cli.NoSuchCommand,
		RunE:                  cli.NeedsCommand,
	}
	cmd.AddCommand(a.placeListCommand(t), a.placeShowCommand(t), a.placeReplayCommand(t), a.placePurgeCommand(t))
	return cmd
}

func (t *placeTexts) example() string {
	of := ""
	if t.scope != "" {
		of = " billing"
	}
	return fmt.Sprintf(`  medispatcher %[1]s ls%[2]s
  medispatcher %[1]s show%[2]s 0-1700000000000-0
  medispatcher %[1]s replay%[2]s            all of them
  medispatcher %[1]s replay%[2]s --match order-42
  medispatcher %[1]s purge%[2]s 0-1700000000000-0`, t.name, of)
}

// use is a usage line with the scope where it belongs.
func (t *placeTexts) use(verb, rest string) string {
	parts := []string{verb, t.scope, rest}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// some are the arguments of a command that takes any number of ids.
func (t *placeTexts) some() cobra.PositionalArgs {
	if t.scope == "" {
		return cobra.ArbitraryArgs
	}
	return cli.AtLeast(1, -1, t.scope)
}

// withPlace is withState for a place. The arguments it passes on are without the scope.
func (a *app) withPlace(t *placeTexts, do func(ctx context.Context, s *state, p place, scope string, args []string) error) runE {
	return a.withState(func(ctx context.Context, s *state, args []string) error {
		scope := ""
		if t.scope != "" {
			scope, args = args[0], args[1:]
		}
		p, err := t.open(ctx, s, scope)
		if err != nil {
			return err
		}
		return do(ctx, s, p, scope, args)
	})
}

// usageOr makes a usage error of a wrong argument. medispatcher.Problems is one already, and names
// each wrong id.
func usageOr(err error) error {
	if field, ok := errors.AsType[medispatcher.FieldError](err); ok {
		return cli.UsageError(field.Problem)
	}
	return err
}
