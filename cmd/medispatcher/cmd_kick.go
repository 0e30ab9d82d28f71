package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/amender"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// kickWithin is more than a step takes: a kick may have to listen for dispatchers that look dead.
const kickWithin = 10 * time.Minute

func (a *app) kickCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:     "kick SUB",
		GroupID: groupOperate,
		Short:   "Make the retries of a subscription due now",
		Long: `Make due now what waits for its next attempt, and give back what dead dispatchers left. While
the worker is still down, its breaker holds the messages, and they use up no attempts.`,
		Example: "  medispatcher kick billing",
		Args:    cli.Exactly("SUB"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.kick(ctx, args[0])
		}),
	}, "print JSON")
}

func (s *state) kick(ctx context.Context, sub string) error {
	ctx, cancel := context.WithTimeout(ctx, kickWithin)
	defer cancel()
	if err := s.known(ctx, sub); err != nil {
		return err
	}
	report, err := amender.Run(ctx, s.store, amender.Options{Partitions: s.store.Partitions(), Subs: []string{sub}, Idle: true, Force: true, Listen: true})
	n := report.GivenBack()
	s.note(ctx, medispatcher.Deed{What: "kick-subscription", Subscription: sub, Counts: map[string]int64{"kicked": int64(n)}}, err)
	if err != nil {
		return err
	}
	held, err := operate.HeldBack(ctx, s.registry, s.store, sub)
	if err != nil {
		return err
	}
	done := map[string]any{"kicked": n}
	until := ""
	if held != "" {
		done["held"] = held
	}
	switch {
	case n == 0:
	case held == medispatcher.BreakerOpen:
		until = ", held back until a probe of its open breaker succeeds"
	case held == medispatcher.Paused:
		until = ", held back until it is resumed: medispatcher sub resume " + sub
	}
	return s.tell(done, "%s: %s due now%s", sub, cli.Counted(int64(n), "message"), until)
}
