package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

func (a *app) subHistoryCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "history [ID]",
		Short: "Show who changed what and when, the latest first",
		Args:  cli.AtLeast(0, 1),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			id := ""
			if len(args) > 0 {
				id = args[0]
			}
			return s.showHistory(ctx, id, limit)
		}),
	}
	a.jsonFlag(cmd, "print one JSON object a line")
	cmd.Flags().IntVar(&limit, "limit", 50, "list at most `N`")
	return cmd
}

func (s *state) showHistory(ctx context.Context, id string, limit int) error {
	if limit < 1 {
		return cli.Usagef("--limit %d: give 1 or more", limit)
	}
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	changes, err := s.store.Changes(ctx, id, "", limit)
	if err != nil {
		return err
	}
	t := cli.Table{Header: []string{"TIME", "SUBSCRIPTION", "BY", "WHAT"}}
	for _, c := range changes {
		if s.json {
			if err := cli.WriteJSON(s.stdout, c, ""); err != nil {
				return err
			}
			continue
		}
		t.Add(c.Time.Local().Format(time.DateTime), c.Subscription, c.By, changeText(c))
	}
	if len(changes) == 0 {
		if id != "" {
			if err := s.known(ctx, id); err != nil {
				return err
			}
		}
		if !s.json {
			_, _ = fmt.Fprintln(s.stderr, "no changes are recorded")
		}
	}
	if s.json || len(changes) == 0 {
		return nil
	}
	return t.Write(s.stdout)
}

// changeText says what changed, in a line.
func changeText(c medispatcher.Change) string {
	if c.What != medispatcher.Changed {
		return string(c.What)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		parts = append(parts, fieldText(name, c.Fields[name]))
	}
	return strings.Join(parts, ", ")
}

// fieldText says what became of a field.
func fieldText(name string, f medispatcher.FieldChange) string {
	from, to := f.Shown()
	return fmt.Sprintf("%s %s → %s", name, from, to)
}
