package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// repaint is how often status --watch looks again.
const repaint = time.Second

func (a *app) statusCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: groupOperate,
		Short:   "Count the messages of every subscription",
		Long: `Count the messages before their fan-out and in every channel, and list the dispatchers.

READY     not yet read by a dispatcher
BURIED    read and not settled: in flight, or waiting for the next attempt
RETRYING  those of BURIED that failed and wait for their next attempt
DEAD      given up, kept, can be replayed
OLDEST    age of the oldest message that is not settled

QUARANTINE counts what could not be decoded, UNROUTED what nobody wanted. Both are kept and
can be replayed: medispatcher quarantine, medispatcher unrouted.

STATE is active, paused, or breaker_open: the worker failed every recent message, so
dispatchers hold the others back and probe it now and then.`,
		Example: `  medispatcher status --watch
  medispatcher status --json | jq '.subscriptions[] | select(.dead > 0)'`,
		Args: cli.NoArgs,
		RunE: a.withState(func(ctx context.Context, s *state, _ []string) error {
			if watch {
				return s.watchStatus(ctx)
			}
			return s.writeStatus(ctx, s.stdout, "  ")
		}),
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "repeat every second, until Ctrl-C")
	return a.jsonFlag(cmd, "print JSON; with --watch one object a line")
}

func (s *state) writeStatus(ctx context.Context, w io.Writer, indent string) error {
	ctx, cancel := context.WithTimeout(ctx, allWithin)
	defer cancel()
	st, err := operate.Status(ctx, s.registry, s.store)
	if err != nil {
		return err
	}
	if s.json {
		return cli.WriteJSON(w, st, indent)
	}
	return printStatus(w, st, s.store.Partitions())
}

