package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

func matchFlag(cmd *cobra.Command, match *string) {
	cmd.Flags().StringVar(match, "match", "", "only those that hold `TEXT`: an id, a topic, an error, …")
}

// searchOf is a search for a text; "" is for all.
func searchOf(match string) (q medispatcher.Search, err error) {
	if match == "" {
		return q, nil
	}
	if q.Match, err = medispatcher.ParseMatch(match); err != nil {
		return q, cli.Usagef("--match %v", err)
	}
	return q, nil
}

// aWhile says yes for half of the time that a step has.
func aWhile() func(int64) bool {
	until := time.Now().Add(stepWithin / 2)
	return func(int64) bool { return time.Now().Before(until) }
}

// changeMatching counts the messages that match, asks, and replays or purges exactly those.
func (s *state) changeMatching(ctx context.Context, t *placeTexts, p place, scope, done, match string, ids []string, ask func(n int64) error,
	do func(context.Context, medispatcher.Search) (outcome, string, error),
) error {
	if len(ids) > 0 {
		return cli.Usagef("name messages by their ids or by --match, not by both")
	}
	var q medispatcher.Search
	var err error
	if q.Match, err = medispatcher.ParseMatch(match); err != nil {
		return cli.Usagef("--match %v", err)
	}
	n, err := countMatching(ctx, p, q)
	if err != nil {
		return err
	}
	if ask != nil {
		if err := ask(n.Matching); err != nil {
			return err
		}
	}
	if !s.json {
		verb := "match"
		if n.Matching == 1 {
			verb = "matches"
		}
		_, _ = fmt.Fprintf(s.stderr, "%s %s\n", cli.Some(n.Matching, n.Looked, t.what), verb)
	}
	q.Until = n.Until
	bar := &lazyBar{s: s, what: done}
	var sum outcome
	noted := func(err error) {
		s.note(ctx, medispatcher.Deed{What: t.deed(done), Subscription: scope, Counts: map[string]int64{done: sum.done, "matching": n.Matching}}, err)
	}
	for n.Matching > 0 {
		o, next, err := do(ctx, q)
		sum.add(o)
		if err != nil {
			bar.finish()
			noted(err)
			return fmt.Errorf("%d %s before it stopped; repeat it to go on: %w", sum.done, done, s.explain(err))
		}
		bar.set(sum.done, n.Matching)
		if q.After = next; next == "" {
			break
		}
	}
	bar.finish()
	noted(nil)
	about := map[string]any{done: sum.done, "matching": n.Matching}
	if sum.unwanted > 0 {
		about["unwanted"] = sum.unwanted
	}
	if sum.refused > 0 {
		about["refused"], about["refusals"] = sum.refused, sum.refusals
	}
	sum.json = about
	if sum.unwanted > 0 {
		_, _ = fmt.Fprintf(s.stderr, "medispatcher: no subscription wants %s, which came back; medispatcher unrouted ls shows the topics\n", cli.Some(sum.unwanted, sum.done, t.what))
	}
	return s.tellOutcome(t, scope, done, sum)
}

// countMatching counts in as many steps as it takes.
func countMatching(ctx context.Context, p place, q medispatcher.Search) (sum medispatcher.MatchCount, err error) {
	for {
		n, err := p.count(ctx, q)
		sum.Matching, sum.Looked, sum.Until = sum.Matching+n.Matching, sum.Looked+n.Looked, n.Until
		if err != nil || n.Next == "" {
			return sum, err
		}
		q.Until, q.After = n.Until, n.Next
	}
}

// add adds up steps. The first refusals are enough.
func (o *outcome) add(more outcome) {
	o.done, o.unwanted, o.missing, o.refused = o.done+more.done, o.unwanted+more.unwanted, o.missing+more.missing, o.refused+more.refused
	if o.refusals == nil {
		o.refusals = more.refusals
	}
}
