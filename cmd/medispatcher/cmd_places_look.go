package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

func (a *app) placeListCommand(t *placeTexts) *cobra.Command {
	var limit int
	var newest bool
	var match string
	args := cli.NoArgs
	if t.scope != "" {
		args = cli.Exactly(t.scope)
	}
	cmd := &cobra.Command{
		Use:   t.use("ls", ""),
		Short: t.list,
		Args:  args,
		RunE: a.withPlace(t, func(ctx context.Context, s *state, p place, scope string, _ []string) error {
			q, err := searchOf(match)
			if err != nil {
				return err
			}
			q.Newest = newest
			return s.listPlace(ctx, t, p, scope, q, limit)
		}),
	}
	a.jsonFlag(cmd, t.listJSON)
	cmd.Flags().IntVar(&limit, "limit", 100, "list at most `N`; 0 lists all")
	cmd.Flags().BoolVar(&newest, "newest", false, "the newest first")
	matchFlag(cmd, &match)
	return cmd
}

func (s *state) listPlace(ctx context.Context, t *placeTexts, p place, scope string, q medispatcher.Search, limit int) error {
	rows := cli.Table{Header: t.header}
	more, n := false, 0
	err := eachWaiting(ctx, p, q, func(w waiting) (bool, error) {
		if limit > 0 && n == limit {
			more = true
			return false, nil
		}
		n++
		if s.json {
			return true, cli.WriteJSON(s.stdout, w.json, "")
		}
		rows.Add(w.row...)
		return true, nil
	})
	if err != nil || s.json {
		return usageOr(err)
	}
	if n == 0 {
		none := t.none(scope)
		if !q.Match.All() {
			none = "none matches"
		}
		_, _ = fmt.Fprintln(s.stderr, none)
		return nil
	}
	if err := rows.Write(s.stdout); err != nil {
		return err
	}
	if more {
		_, _ = fmt.Fprintf(s.stderr, "and more; --limit 0 lists all\n")
	}
	return nil
}

// eachWaiting calls do for each message until it says stop.
func eachWaiting(ctx context.Context, p place, q medispatcher.Search, do func(waiting) (more bool, err error)) error {
	for {
		page, cancel := context.WithTimeout(ctx, stepWithin)
		list, next, err := p.list(page, q)
		cancel()
		if err != nil {
			return err
		}
		for _, w := range list {
			if more, err := do(w); err != nil || !more {
				return err
			}
		}
		if q.After = next; next == "" {
			return nil
		}
	}
}

func (a *app) placeShowCommand(t *placeTexts) *cobra.Command {
	args := cli.Exactly("ID")
	if t.scope != "" {
		args = cli.Exactly(t.scope, "ID")
	}
	return a.jsonFlag(&cobra.Command{
		Use:   t.use("show", "ID"),
		Short: t.show,
		Args:  args,
		RunE: a.withPlace(t, func(ctx context.Context, s *state, p place, _ string, args []string) error {
			ctx, cancel := context.WithTimeout(ctx, stepWithin)
			defer cancel()
			message, err := p.show(ctx, args[0])
			if err != nil {
				return usageOr(err)
			}
			return cli.WriteJSON(s.stdout, message, "  ")
		}),
	}, "print JSON, as it does without this flag")
}
