package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

func (a *app) subCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "sub COMMAND",
		DisableFlagsInUseLine: true,
		GroupID:               groupUse,
		Short:                 "Manage subscriptions",
		Long: `Manage subscriptions: who wants a topic, and how to push to them. A change reaches
every dispatcher within a second and disturbs nothing that is in flight.`,
		Example: `  medispatcher sub put billing --topic 'order.*' --url http://127.0.0.1:8080/hook
  medispatcher sub set billing concurrency=32 interval=5ms
  medispatcher sub pause billing
  medispatcher sub ls`,
		Args: cli.NoSuchCommand,
		RunE: cli.NeedsCommand,
	}
	cmd.AddCommand(a.subListCommand(), a.subGetCommand(), a.subPutCommand(), a.subSetCommand(), a.subRemoveCommand(), a.subHistoryCommand(), a.subDeliveriesCommand(), a.subFilterCommand(), a.subTestCommand(),
		a.subPauseCommand("pause", "Keep a subscription's messages and push none", true),
		a.subPauseCommand("resume", "Push again after a pause", false))
	return cmd
}

func (a *app) subListCommand() *cobra.Command {
	var limit limitFlag
	var after string
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List subscriptions",
		Long: `List subscriptions. With --json each is whole, as sub get shows it, its defaults by the variables
of this command: use those of the dispatchers (-f FILE) for a list that sub put --file writes back.`,
		Args: cli.NoArgs,
		RunE: a.withState(func(ctx context.Context, s *state, _ []string) error {
			most, err := limit.most(s.json)
			if err != nil {
				return err
			}
			return s.listSubs(ctx, after, most)
		}),
	}
	limit.add(cmd)
	afterFlag(cmd, &after)
	return a.jsonFlag(cmd, "print JSON")
}

func (s *state) listSubs(ctx context.Context, after string, most int) error {
	ctx, cancel := context.WithTimeout(ctx, allWithin)
	defer cancel()
	ids, _, err := s.registry.IDs(ctx)
	if err != nil {
		return err
	}
	ids, next, err := page(ids, after, most)
	if err != nil {
		return err
	}
	subs, unusable, err := s.registry.Some(ctx, ids)
	if err != nil {
		return err
	}
	if s.json {
		list := make([]medispatcher.Subscription, len(subs))
		for i, sub := range subs {
			list[i] = sub.Masked()
		}
		return cli.WriteJSON(s.stdout, list, "  ")
	}
	t := cli.Table{Header: []string{"ID", "TOPIC", "STATE", ">CONCURRENCY", "URLS"}}
	// The log says why some are unusable.
	for _, sub := range subs {
		for len(unusable) > 0 && unusable[0] < sub.ID {
			t.Add(unusable[0], "-", "unusable", "-", "-")
			unusable = unusable[1:]
		}
		t.Add(sub.ID, sub.Topic, operate.StateOf(sub), strconv.Itoa(sub.Concurrency), shownURLs(*sub))
	}
	for _, id := range unusable {
		t.Add(id, "-", "unusable", "-", "-")
	}
	if t.Empty() {
		_, _ = fmt.Fprintln(s.stderr, "no subscriptions yet; add one: medispatcher sub put ID --topic 'order.*' --url http://127.0.0.1:8080/hook")
	}
	if err := t.Write(s.stdout); err != nil {
		return err
	}
	return s.tellNext(next)
}

func (a *app) subGetCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:     "get ID",
		Short:   "Show a subscription as JSON, its secrets masked",
		Long:    "Show a subscription as JSON with every value in force, its secret, the passwords in its URLs\nand its alert URLs masked. `sub put` keeps a value that it gets masked.\n\nA field that the subscription leaves out is shown with its default, by the variables of this\ncommand. Written back, it is fixed: use the variables of the dispatchers (-f FILE).",
		Example: "  medispatcher sub get billing > billing.json\n  medispatcher sub put billing --file billing.json",
		Args:    cli.Exactly("ID"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			ctx, cancel := context.WithTimeout(ctx, stepWithin)
			defer cancel()
			sub, _, err := s.registry.Get(ctx, args[0])
			if _, bad := errors.AsType[medispatcher.Problems](err); bad {
				return fmt.Errorf("subscription %q: its stored document is unusable (%s); put it again: medispatcher sub put", args[0], medispatcher.OneLine(err))
			}
			if err != nil {
				return s.notFound(ctx, args[0], err)
			}
			return cli.WriteJSON(s.stdout, sub.Masked(), "  ")
		}),
	}, "print JSON, as it does without this flag")
}

// shownURLs are the worker URLs, passwords masked.
func shownURLs(sub medispatcher.Subscription) string { return strings.Join(sub.Masked().URLs, " ") }

// notFound adds to ErrNotFound which subscription was probably meant.
func (s *state) notFound(ctx context.Context, id string, err error) error {
	if !errors.Is(err, medispatcher.ErrNotFound) {
		return err
	}
	ids, _ := s.store.SubscriptionIDs(ctx) // without them it says how to list them
	return fmt.Errorf("%w; %s", err, medispatcher.DidYouMean(id, ids, cli.ListSubscriptions))
}

// known refuses an id of which there is neither a subscription nor anything that one left.
func (s *state) known(ctx context.Context, id string) error {
	if err := medispatcher.CheckSubscriptionID(id); err != nil {
		return cli.UsageError(err.Error())
	}
	return s.notFound(ctx, id, operate.Known(ctx, s.registry, s.store, id))
}

// collect adds the problems of err.
func collect(all *medispatcher.Problems, err error) {
	if some, ok := errors.AsType[medispatcher.Problems](err); ok {
		*all = append(*all, some...)
	}
}
