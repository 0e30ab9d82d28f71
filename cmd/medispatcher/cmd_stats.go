package main

import (
	"context"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

func (a *app) statsCommand() *cobra.Command {
	var limit limitFlag
	var after string
	cmd := &cobra.Command{
		Use:     "stats [SUB…]",
		GroupID: groupOperate,
		Short:   "Show what was received and sent, and how long it took",
		Long: `Show how many messages of each topic were received, and what became of those of each
subscription, for all dispatchers together: in the last second, ten seconds, minute, hour
and day, and in total.

SENT      delivered            FAILED   attempts that failed
RETRIED   attempts that were not the first
DEAD      given up             DROPPED  removed by policy

LATENCY is the time from publishing to delivery, ATTEMPT the time that a worker took to
answer. Both are those of the last five minutes.`,
		Example: `  medispatcher stats
  medispatcher stats billing --json | jq '.subscriptions[0].sent.minute'`,
		Args: cli.AtLeast(0, -1),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			most, err := limit.most(s.json)
			if err != nil {
				return err
			}
			return s.showStats(ctx, args, after, most)
		}),
	}
	limit.add(cmd)
	afterFlag(cmd, &after)
	return a.jsonFlag(cmd, "print JSON")
}

func (s *state) showStats(ctx context.Context, subs []string, after string, most int) error {
	ctx, cancel := context.WithTimeout(ctx, allWithin)
	defer cancel()
	var topics []string
	var next string
	more := false
	for _, id := range subs {
		if err := s.known(ctx, id); err != nil {
			return err
		}
	}
	if len(subs) == 0 {
		ids, _, err := s.registry.IDs(ctx)
		if err != nil {
			return err
		}
		if subs, next, err = page(ids, after, most); err != nil {
			return err
		}
		if after == "" {
			if topics, more, err = s.store.Topics(ctx); err != nil {
				return err
			}
		}
	}
	st, err := s.store.Stats(ctx, subs, topics)
	if err != nil {
		return err
	}
	if s.json {
		return cli.WriteJSON(s.stdout, st, "  ")
	}
	if err := printStats(s.stdout, st); err != nil {
		return err
	}
	if more {
		if _, err = io.WriteString(s.stderr, "there are more topics than are listed\n"); err != nil {
			return err
		}
	}
	return s.tellNext(next)
}

func printStats(w io.Writer, st medispatcher.Stats) error {
	windows := []string{">1S", ">10S", ">1MIN", ">1H", ">1D", ">TOTAL"}
	row := func(c medispatcher.Windows) (cells []string) {
		for _, n := range []int64{c.Second, c.TenSeconds, c.Minute, c.Hour, c.Day, c.Total} {
			cells = append(cells, strconv.FormatInt(n, 10))
		}
		return cells
	}
	topics := cli.Table{Header: append([]string{"TOPIC", "MESSAGES"}, windows...)}
	for _, t := range st.Topics {
		topics.Add(slices.Concat([]string{t.Topic, "received"}, row(t.Received))...)
		if t.Unroutable.Total > 0 {
			topics.Add(slices.Concat([]string{"", "unroutable"}, row(t.Unroutable))...)
		}
	}
	for _, c := range []struct {
		what string
		n    medispatcher.Windows
	}{{"duplicate", st.Sums.Duplicate}, {"quarantined", st.Sums.Quarantined}, {"unrouted_lost", st.Sums.UnroutedLost}, {"quarantine_lost", st.Sums.QuarantineLost},
		{"vanished", st.Sums.Vanished}, {"unowned", st.Sums.Unowned},
	} {
		if c.n.Total > 0 {
			topics.Add(slices.Concat([]string{"(any)", c.what}, row(c.n))...)
		}
	}
	subs := cli.Table{Header: append([]string{"SUBSCRIPTION", "MESSAGES"}, windows...)}
	times := cli.Table{Header: []string{"SUBSCRIPTION", ">LATENCY P50", ">P90", ">P99", ">ATTEMPT P50", ">P90", ">P99"}}
	for _, c := range st.Subscriptions {
		subs.Add(slices.Concat([]string{c.ID, "sent"}, row(c.Sent))...)
		for _, k := range []struct {
			what string
			n    medispatcher.Windows
		}{{"failed", c.Failed}, {"retried", c.Retried}, {"dead", c.Dead}, {"dropped", c.Dropped}, {"filtered", c.Filtered}, {"filter_failed", c.FilterFailed}} {
			if k.n.Total > 0 {
				subs.Add(slices.Concat([]string{"", k.what}, row(k.n))...)
			}
		}
		if c.Took.Count > 0 {
			times.Add(c.ID, cli.Millis(c.Latency.P50), cli.Millis(c.Latency.P90), cli.Millis(c.Latency.P99), cli.Millis(c.Took.P50), cli.Millis(c.Took.P90), cli.Millis(c.Took.P99))
		}
	}
	first := true
	for _, t := range []*cli.Table{&topics, &subs, &times} {
		if t.Empty() {
			continue
		}
		if !first {
			_, _ = io.WriteString(w, "\n")
		}
		first = false
		if err := t.Write(w); err != nil {
			return err
		}
	}
	if first {
		_, err := io.WriteString(w, "nothing was received yet, and there are no subscriptions\n")
		return err
	}
	return nil
}
