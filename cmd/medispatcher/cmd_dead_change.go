package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
)

func (a *app) deadReplayCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:   "replay SUB [ID…]",
		Short: "Deliver dead letters again, all of them or some",
		Long: `Deliver dead letters again: attempt 1, the same webhook-id, the record cleared. Without IDs,
all that are there when it starts. It may be interrupted and repeated: each letter is moved in one step.`,
		Args: atLeast(1, -1, "SUB"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.changeDead(ctx, args[0], args[1:], "replayed", s.store.Replay, s.store.ReplayAll)
		}),
	}, "print JSON")
}

func (a *app) deadPurgeCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "purge SUB [ID…]",
		Short: "Throw dead letters away for good, all of them or some",
		Args:  atLeast(1, -1, "SUB"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			if len(args) == 1 && !yes {
				if err := s.confirm(ctx, fmt.Sprintf("Throw away all dead letters of %q?", args[0])); err != nil {
					return err
				}
			}
			return s.changeDead(ctx, args[0], args[1:], "purged", s.store.PurgeDead, s.store.PurgeAllDead)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return a.jsonFlag(cmd, "print JSON")
}

// confirm asks a person; without one it refuses.
func (s *state) confirm(ctx context.Context, question string) error {
	if !isTerminal(s.stdin) {
		return usagef("this throws messages away for good: add --yes")
	}
	_, _ = fmt.Fprint(s.stderr, question+" [y/N] ")
	in := interruptible(ctx, s.stdin)
	defer func() { _ = in.Close() }()
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// changeDead does one thing to the dead letters named, or to all that are there now.
func (s *state) changeDead(ctx context.Context, sub string, ids []string, done string,
	some func(context.Context, string, []string) (int, error),
	all func(context.Context, string, func(done, all int64) bool) (done, left int64, err error),
) error {
	if err := medispatcher.CheckSubscriptionID(sub); err != nil {
		return usageError(err.Error())
	}
	return s.change(ctx, ids, done, "dead letter", sub,
		func(ctx context.Context, ids []string) (int, error) { return some(ctx, sub, ids) },
		func(ctx context.Context, more func(done, all int64) bool) (int64, int64, error) {
			return all(ctx, sub, more)
		})
}

// change does one thing to the messages named, or to all that are there now, of where.
func (s *state) change(ctx context.Context, ids []string, done, what, where string,
	some func(context.Context, []string) (int, error),
	all func(context.Context, func(done, all int64) bool) (done, left int64, err error),
) error {
	if len(ids) > 0 {
		n, err := some(ctx, ids)
		if err != nil {
			return deadError(err)
		}
		if err := s.tell(map[string]int{done: n, "missing": len(ids) - n}, "%s: %s %s", where, counted(int64(n), what), done); err != nil {
			return err
		}
		if n < len(ids) {
			return fmt.Errorf("%s not there any more", counted(int64(len(ids)-n), what))
		}
		return nil
	}
	bar := s.barOf(done)
	total, _, err := all(ctx, bar.set)
	bar.finish()
	if err != nil {
		return fmt.Errorf("%d %s before it stopped; repeat it to go on: %w", total, done, s.explain(err))
	}
	return s.tell(map[string]int64{done: total}, "%s: %s %s", where, counted(total, what), done)
}

// progress is a bar on a terminal, and nothing elsewhere.
func (s *state) progress(total int64, what string, more ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total, append([]progressbar.Option{
		progressbar.OptionSetWriter(s.stderr), progressbar.OptionSetVisibility(isTerminal(s.stderr)),
		progressbar.OptionSetDescription(what), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(50 * time.Millisecond),
	}, more...)...)
}

func deadError(err error) error {
	if field, ok := errors.AsType[medispatcher.FieldError](err); ok {
		return usageError(field.Problem)
	}
	return err // medispatcher.Problems name each wrong id
}