// watchStatus repeats until ctx ends, which is no error. While Redis is away it says so, and tries
// again.
func (s *state) watchStatus(ctx context.Context) error {
	tick := time.NewTicker(repaint)
	defer tick.Stop()
	paint := cli.IsTerminal(s.stdout) && !s.json
	for {
		var page bytes.Buffer
		err := s.writeStatus(ctx, &page, "")
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case err != nil && !paint:
			_, _ = fmt.Fprintln(s.stderr, "medispatcher: "+cli.Clean(medispatcher.OneLine(s.explain(err))))
		case err != nil:
			page.Reset()
			_, _ = fmt.Fprintln(&page, cli.Clean(medispatcher.OneLine(s.explain(err))))
		}
		if !s.json {
			page.WriteString("\n")
		}
		if err := s.paint(page.String(), paint); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// paint writes a page over the one before, line by line, so that a terminal does not flicker.
func (s *state) paint(page string, over bool) error {
	if over {
		page = time.Now().Format(time.TimeOnly) + "  Ctrl-C ends\n\n" + page
		page = "\x1b[H" + strings.ReplaceAll(page, "\n", "\x1b[K\n") + "\x1b[J"
	}
	_, err := io.WriteString(s.stdout, page)
	return err
}

func printStatus(w io.Writer, st medispatcher.Status, partitions int) error {
	in := st.Incoming
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	ms := func(v int64) string { return cli.Age(time.Duration(v) * time.Millisecond) }
	incoming := cli.Table{Header: []string{"INCOMING", ">READY", ">BURIED", ">DELAYED", ">QUARANTINE", ">UNROUTED", ">OLDEST"}}
	incoming.Add(cli.Counted(int64(partitions), "partition"), n(in.Ready), n(in.Buried), n(in.Delayed), n(in.Quarantine), n(in.Unrouted), ms(in.OldestMS))
	subs := cli.Table{Header: []string{"SUBSCRIPTION", "TOPIC", "STATE", ">READY", ">BURIED", ">RETRYING", ">DEAD", ">OLDEST"}}
	waits := slices.ContainsFunc(st.Subscriptions, func(c medispatcher.ChannelStatus) bool { return c.Waiting > 0 })
	if waits {
		subs.Header = append(subs.Header, ">WAITING")
	}
	for _, c := range st.Subscriptions {
		row := []string{c.ID, c.Topic, c.State, n(c.Ready), n(c.Buried), n(c.Retrying), n(c.Dead), ms(c.OldestMS)}
		if waits {
			row = append(row, n(c.Waiting))
		}
		subs.Add(row...)
	}
	breakers := cli.Table{Header: []string{"OPEN BREAKER", "DISPATCHER", ">SINCE"}}
	for _, c := range st.Subscriptions {
		for _, h := range c.HeldBy {
			breakers.Add(c.ID, h.Dispatcher, cli.Age(time.Since(h.Since)))
		}
	}
	for _, d := range st.Dispatchers {
		if more := d.HeldTotal - len(d.Held); d.Alive && more > 0 {
			breakers.Add(fmt.Sprintf("and %d more", more), d.ID, "-")
		}
	}
	dispatchers := cli.Table{Header: []string{"DISPATCHER", "HOST", ">PID", "VERSION", "ENV", ">UP", "STATE"}}
	for _, d := range st.Dispatchers {
		dispatchers.Add(dispatcherRow(d)...)
	}
	logs := cli.Table{Header: []string{"LOG PROBLEM OF", "WHY IT CANNOT BE WRITTEN"}}
	for _, d := range st.Dispatchers {
		if d.Alive && d.LogProblem != "" {
			logs.Add(d.ID, d.LogProblem)
		}
	}
	first := true
	for _, t := range []struct {
		table *cli.Table
		empty string
	}{
		{&incoming, ""},
		{&subs, "no subscriptions; add one: medispatcher sub put ID --topic 'order.*' --url http://…"},
		{&breakers, ""},
		{&dispatchers, "no dispatcher runs; start one: medispatcher serve"},
		{&logs, ""},
	} {
		if t.table.Empty() && t.empty == "" {
			continue
		}
		if !first {
			_, _ = io.WriteString(w, "\n")
		}
		first = false
		if t.table.Empty() {
			if _, err := io.WriteString(w, t.empty+"\n"); err != nil {
				return err
			}
			continue
		}
		if err := t.table.Write(w); err != nil {
			return err
		}
		if t.table == &incoming {
			if _, err := io.WriteString(w, keptLines(in)+partitionLines(st.Dispatchers, partitions)); err != nil {
				return err
			}
		}
	}
	return nil
}

// keptLines says how to look at kept messages.
func keptLines(in medispatcher.IncomingStatus) (lines string) {
	if in.Unrouted > 0 {
		lines += fmt.Sprintf("! no subscription wanted %s: medispatcher unrouted ls --newest\n", cli.Counted(in.Unrouted, "message"))
	}
	if in.Quarantine > 0 {
		lines += fmt.Sprintf("! %s could not be decoded or copied: medispatcher quarantine ls --newest\n", cli.Counted(in.Quarantine, "message"))
	}
	return lines
}

// partitionLines say that dispatchers disagree about partitions.
func partitionLines(all []medispatcher.Dispatcher, partitions int) (lines string) {
	if text := spreadsText(medispatcher.Spreads(all)); text != "" {
		lines = "! " + text + "\n"
	}
	var few []string
	for _, d := range all {
		if d.Alive && d.Partitions > 0 && d.Partitions < partitions {
			few = append(few, d.ID)
		}
	}
	if len(few) > 0 {
		lines += fmt.Sprintf("! %s of %d do not work on all %d partitions; start them again: %s\n", cli.Counted(int64(len(few)), "dispatcher"), len(all), partitions, strings.Join(few, ", "))
	}
	return lines
}

func dispatcherRow(d medispatcher.Dispatcher) []string {
	row := []string{d.ID, d.Host, strconv.Itoa(d.PID), d.Version, d.Env, "-", "alive"}
	if !d.Started.IsZero() {
		up := d.Heartbeat.Sub(d.Started)
		if d.Alive {
			up = time.Since(d.Started)
		}
		row[5] = cli.Age(up)
	}
	if d.Short != "" {
		row[6] = "short of " + d.Short
	}
	if !d.Alive {
		row[6] = "dead since " + d.Heartbeat.Format(time.DateTime)
	}
	for i := range row {
		if row[i] == "" {
			row[i] = "-"
		}
	}
	return row
}
