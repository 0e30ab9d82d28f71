package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

func (a *app) purgeCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "purge SUB",
		GroupID: groupOperate,
		Short:   "Remove the messages of a subscription for good",
		Long: `Remove for good what waits in a subscription's channel: READY messages, and BURIED ones
that wait for their next attempt. Pushes under way are not interrupted. Dead letters stay;
dead purge removes them. It works while dispatchers run, paused or not.`,
		Example: `  medispatcher purge billing
  medispatcher sub pause billing && medispatcher purge billing --yes`,
		Args: cli.Exactly("SUB"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.purge(ctx, args[0], yes)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return a.jsonFlag(cmd, "print JSON")
}

func (s *state) purge(ctx context.Context, sub string, yes bool) error {
	held, err := s.look(ctx, sub)
	if err != nil {
		return err
	}
	if !yes {
		question := fmt.Sprintf("Purge %d READY and %s of %q?", held.Ready, cli.Counted(held.Buried, "BURIED message"), sub)
		if err := s.confirm(ctx, question); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	ready, buried, err := s.store.Purge(ctx, sub)
	s.note(ctx, medispatcher.Deed{What: "purge-subscription", Subscription: sub, Counts: map[string]int64{"ready": ready, "buried": buried}}, err)
	if err != nil {
		return fmt.Errorf("%d READY and %d BURIED messages purged before it stopped; repeat it to go on: %w", ready, buried, s.explain(err))
	}
	err = s.tell(map[string]int64{"ready": ready, "buried": buried}, "%s: %d READY and %s purged", sub, ready, cli.Counted(buried, "BURIED message"))
	if held.Dead > 0 && err == nil {
		_, err = fmt.Fprintf(s.stderr, "dead letters that stay: %d; medispatcher dead purge %s removes them\n", held.Dead, sub)
	}
	return err
}

// look counts the messages of a subscription. It fails if there is neither the subscription nor anything that it
// left.
func (s *state) look(ctx context.Context, sub string) (operate.Held, error) {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	if err := s.known(ctx, sub); err != nil {
		return operate.Held{}, err
	}
	return operate.HeldBy(ctx, s.store, sub)
}
