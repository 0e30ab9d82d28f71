package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
)

func (a *app) subRemoveCommand() *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "rm ID",
		Short: "Remove a subscription",
		Long: `Remove a subscription. One that still holds messages or dead letters is removed only
with --purge, which throws them away for good.`,
		Args: exactly("ID"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.removeSub(ctx, args[0], purge)
		}),
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "throw away its messages and dead letters, too")
	return cmd
}

func (s *state) removeSub(ctx context.Context, id string, purge bool) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	if err := medispatcher.CheckSubscriptionID(id); err != nil {
		return usageError(err.Error())
	}
	held, err := s.held(ctx, id)
	if err != nil {
		return err
	}
	if !held.empty() && !purge {
		// Of an unknown one that is the more important thing to say.
		if _, _, err := s.registry.Get(ctx, id); errors.Is(err, medispatcher.ErrNotFound) {
			return fmt.Errorf("subscription %q: %w, but Redis holds %s of it; --purge throws them away", id, medispatcher.ErrNotFound, held)
		}
		return fmt.Errorf("subscription %q holds %s, so it is not removed; deliver or replay them first, or add --purge to throw them away", id, held)
	}
	// The registry first: what is discarded first would fill up again.
	err = s.registry.Remove(ctx, id, "")
	leftover := errors.Is(err, medispatcher.ErrNotFound) && purge && !held.empty()
	if err != nil && !leftover {
		return s.notFound(err)
	}
	if !purge {
		if held, err = s.held(ctx, id); err == nil && !held.empty() {
			return fmt.Errorf("subscription %q is removed, and meanwhile %s arrived; put it again to deliver them, or repeat with --purge to throw them away", id, held)
		}
	}
	if err := s.store.Discard(ctx, id); err != nil {
		return fmt.Errorf("subscription %q is removed, its messages are not; repeat with --purge: %w", id, s.explain(err))
	}
	what := "removed"
	if !held.empty() {
		what += ", and with it " + held.String()
	}
	_, err = fmt.Fprintf(s.stdout, "%s: %s\n", id, what)
	return err
}

// holdings is what a subscription holds.
type holdings medispatcher.ChannelStatus

func (s *state) held(ctx context.Context, id string) (holdings, error) {
	counts, err := s.store.ChannelStatus(ctx, []string{id})
	if err != nil {
		return holdings{}, err
	}
	return holdings(counts[0]), nil
}

func (h holdings) empty() bool { return h.Ready+h.Buried+h.Dead == 0 }

func (h holdings) String() string {
	var parts []string
	for _, c := range []struct {
		n     int64
		state medispatcher.State
	}{{h.Ready, medispatcher.Ready}, {h.Buried, medispatcher.Buried}, {h.Dead, medispatcher.Dead}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.state))
		}
	}
	return "messages (" + strings.Join(parts, ", ") + ")"
}
