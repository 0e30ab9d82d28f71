package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon"
)

func (a *app) alertCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "alert COMMAND",
		DisableFlagsInUseLine: true,
		GroupID:               groupOperate,
		Short:                 "See which alerts fire and why, and test their receivers",
		Long: `See which alerts fire, which notices were sent lately and by which rules, and test the receivers.
MEDIS_ALERT_URLS names the default receivers, alert.urls those of a subscription.`,
		Example: `  medispatcher alert ls
  medispatcher alert rules
  medispatcher alert test
  medispatcher alert test --sub billing`,
		Args: cli.NoSuchCommand,
		RunE: cli.NeedsCommand,
	}
	cmd.AddCommand(a.alertListCommand(), a.alertRulesCommand(), a.alertTestCommand())
	return cmd
}

func (a *app) alertListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List what fires and the last hundred notices",
		Args:  cli.NoArgs,
		RunE: a.withState(func(ctx context.Context, s *state, _ []string) error {
			ctx, cancel := context.WithTimeout(ctx, stepWithin)
			defer cancel()
			all, err := s.store.Alerts(ctx)
			if err != nil {
				return err
			}
			if s.json {
				return cli.WriteJSON(s.stdout, all, "  ")
			}
			return s.printAlerts(all)
		}),
	}
	return a.jsonFlag(cmd, "print JSON")
}

func (s *state) printAlerts(all medispatcher.Alerts) error {
	if all.FiringCount == 0 {
		_, _ = fmt.Fprintln(s.stdout, "nothing fires")
	} else {
		t := cli.Table{Header: []string{"RULE", "SUBSCRIPTION", ">FOR", ">NOTICES", "TEXT"}}
		for _, f := range all.Firing {
			t.Add(f.Rule, cmp.Or(f.Subscription, "-"), cli.Age(time.Since(f.Since)), strconv.Itoa(f.Notices), f.Line)
		}
		if err := t.Write(s.stdout); err != nil {
			return err
		}
		if more := all.FiringCount - len(all.Firing); more > 0 {
			_, _ = fmt.Fprintf(s.stdout, "and %d more\n", more)
		}
	}
	if len(all.Last) == 0 {
		return nil
	}
	t := cli.Table{Header: []string{"SENT", "KIND", "OUTCOME", "TEXT"}}
	for _, n := range all.Last {
		t.Add(n.At.Local().Format(time.DateTime), n.Kind, cli.Shorten(cmp.Or(n.Outcome, "under way")), n.Line)
	}
	_, _ = fmt.Fprintln(s.stdout)
	return t.Write(s.stdout)
}

func (a *app) alertRulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "List the rules with their thresholds, and the receivers",
		Long: `List the rules with their thresholds, and who is told, by the variables of this command. Each
dispatcher goes by its own variables, which its page of alerts shows, and GET /api/v1/alerts/rules.
A subscription may have thresholds (alert.…) and receivers of its own.`,
		Args: cli.NoArgs,
		RunE: a.withState(func(ctx context.Context, s *state, _ []string) error {
			ctx, cancel := context.WithTimeout(ctx, allWithin)
			defer cancel()
			snapshot, err := s.registry.Refresh(ctx)
			if err != nil {
				return err
			}
			rules := daemon.AlertRules(&s.cfg, snapshot.Subs)
			if s.json {
				return cli.WriteJSON(s.stdout, rules, "  ")
			}
			return s.printRules(&rules)
		}),
	}
	return a.jsonFlag(cmd, "print JSON")
}

func (s *state) printRules(rules *medispatcher.AlertRules) error {
	t := cli.Table{Header: []string{"RULE", "ABOUT", "THRESHOLDS"}}
	for _, r := range rules.Rules {
		var list []string
		for _, threshold := range r.Thresholds {
			list = append(list, threshold.Name+"="+threshold.Value)
		}
		text := cmp.Or(strings.Join(list, " "), "-")
		if r.Off {
			text += " (off)"
		}
		if r.Differ > 0 {
			text += fmt.Sprintf(" (other in %s)", cli.Counted(int64(r.Differ), "subscription"))
		}
		t.Add(r.Name, r.About, text)
	}
	if err := t.Write(s.stdout); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(s.stdout, "\nat most one notice of a rule and subscription in %s\n"+
		"this is by the variables of this command; what a dispatcher goes by is on its page of alerts\n\n", rules.Every)
	to := cli.Table{Header: []string{"OF", "RECEIVERS"}}
	to.Add("(default)", cmp.Or(strings.Join(rules.Receivers, " "), "none: notices are WARN lines of the log; MEDIS_ALERT_URLS is not set here"))
	for _, own := range rules.Own {
		to.Add(own.Subscription, strings.Join(own.Receivers, " "))
	}
	err := to.Write(s.stdout)
	if more := rules.OwnCount - len(rules.Own); more > 0 {
		_, _ = fmt.Fprintf(s.stdout, "and %d more\n", more)
	}
	if rules.Silent > 0 {
		_, _ = fmt.Fprintf(s.stdout, "\nalerts are switched off for %s\n", cli.Counted(int64(rules.Silent), "subscription"))
	}
	return err
}

func (a *app) alertTestCommand() *cobra.Command {
	var sub string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test notice to the receivers, from this machine",
		Long: `Send one notice to the default receivers, or to those of a subscription, and say for each
whether that worked. This command sends it, not a dispatcher, which may reach receivers
that this machine cannot; POST /api/v1/alerts/test sends from a dispatcher.`,
		Args: cli.NoArgs,
		RunE: a.withState(func(ctx context.Context, s *state, _ []string) error {
			return s.testAlert(ctx, sub)
		}),
	}
	cmd.Flags().StringVar(&sub, "sub", "", "the receivers of subscription `ID` (default: MEDIS_ALERT_URLS)")
	return a.jsonFlag(cmd, "print JSON")
}

func (s *state) testAlert(ctx context.Context, sub string) error {
	receipts, err := daemon.TestReceivers(ctx, &s.cfg, s.registry, s.store, s.log, sub)
	if err != nil {
		return s.notFound(ctx, sub, err)
	}
	if len(receipts) == 0 {
		return config.Problems{{Seen: "there are no receivers", Do: "set MEDIS_ALERT_URLS, or alert.urls of the subscription"}}
	}
	s.note(ctx, medispatcher.Deed{What: "test-alert", Subscription: sub}, nil)
	t := cli.Table{Header: []string{"RECEIVER", "RESULT"}}
	failed := 0
	for _, r := range receipts {
		result := "sent"
		if !r.Sent {
			result = r.Error
			failed++
		}
		t.Add(r.Receiver, result)
	}
	if s.json {
		err = cli.WriteJSON(s.stdout, map[string]any{"receivers": receipts}, "")
	} else {
		err = t.Write(s.stdout)
	}
	if err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%s failed", cli.Some(int64(failed), int64(len(receipts)), "receiver"))
	}
	return nil
}
