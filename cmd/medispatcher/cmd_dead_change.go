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
	return &cobra.Command{
		Use:   "replay SUB [ID…]",
		Short: "Deliver dead letters again, all of them or some",
		Long: `Deliver dead letters again: attempt 1, the same webhook-id, the record cleared. Without IDs,
all that are there when it starts. It may be interrupted and repeated: each letter is moved in one step.`,
		Args: atLeast(1, -1, "SUB"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.changeDead(ctx, args[0], args[1:], "replayed", s.store.Replay)
		}),
	}
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
			return s.changeDead(ctx, args[0], args[1:], "purged", s.store.PurgeDead)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
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

// changeDead runs a step on the dead letters named, or on all that are there now.
func (s *state) changeDead(ctx context.Context, sub string, ids []string, done string, step func(context.Context, string, []string) (int, error)) error {
	if err := medispatcher.CheckSubscriptionID(sub); err != nil {
		return usageError(err.Error())
	}
	if len(ids) > 0 {
		n, err := step(ctx, sub, ids)
		if err != nil {
			return deadError(err)
		}
		_, _ = fmt.Fprintf(s.stdout, "%s: %s %s\n", sub, counted(int64(n), "dead letter"), done)
		if n < len(ids) {
			return fmt.Errorf("%s not there any more", counted(int64(len(ids)-n), "dead letter"))
		}
		return nil
	}
	held, err := s.held(ctx, sub)
	if err != nil {
		return err
	}
	bar := s.progress(held.Dead, done)
	// Those that die while this runs are left for the next time: a target that is
	// still down would keep it running for ever.
	started := time.Now()
	total := 0
	var batch []string
	flush := func() error {
		n, err := step(ctx, sub, batch)
		total += n
		_ = bar.Add(n)
		batch = batch[:0]
		return err
	}
	err = s.eachLetter(ctx, sub, func(l medispatcher.DeadLetter) (bool, error) {
		if l.Died.After(started) || int64(total+len(batch)) >= held.Dead {
			return false, nil
		}
		batch = append(batch, l.ID)
		if len(batch) == deadPage {
			return true, flush()
		}
		return true, nil
	})
	if err == nil && len(batch) > 0 {
		err = flush()
	}
	_ = bar.Finish()
	if err != nil {
		return fmt.Errorf("%d %s before it stopped; repeat it to go on: %w", total, done, s.explain(err))
	}
	_, _ = fmt.Fprintf(s.stdout, "%s: %s %s\n", sub, counted(int64(total), "dead letter"), done)
	return nil
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
	return err
}
