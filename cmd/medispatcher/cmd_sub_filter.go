package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/internal/filter"
)

func (a *app) subFilterCommand() *cobra.Command {
	var f sample
	var expression string
	cmd := &cobra.Command{
		Use:   "filter ID",
		Short: "Try the filter of a subscription on a message",
		Long: `Say whether the filter of a subscription matches a message, without publishing it.
With --filter it tries another expression than the stored one, and changes nothing.`,
		Example: `  medispatcher sub filter billing --body order.json
  medispatcher sub filter billing --filter 'body.total > 100' --body - < order.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return cli.Usagef("sub filter: write --filter %q to try another expression; see medispatcher sub filter --help", args[1])
			}
			return cli.Exactly("ID")(cmd, args)
		},
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withState(func(ctx context.Context, s *state, args []string) error {
			m, err := f.message(ctx, s)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("filter") {
				return s.tryFilter(ctx, args[0], &m, &expression)
			}
			return s.tryFilter(ctx, args[0], &m, nil)
		})(cmd, args)
	}
	a.jsonFlag(cmd, "print JSON")
	f.addFlags(cmd.Flags(), "that of the subscription, unless it is a pattern")
	cmd.Flags().StringVar(&expression, "filter", "", "try this `EXPRESSION` instead of the stored one")
	return cmd
}

// tryFilter says what the filter of a subscription, or another expression, makes of a message.
func (s *state) tryFilter(ctx context.Context, id string, m *medispatcher.Message, expression *string) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	sub, _, err := s.registry.Get(ctx, id)
	if err != nil {
		return s.notFound(ctx, id, err)
	}
	if expression != nil {
		sub.Filter = *expression
	}
	if m.Topic == "" && medispatcher.CheckTopic(sub.Topic) == nil {
		m.Topic = sub.Topic
	}
	if m.Topic != "" && !sub.Wants(m.Topic) {
		return fmt.Errorf("subscription %q wants %s, not the topic %s; give another --topic", id, sub.Topic, cli.Clean(m.Topic))
	}
	tried, err := operate.TryFilter(filter.In(s.cfg.Rules()), sub.Filter, m)
	if err != nil {
		return err
	}
	if s.json {
		return cli.WriteJSON(s.stdout, tried, "  ")
	}
	said := "it does not match: the subscription would not get this message"
	switch {
	case sub.Filter == "":
		said = "it has no filter, and gets every message of its topic"
	case tried.Error != "":
		said = "it fails, and the subscription would get this message: " + cli.Clean(tried.Error)
	case tried.Matches:
		said = "it matches: the subscription would get this message"
	}
	_, err = fmt.Fprintf(s.stdout, "%s: %s\n", cli.Clean(id), said)
	return err
}
