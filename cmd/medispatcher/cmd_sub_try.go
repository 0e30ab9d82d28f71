package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/internal/filter"
)

func (a *app) subTestCommand() *cobra.Command {
	var f sample
	cmd := &cobra.Command{
		Use:   "test ID",
		Short: "Push a test message to a subscription, and show the answer",
		Long: `Push one test message to a subscription alone, and show the whole request and the answer. It
exits with 1 if the worker does not accept it.

The request goes out from this machine, by the code and the configuration of a dispatcher (MEDIS_ENV
and MEDIS_DENY_CIDRS among it), to the first worker URL. To send it from where a dispatcher runs, use
the panel or the API. Its header medis-test is 1. It counts nowhere and is not repeated; a pause or an
open breaker does not hold it back. What is secret is masked.`,
		Example: `  medispatcher sub test billing
  medispatcher sub test billing --topic order.created --body order.json`,
		Args: cli.Exactly("ID"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			m, err := f.message(ctx, s)
			if err != nil {
				return err
			}
			return s.testSub(ctx, args[0], m)
		}),
	}
	a.jsonFlag(cmd, "print JSON")
	f.addFlags(cmd.Flags(), "that of the subscription, with test for * and >")
	return cmd
}

// errNotAccepted ends sub test.
var errNotAccepted = errors.New("not accepted")

func (s *state) testSub(ctx context.Context, id string, m medispatcher.Message) error {
	step, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	sub, _, err := s.registry.Get(step, id)
	if err != nil {
		return s.notFound(ctx, id, err)
	}
	if m, err = operate.TrialMessage(&sub, m); err != nil {
		return err
	}
	pusher, end, err := daemon.NewPusher(&s.cfg, s.build.Version)
	if err != nil {
		return err
	}
	defer end()
	t, err := pusher.Try(ctx, &sub, m)
	if err != nil {
		return fmt.Errorf("subscription %q: %w", id, err)
	}
	s.note(ctx, medispatcher.Deed{What: "test-subscription", Subscription: id, Counts: map[string]int64{"status": int64(t.Status)}}, nil)
	t.Filtered = operate.Filtered(filter.In(s.cfg.Rules()), &sub, &m)
	if s.json {
		err = cli.WriteJSON(s.stdout, t, "  ")
	} else {
		_, err = io.WriteString(s.stdout, trialText(&t))
	}
	if err == nil && !t.Accepted {
		return fmt.Errorf("%s: %w: %s", cli.Clean(id), errNotAccepted, cli.Clean(t.Problem))
	}
	return err
}

// trialText shows a test as it went over the wire, and what came of it.
func trialText(t *medispatcher.Trial) string {
	var b strings.Builder
	part := func(mark, first string, headers []medispatcher.HeaderField, body string) {
		fmt.Fprintf(&b, "%s %s\n", mark, cli.Clean(first))
		for _, h := range headers {
			fmt.Fprintf(&b, "%s %s: %s\n", mark, cli.Clean(h.Name), cli.Clean(h.Value))
		}
		if body != "" {
			b.WriteString(mark + "\n")
			for line := range strings.SplitSeq(strings.TrimSuffix(body, "\n"), "\n") {
				fmt.Fprintf(&b, "%s %s\n", mark, cli.Clean(strings.ReplaceAll(strings.TrimSuffix(line, "\r"), "\t", "    ")))
			}
		}
		b.WriteByte('\n')
	}
	part(">", "POST "+t.Request.URL, t.Request.Headers, t.Body)
	if t.Status != 0 {
		part("<", fmt.Sprint("status ", t.Status), t.Headers, t.Answer)
	}
	if t.Accepted {
		fmt.Fprintf(&b, "accepted in %s\n", cli.Millis(t.TookMS))
		if t.Problem != "" {
			fmt.Fprintf(&b, "! %s\n", cli.Clean(t.Problem))
		}
	} else {
		fmt.Fprintf(&b, "refused after %s\n", cli.Millis(t.TookMS))
	}
	if t.Filtered {
		b.WriteString("! its filter does not match this message: published, it would not come here\n")
	}
	return b.String()
}
