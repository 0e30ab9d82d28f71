package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// deadPage is how many dead letters are read at once. Redis sends all of their bodies in one go.
const deadPage = 32

func (a *app) deadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "dead COMMAND",
		DisableFlagsInUseLine: true,
		GroupID:               groupOperate,
		Short:                 "Look at dead letters, replay or purge them",
		Long: `Look at dead letters: messages whose attempts are exhausted, kept whole with a record of
how they failed. A replayed one is delivered as if it were new, with the same webhook-id.`,
		Example: `  medispatcher dead ls billing
  medispatcher dead show billing 0-1700000000000-0
  medispatcher dead replay billing            all of them
  medispatcher dead purge billing 0-1700000000000-0`,
		Args: noSuchCommand,
		RunE: needsCommand,
	}
	cmd.AddCommand(a.deadListCommand(), a.deadShowCommand(), a.deadReplayCommand(), a.deadPurgeCommand())
	return cmd
}

func (a *app) deadListCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "ls SUB",
		Short: "List dead letters, the oldest first",
		Args:  exactly("SUB"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.listDead(ctx, args[0], limit)
		}),
	}
	a.jsonFlag(cmd, "print one JSON object a line, bodies included")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many; 0 for all")
	return cmd
}

func (s *state) listDead(ctx context.Context, sub string, limit int) error {
	t := table{header: []string{"ID", "DIED", "TOPIC", "MESSAGE", ">ATTEMPTS", "LAST ERROR"}}
	more := false
	n := 0
	err := s.eachLetter(ctx, sub, func(l medispatcher.DeadLetter) (bool, error) {
		if limit > 0 && n == limit {
			more = true
			return false, nil
		}
		n++
		if s.json {
			return true, writeJSON(s.stdout, operate.Show(l), "")
		}
		attempts, last := "-", "-"
		if l.Failure != nil {
			attempts, last = strconv.Itoa(l.Failure.Attempts), l.Failure.LastError
		}
		t.add(l.ID, l.Died.Format(time.DateTime), l.Message.Topic, l.Message.ID, attempts, shorten(last))
		return true, nil
	})
	if err != nil || s.json {
		return err
	}
	if n == 0 {
		_, _ = fmt.Fprintf(s.stderr, "no dead letters of %q\n", sub)
		return nil
	}
	if err := t.write(s.stdout); err != nil {
		return err
	}
	if more {
		_, _ = fmt.Fprintf(s.stderr, "and more; --limit 0 lists all\n")
	}
	return nil
}

// shorten keeps a line of a table readable.
func shorten(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// eachLetter calls do for each dead letter of a subscription until it says stop.
func (s *state) eachLetter(ctx context.Context, sub string, do func(medispatcher.DeadLetter) (more bool, err error)) error {
	if err := medispatcher.CheckSubscriptionID(sub); err != nil {
		return usageError(err.Error())
	}
	for after := ""; ; {
		page, cancel := context.WithTimeout(ctx, stepWithin)
		letters, err := s.store.DeadLetters(page, sub, after, deadPage)
		cancel()
		if err != nil {
			return err
		}
		for _, l := range letters {
			if more, err := do(l); err != nil || !more {
				return err
			}
		}
		if len(letters) < deadPage {
			return nil
		}
		after = letters[len(letters)-1].ID
	}
}

func (a *app) deadShowCommand() *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:   "show SUB ID",
		Short: "Show a dead letter whole, as JSON",
		Args:  exactly("SUB", "ID"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			if err := medispatcher.CheckSubscriptionID(args[0]); err != nil {
				return usageError(err.Error())
			}
			l, err := s.store.DeadLetter(ctx, args[0], args[1])
			if err != nil {
				return deadError(err)
			}
			return writeJSON(s.stdout, operate.Show(l), "  ")
		}),
	}, "print JSON, as it does in any case")
}
