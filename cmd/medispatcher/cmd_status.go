package main

import (
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

func (a *app) statusCommand() *cobra.Command {
	var watch bool
	var limit limitFlag
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: groupOperate,
		Short:   "Count the messages of every subscription",
		Long: `Count the messages before their fan-out and in every channel, and list the dispatchers.

READY     not yet read by a dispatcher
BURIED    read and not settled: in flight, or waiting for the next attempt
RETRYING  those of BURIED that failed and wait for their next attempt
DEAD      given up, kept, can be replayed
OLDEST    age of the oldest message that is not settled; of one that waited behind its key, since its turn came

QUARANTINE counts what could not be decoded, UNROUTED what nobody wanted. Both are kept and
can be replayed: medispatcher quarantine, medispatcher unrouted.

SHARE OF lists what each dispatcher may have in flight of a subscription whose scope is the
cluster. One that is not listed takes nothing of it.

Of more subscriptions than --limit it lists those that need attention and then those with the
most messages.

STATE is active, paused, or breaker_open: the worker failed every recent message, so
dispatchers hold the others back and probe it now and then.`,
		Example: `  medispatcher status --watch
  medispatcher status --json | jq '.subscriptions[] | select(.dead > 0)'`,
		Args: cli.NoArgs,
		RunE: a.withState(func(ctx context.Context, s *state, _ []string) error {
			most, err := limit.most(s.json)
			if err != nil {
				return err
			}
			if watch {
				return s.watchStatus(ctx, most)
			}
			return s.writeStatus(ctx, s.stdout, "  ", most)
		}),
	}
	limit.add(cmd)
	cmd.Flags().BoolVar(&watch, "watch", false, "repeat every second, until Ctrl-C; a terminal shows what fits, the most urgent first")
	return a.jsonFlag(cmd, "print JSON; with --watch one object a line")
}

func (s *state) writeStatus(ctx context.Context, w io.Writer, indent string, most int) error {
	ctx, cancel := context.WithTimeout(ctx, allWithin)
	defer cancel()
	st, err := operate.Part(ctx, s.registry, s.store, most)
	if err != nil {
		return err
	}
	if s.json {
		return cli.WriteJSON(w, st, indent)
	}
	return printStatus(w, st, s.store.Partitions())
}

func printStatus(w io.Writer, st medispatcher.Status, partitions int) error {
	in := st.Incoming
	incoming := incomingTable(in, partitions)
	subs := cli.Table{Header: []string{"SUBSCRIPTION", "TOPIC", "STATE", ">READY", ">BURIED", ">RETRYING", ">DEAD", ">OLDEST"}}
	waits := slices.ContainsFunc(st.Subscriptions, func(c medispatcher.ChannelStatus) bool { return c.Waiting > 0 })
	if waits {
		subs.Header = append(subs.Header, ">WAITING")
	}
	for _, c := range st.Subscriptions {
		row := append([]string{c.ID, c.Topic, c.State}, countCells(&c)...)
		if waits {
			row = append(row, strconv.FormatInt(c.Waiting, 10))
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
	shares := sharesTable(st.Subscriptions)
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
		{&shares, ""},
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
		if more := leftOut(st, st.Subscriptions); t.table == &subs && more != "" {
			if _, err := io.WriteString(w, more); err != nil {
				return err
			}
		}
		if t.table == &incoming {
			if _, err := io.WriteString(w, keptLines(in)+partitionLines(st.Dispatchers, partitions)+shareLines(st)); err != nil {
				return err
			}
		}
	}
	return nil
}

// shareLines say who does not know of shares.
func shareLines(st medispatcher.Status) (lines string) {
	if !slices.ContainsFunc(st.Subscriptions, func(c medispatcher.ChannelStatus) bool { return len(c.Shares) > 0 }) {
		return ""
	}
	for _, d := range st.Dispatchers {
		if d.Alive && d.SharesNothing() {
			lines += "! " + d.ID + " is of an earlier version and does not divide the limits of subscriptions whose scope is the cluster; start it again\n"
		}
	}
	return lines
}

// sharesShown bounds the lines about shares.
const sharesShown = 40

// sharesTable has the shares of subscriptions whose limits hold in all dispatchers together.
func sharesTable(subs []medispatcher.ChannelStatus) cli.Table {
	t := cli.Table{Header: []string{"SHARE OF", "DISPATCHER", ">PUSHES", ">RETRIES"}}
	lines, more := 0, 0
	for _, c := range subs {
		if lines += len(c.Shares); lines > sharesShown && lines > len(c.Shares) {
			more += min(1, len(c.Shares))
			continue
		}
		for _, s := range c.Shares {
			t.Add(c.ID, s.Dispatcher, strconv.Itoa(s.Pushes), strconv.Itoa(s.Retries))
		}
	}
	if more > 0 {
		t.Add(fmt.Sprintf("and %d more", more), "-", "-", "-")
	}
	return t
}

func incomingTable(in medispatcher.IncomingStatus, partitions int) cli.Table {
	table := cli.Table{Header: []string{"INCOMING", ">READY", ">BURIED", ">DELAYED", ">QUARANTINE", ">UNROUTED", ">OLDEST"}}
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	table.Add(cli.Counted(int64(partitions), "partition"), n(in.Ready), n(in.Buried), n(in.Delayed), n(in.Quarantine), n(in.Unrouted), ageCell(in.OldestMS))
	return table
}

// countCells are the counts of a subscription as a table has them.
func countCells(c *medispatcher.ChannelStatus) (cells []string) {
	for _, n := range []int64{c.Ready, c.Buried, c.Retrying, c.Dead} {
		cells = append(cells, strconv.FormatInt(n, 10))
	}
	return append(cells, ageCell(c.OldestMS))
}

func ageCell(ms int64) string { return cli.Age(time.Duration(ms) * time.Millisecond) }

// keptLines says how to look at kept messages.
func keptLines(in medispatcher.IncomingStatus) (lines string) {
	if in.Unrouted > 0 {
		lines += fmt.Sprintf("! no subscription wanted %s: medispatcher unrouted ls --newest\n", cli.Counted(in.Unrouted, "message"))
	}
	if in.Quarantine > 0 {
		lines += fmt.Sprintf("! %s could not be decoded or copied: medispatcher quarantine ls --newest\n", cli.Counted(in.Quarantine, "message"))
	}
	if a := in.Archive; a != nil && a.Messages > 0 {
		lines += fmt.Sprintf("archive: %s, %s, the oldest %s old\n", cli.Counted(a.Messages, "message"), medispatcher.Size(a.Bytes).About(), cli.Age(time.Since(a.Oldest)))
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
