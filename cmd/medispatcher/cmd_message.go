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
)

func (a *app) messageCommand() *cobra.Command {
	var w wanted
	cmd := &cobra.Command{
		Use:     "message ID",
		GroupID: groupOperate,
		Short:   "Show where a message is, and what happened to it",
		Long: `Show where a message is, for each subscription, and what happened to it. For a message that nobody
wanted, or that could not be decoded, it says since when it is kept, why, and how to replay it.

ID is what publishing printed, or the value of the header webhook-id. Delivered messages are
gone from Redis: only what MEDIS_HISTORY keeps is known of them.

--body prints the body as it is, --curl the request that pushes it: the headers, the signature for this
moment, and the body. Credentials of the subscription are masked.`,
		Example: `  medispatcher message 0-1767225600000-0
  medispatcher message 0-1767225600000-0 --body | jq .
  medispatcher message 0-1767225600000-0 --curl --sub billing`,
		Args: cli.Exactly("ID"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			if err := w.check(); err != nil {
				return err
			}
			if args[0] == "" {
				return cli.Usagef("message: ID is empty")
			}
			if w.body || w.curl {
				return s.printPayload(ctx, args[0], w)
			}
			return s.showMessage(ctx, args[0])
		}),
	}
	cmd.Flags().BoolVar(&w.body, "body", false, "print the body, and nothing else")
	cmd.Flags().BoolVar(&w.curl, "curl", false, "print the request as a curl command for a POSIX shell")
	cmd.Flags().StringVar(&w.sub, "sub", "", "the copy of this `SUB`, or the request for it")
	cmd.Flags().StringVar(&w.at, "at", "", "read it at this `PLACE`, as --json lists it, without a search")
	return a.jsonFlag(cmd, "print JSON")
}

func (s *state) showMessage(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	subs, err := s.store.SubscriptionIDs(ctx)
	if err != nil {
		return err
	}
	story, err := s.store.Story(ctx, id, subs)
	switch {
	case err != nil:
		return err
	case s.json:
		err = cli.WriteJSON(s.stdout, story, "  ")
	}
	if err == nil && len(story.Places)+len(story.Events) == 0 {
		err = fmt.Errorf("message %q: %w: %s", id, medispatcher.ErrNotFound, story.NotFound())
	}
	if err != nil || s.json {
		return err
	}
	if len(story.Places) > 0 {
		t := cli.Table{Header: []string{"SUBSCRIPTION", "STATE", ">ATTEMPT", "NEXT", "ENTRY", "LAST ERROR"}}
		for _, p := range story.Places {
			t.Add(placeRow(p)...)
		}
		if err := t.Write(s.stdout); err != nil {
			return err
		}
		for _, p := range story.Places {
			if p.Kept != "" {
				_, _ = fmt.Fprintf(s.stdout, "\nTo try it again: medispatcher %s replay %s\n", strings.ToLower(string(p.State)), p.Kept)
			}
		}
	}
	if len(story.Events) > 0 {
		_, _ = fmt.Fprintln(s.stdout)
		t := cli.Table{Header: []string{"TIME", "WHAT", "SUBSCRIPTION", ">ATTEMPT", ">TOOK", "TARGET", "ERROR"}}
		for _, e := range story.Events {
			sub := e.Subscription
			if sub == "" {
				sub = strings.Join(e.Subscriptions, " ")
			}
			if len(e.Filtered) > 0 {
				sub = strings.TrimSpace(sub + " (not " + strings.Join(e.Filtered, " ") + ": filter)")
			}
			t.Add(e.Time.Local().Format("2006-01-02 15:04:05.000"), e.What, cmp.Or(sub, "-"), number(e.Attempt), cli.Millis(e.TookMS), cmp.Or(e.Target, "-"), cmp.Or(cli.Shorten(e.Error), "-"))
		}
		if err := t.Write(s.stdout); err != nil {
			return err
		}
	}
	if !story.Searched {
		_, _ = fmt.Fprintln(s.stderr, "not every stream was searched to its end, so it may be elsewhere, too")
	}
	return nil
}

func placeRow(p medispatcher.Place) []string {
	next, last := "-", "-"
	switch {
	case p.Due != nil:
		next = "in " + cli.Age(time.Until(*p.Due))
		if time.Until(*p.Due) <= 0 {
			next = "now"
		}
	case p.InLine():
		next = p.Reason
	case p.Dispatcher != "":
		next = "in flight at " + p.Dispatcher
	}
	if p.Failure != nil {
		last = cli.Shorten(p.Failure.LastError)
	}
	if p.Since != nil {
		next, last = "kept for "+cli.Age(time.Since(*p.Since)), cli.Shorten(p.Reason)
	}
	return []string{cmp.Or(p.Subscription, "-"), string(p.State), number(p.Attempt), next, p.Entry, last}
}

func number(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}
