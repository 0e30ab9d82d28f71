package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

func (a *app) subRemoveCommand() *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "rm ID",
		Short: "Remove a subscription",
		Long: `Remove a subscription. One that still holds messages or dead letters is removed only
with --purge, which removes them for good.`,
		Args: cli.Exactly("ID"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.removeSub(ctx, args[0], purge)
		}),
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove its messages and dead letters, too")
	return a.jsonFlag(cmd, "print what was removed as JSON")
}

func (s *state) removeSub(ctx context.Context, id string, purge bool) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	if err := medispatcher.CheckSubscriptionID(id); err != nil {
		return cli.UsageError(err.Error())
	}
	thrown, err := operate.Remove(ctx, s.registry, s.store, id, "", purge)
	holds, isHeld := errors.AsType[*operate.NotEmptyError](err)
	_, isLeft := errors.AsType[*operate.LeftoverError](err)
	switch {
	case isLeft:
		return fmt.Errorf("%w; repeat with --purge: %w", err, s.explain(errors.Unwrap(err)))
	case isHeld && holds.Unknown:
		return fmt.Errorf("%w; --purge removes them", err)
	case isHeld && holds.Removed:
		return fmt.Errorf("%w; put it again to deliver them, or repeat with --purge to remove them", err)
	case isHeld:
		return fmt.Errorf("%w; deliver or replay them first, or add --purge to remove them", err)
	case err != nil:
		return s.notFound(ctx, id, err)
	}
	what := "removed"
	if !thrown.Empty() {
		what += ", and with it " + thrown.String()
	}
	return s.tell(map[string]int64{"ready": thrown.Ready, "buried": thrown.Buried, "dead": thrown.Dead}, "%s: %s", id, what)
}
