package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

// followEvery is how often --follow looks for new attempts.
const followEvery = time.Second

func (a *app) subDeliveriesCommand() *cobra.Command {
	q := medispatcher.AttemptQuery{}
	follow := false
	cmd := &cobra.Command{
		Use:   "deliveries ID",
		Short: "Show the latest attempts, with status, time and answer",
		Long: `Show the latest attempts of a subscription, over all dispatchers, the latest first.

It is a sample: about once a second each dispatcher lists up to 20 attempts that failed, 3 that
succeeded, and the latest. The last 200 are kept, fewer with more than 500 subscriptions, for a day.`,
		Example: `  medispatcher sub deliveries billing
  medispatcher sub deliveries billing --outcome failed --status 5xx
  medispatcher sub deliveries billing --follow`,
		Args: cli.Exactly("ID"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			if q.Limit < 1 {
				return cli.Usagef("--limit %d: give 1 or more", q.Limit)
			}
			if err := q.Check(); err != nil {
				return cli.UsageError(medispatcher.OneLine(err))
			}
			if err := s.known(ctx, args[0]); err != nil {
				return err
			}
			if follow {
				return s.followDeliveries(ctx, args[0], q)
			}
			return s.showDeliveries(ctx, args[0], q)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&q.Outcome, "outcome", "", "only those with this `OUTCOME`: "+strings.Join(medispatcher.AttemptOutcomes, ", "))
	flags.StringVar(&q.Status, "status", "", "only those with this `STATUS`: 503, 5xx or none")
	flags.StringVar(&q.Text, "text", "", "only those that hold this `TEXT`, in any case")
	flags.IntVar(&q.Limit, "limit", 50, "list at most `N`")
	flags.BoolVar(&follow, "follow", false, "go on with new ones, the latest last, until Ctrl-C")
	_ = cmd.RegisterFlagCompletionFunc("outcome", cobra.FixedCompletions(medispatcher.AttemptOutcomes, cobra.ShellCompDirectiveNoFileComp))
	return a.jsonFlag(cmd, "print one JSON object a line")
}

func (s *state) listDeliveries(ctx context.Context, sub string, q medispatcher.AttemptQuery) ([]medispatcher.Attempt, error) {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	list, err := s.store.Attempts(ctx, sub)
	page, _ := q.Page(list)
	return page, err
}

func (s *state) showDeliveries(ctx context.Context, sub string, q medispatcher.AttemptQuery) error {
	page, err := s.listDeliveries(ctx, sub, q)
	if err != nil {
		return err
	}
	t := cli.Table{Header: []string{"TIME", "OUTCOME", ">ATTEMPT", ">STATUS", ">TOOK", "MESSAGE", "TOPIC", "TARGET", "ANSWER"}}
	unlisted := 0
	for _, a := range page {
		if s.json {
			if err := cli.WriteJSON(s.stdout, a, ""); err != nil {
				return err
			}
			continue
		}
		t.Add(deliveryRow(a)...)
		unlisted += a.Unlisted
	}
	switch {
	case s.json:
		return nil
	case t.Empty():
		_, _ = fmt.Fprintf(s.stderr, "no attempt of %s is listed; one is kept for a day\n", sub)
		return nil
	}
	err = t.Write(s.stdout)
	if unlisted > 0 {
		_, _ = fmt.Fprintf(s.stderr, "it is a sample: %s in between left out\n", cli.Counted(int64(unlisted), "attempt"))
	}
	return err
}

// followDeliveries prints the latest attempts, and then the new ones until ctx ends.
func (s *state) followDeliveries(ctx context.Context, sub string, q medispatcher.AttemptQuery) error {
	seen := map[string]bool{}
	for {
		page, err := s.listDeliveries(ctx, sub, q)
		if ctx.Err() != nil {
			return nil // it was stopped
		}
		if err != nil {
			return err
		}
		listed := make(map[string]bool, len(page))
		for _, a := range slices.Backward(page) {
			if listed[a.ID] = true; seen[a.ID] {
				continue
			}
			if err := s.followed(a); err != nil {
				return err
			}
		}
		seen, q.Limit = listed, max(q.Limit, medispatcher.AttemptsKept)
		if !medispatcher.Sleep(ctx, followEvery) {
			return nil
		}
	}
}

// followed prints an attempt on a line of its own.
func (s *state) followed(a medispatcher.Attempt) error {
	if s.json {
		return cli.WriteJSON(s.stdout, a, "")
	}
	c := deliveryRow(a)
	_, err := fmt.Fprintf(s.stdout, "%-12s  %-7s  %2s  %4s  %8s  %s\n", c[0][len("2006-01-02 "):], c[1], c[2], c[3], c[4], strings.Join(c[5:], "  "))
	return err
}

// deliveryRow has a cell for each column.
func deliveryRow(a medispatcher.Attempt) []string {
	answer := a.Error
	if answer == "" && a.Answer != "" {
		answer = strconv.QuoteToGraphic(a.Answer)
	}
	row := []string{
		a.Time.Local().Format("2006-01-02 15:04:05.000"), a.Outcome, strconv.Itoa(a.Attempt), number(a.Status), cli.Millis(a.TookMS),
		a.Message, a.Topic, cmp.Or(a.Target, "-"), cmp.Or(cli.Shorten(answer), "-"),
	}
	for i := range row {
		row[i] = cli.Clean(row[i])
	}
	return row
}
