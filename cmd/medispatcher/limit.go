package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher/cmd/internal/cli"
)

// listed is how many subscriptions a table has, unless --limit says otherwise.
const listed = 1000

// limitFlag is the flag --limit of a command that lists subscriptions. With --json all are listed where it is not given: who
// reads that may not see that it is a part.
type limitFlag struct {
	n     int
	flags *cobra.Command
}

func (l *limitFlag) add(cmd *cobra.Command) {
	l.flags = cmd
	cmd.Flags().IntVar(&l.n, "limit", listed, "list at most `N` subscriptions; 0 lists all, and so does --json without it")
}

// most is how many to list.
func (l *limitFlag) most(json bool) (int, error) {
	switch {
	case l.n < 0:
		return 0, cli.UsageError("--limit is below 0; 0 lists all")
	case l.n == 0, json && !l.flags.Flags().Changed("limit"):
		return math.MaxInt, nil
	}
	return l.n, nil
}

// afterFlag is the flag of a list that has pages.
func afterFlag(cmd *cobra.Command, after *string) {
	cmd.Flags().StringVar(after, "after", "", "list subscriptions whose id comes after `ID`")
}

// tellNext says how to see the next page.
func (s *state) tellNext(next string) (err error) {
	if next != "" {
		_, err = fmt.Fprintf(s.stderr, "and more: --after %s lists the next ones, --limit 0 lists all\n", next)
	}
	return err
}

// page is a part of all ids, sorted, that begins after one of them. next is the last of the page if there are more.
func page(ids []string, after string, most int) (part []string, next string, err error) {
	at, found := slices.BinarySearch(ids, after)
	if found {
		at++
	}
	part = ids[at:]
	switch {
	case after != "" && len(part) == 0:
		return nil, "", fmt.Errorf("no subscription comes after %q", after)
	case len(part) > most:
		return part[:most], part[most-1], nil
	}
	return part, "", nil
}
