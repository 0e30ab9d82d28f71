package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// auditPage is how many deeds are read at once.
const auditPage = 500

func (a *app) auditCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "audit",
		GroupID: groupOperate,
		Short:   "Show who did what and when, the latest first",
		Long: `Show the audit trail, the latest first: changes of subscriptions, what was done to messages,
who signed in and out; over the API, in the panel and by commands.`,
		Example: `  medispatcher audit
  medispatcher audit --limit 0 --json > audit.ndjson`,
		Args: cli.NoArgs,
		RunE: a.withState(func(ctx context.Context, s *state, _ []string) error { return s.showAudit(ctx, limit) }),
	}
	a.jsonFlag(cmd, "print one JSON object a line")
	cmd.Flags().IntVar(&limit, "limit", 50, "list at most `N`; 0 all")
	return cmd
}

func (s *state) showAudit(ctx context.Context, limit int) error {
	if limit < 0 {
		return cli.Usagef("--limit %d: give 0 or more", limit)
	}
	t := cli.Table{Header: []string{"TIME", "BY", "WHAT", "SUBSCRIPTION", "DETAILS"}}
	shown, before := 0, ""
	for {
		n := auditPage
		if limit > 0 {
			n = min(n, limit-shown)
		}
		if n == 0 {
			break
		}
		page, err := s.readDeeds(ctx, before, n)
		if err != nil {
			return err
		}
		for _, d := range page {
			before = d.ID
			if s.json {
				if err := cli.WriteJSON(s.stdout, d, ""); err != nil {
					return err
				}
				continue
			}
			t.Add(d.Time.Local().Format(time.DateTime), cmp.Or(d.By, "-"), d.What, cmp.Or(d.Subscription, "-"), cli.Shorten(deedText(d)))
		}
		shown += len(page)
		if len(page) < n {
			break
		}
	}
	if s.json {
		return nil
	}
	if shown == 0 {
		_, err := fmt.Fprintln(s.stderr, "nothing is recorded")
		return err
	}
	return t.Write(s.stdout)
}

func (s *state) readDeeds(ctx context.Context, before string, n int) ([]medispatcher.Deed, error) {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	return s.store.Deeds(ctx, before, n)
}

// deedText says what came of a deed, in a line.
func deedText(d medispatcher.Deed) string {
	var parts []string
	if d.What == medispatcher.DeedChangeSub {
		parts = append(parts, changeText(medispatcher.Change{What: medispatcher.Changed, Fields: d.Fields}))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, d.Counts[name]))
	}
	if d.Named > 0 {
		parts = append(parts, "named "+strings.Join(d.IDs, " "))
	}
	if d.Error != "" {
		parts = append(parts, "failed: "+d.Error)
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

// note adds what a command did to the audit trail. failed is why it did not do all of it.
func (s *state) note(ctx context.Context, d medispatcher.Deed, failed error) {
	d.By = medispatcher.Actor(ctx)
	if failed != nil {
		d.Error = failed.Error()
	}
	operate.Note(ctx, s.store, d, s.log)
}
