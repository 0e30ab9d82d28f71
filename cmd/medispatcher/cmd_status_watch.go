package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

const (
	// repaint is how often status --watch looks again.
	repaint = time.Second
	// paintedLines are those that paint adds.
	paintedLines = 1
	// wholeTopics is the width from which on topics are shown.
	wholeTopics = 110
	// dispatchersPainted is the most dispatchers that a screen shows.
	dispatchersPainted = 4
)

// watchStatus repeats until ctx ends, which is no error. While Redis is away it says so, and tries
// again.
func (s *state) watchStatus(ctx context.Context, most int) error {
	tick := time.NewTicker(repaint)
	defer tick.Stop()
	paint := cli.IsTerminal(s.stdout) && !s.json
	for {
		var page bytes.Buffer
		var err error
		if columns, lines := s.screen(); paint && lines > 0 {
			err = s.writeFitting(ctx, &page, columns, lines-paintedLines)
		} else {
			err = s.writeStatus(ctx, &page, "", most)
		}
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
		if !s.json && !paint {
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
		page = time.Now().Format(time.TimeOnly) + "  Ctrl-C ends\n" + page
		page = "\x1b[H" + strings.ReplaceAll(strings.TrimSuffix(page, "\n"), "\n", "\x1b[K\n") + "\x1b[K\x1b[J"
	}
	_, err := io.WriteString(s.stdout, page)
	return err
}

// screen is the size of the terminal; 0 lines where there is none.
func (s *state) screen() (columns, lines int) {
	out := s.stdout
	if under, ok := out.(interface{ Under() io.Writer }); ok {
		out = under.Under()
	}
	f, ok := out.(*os.File)
	if !ok {
		return 0, 0
	}
	columns, lines, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, lines
}

func (s *state) writeFitting(ctx context.Context, w io.Writer, columns, lines int) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	st, err := operate.Part(ctx, s.registry, s.store, listed)
	if err != nil {
		return err
	}
	return printFitting(w, st, s.store.Partitions(), columns, lines)
}

// printFitting prints as much of the state as a screen holds: the subscriptions that need attention, then those with the most
// messages.
func printFitting(w io.Writer, st medispatcher.Status, partitions, columns, lines int) error {
	var head, foot bytes.Buffer
	incoming := incomingTable(st.Incoming, partitions)
	if err := incoming.Write(&head); err != nil {
		return err
	}
	head.WriteString(keptLines(st.Incoming) + partitionLines(st.Dispatchers, partitions) + "\n")
	if err := fittingDispatchers(&foot, st.Dispatchers); err != nil {
		return err
	}
	room := lines - strings.Count(head.String(), "\n") - strings.Count(foot.String(), "\n") - 3 // the header, what is left out, and an empty line
	st.Subscriptions = operate.ByUrgency(st.Subscriptions)
	subs := st.Subscriptions[:min(max(1, room), len(st.Subscriptions))]
	table := cli.Table{Header: []string{"SUBSCRIPTION", "STATE", ">READY", ">BURIED", ">RETRYING", ">DEAD", ">OLDEST"}}
	for _, c := range subs {
		name := c.ID
		if columns >= wholeTopics {
			name += "  " + c.Topic
		}
		table.Add(append([]string{cutMiddle(name, max(12, columns-58)), c.State}, countCells(&c)...)...)
	}
	body := head
	if table.Empty() {
		body.WriteString("no subscriptions; add one: medispatcher sub put ID --topic 'order.*' --url http://…\n")
	} else if err := table.Write(&body); err != nil {
		return err
	}
	body.WriteString(leftOut(st, subs) + "\n")
	_, _ = body.Write(foot.Bytes())
	page := strings.Split(strings.TrimSuffix(body.String(), "\n"), "\n")
	for i := range page {
		page[i] = cutTo(page[i], columns)
	}
	_, err := io.WriteString(w, strings.Join(page[:min(len(page), lines)], "\n")+"\n")
	return err
}

// leftOut says how many subscriptions are not shown, and what they have.
func leftOut(st medispatcher.Status, shown []medispatcher.ChannelStatus) string {
	all, here := st.Totals, medispatcher.TotalsOf(shown)
	if all.Subscriptions <= here.Subscriptions {
		return ""
	}
	about := "nothing waits there"
	if waiting := all.Ready + all.Buried - here.Ready - here.Buried; waiting > 0 {
		about = cli.Counted(waiting, "message") + " there"
	}
	rest := st.Subscriptions[len(shown):]
	switch urgent := len(operate.Attention(rest)); {
	case urgent == 0:
	case urgent == len(rest) && all.Subscriptions > len(st.Subscriptions):
		about += fmt.Sprintf(", at least %d need attention", urgent)
	default:
		about += fmt.Sprintf(", %d need attention", urgent)
	}
	return fmt.Sprintf("and %d more: %s\n", all.Subscriptions-here.Subscriptions, about)
}

func fittingDispatchers(w io.Writer, all []medispatcher.Dispatcher) error {
	if len(all) == 0 {
		_, err := io.WriteString(w, "no dispatcher runs; start one: medispatcher serve\n")
		return err
	}
	worst := slices.Clone(all)
	trouble := func(d medispatcher.Dispatcher) int {
		switch {
		case !d.Alive:
			return 0
		case d.Short != "" || d.LogProblem != "":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(worst, func(x, y medispatcher.Dispatcher) int { return cmp.Compare(trouble(x), trouble(y)) })
	table := cli.Table{Header: []string{"DISPATCHER", "VERSION", ">UP", ">BREAKERS", "STATE"}}
	for _, d := range worst[:min(len(worst), dispatchersPainted)] {
		row := dispatcherRow(d)
		state := row[6]
		if d.Alive && d.LogProblem != "" {
			state = "cannot write a log: " + d.LogProblem
		}
		table.Add(cutMiddle(d.ID, 30), cutTo(row[3], 12), row[5], strconv.Itoa(d.HeldTotal), state)
	}
	if err := table.Write(w); err != nil {
		return err
	}
	if more := len(all) - dispatchersPainted; more > 0 {
		_, err := fmt.Fprintf(w, "and %d more\n", more)
		return err
	}
	return nil
}

// cutMiddle shortens a name, whose end often tells it from others.
func cutMiddle(name string, columns int) string {
	r := []rune(name)
	if len(r) <= columns {
		return name
	}
	end := columns / 3
	return string(r[:columns-end-1]) + "…" + string(r[len(r)-end:])
}

// cutTo keeps a line within so many columns.
func cutTo(text string, columns int) string {
	if r := []rune(text); columns > 0 && len(r) > columns {
		return string(r[:columns-1]) + "…"
	}
	return text
}
