package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

type progressFunc = func(done, all int64) bool

// outcome is what became of messages that were to be replayed or purged.
type outcome struct {
	done, unwanted, missing, refused int64
	refusals                         []medispatcher.KeptRefusal
	json                             any
}

func (a *app) placeReplayCommand(t *placeTexts) *cobra.Command {
	var match string
	var cmd *cobra.Command
	cmd = &cobra.Command{
		Use:   t.use("replay", "[ID…]"),
		Short: t.replay,
		Long:  t.replayed,
		Args:  t.some(),
		RunE: a.withPlace(t, func(ctx context.Context, s *state, p place, scope string, ids []string) error {
			if cmd.Flags().Changed("match") {
				return s.changeMatching(ctx, t, p, scope, "replayed", match, ids, nil, p.replayMatching)
			}
			return s.changePlace(ctx, t, scope, "replayed", ids, p.replay)
		}),
	}
	matchFlag(cmd, &match)
	return a.jsonFlag(cmd, "print JSON")
}

func (a *app) placePurgeCommand(t *placeTexts) *cobra.Command {
	var yes bool
	var match string
	var cmd *cobra.Command
	cmd = &cobra.Command{
		Use:   t.use("purge", "[ID…]"),
		Short: t.purge,
		Args:  t.some(),
		RunE: a.withPlace(t, func(ctx context.Context, s *state, p place, scope string, ids []string) error {
			if cmd.Flags().Changed("match") {
				ask := func(n int64) error {
					if yes || n == 0 {
						return nil
					}
					return s.confirm(ctx, fmt.Sprintf("Purge %s that match %q?", cli.Counted(n, t.what), match))
				}
				return s.changeMatching(ctx, t, p, scope, "purged", match, ids, ask, p.purgeMatching)
			}
			if len(ids) == 0 && !yes {
				if err := s.confirm(ctx, t.all(scope)); err != nil {
					return err
				}
			}
			return s.changePlace(ctx, t, scope, "purged", ids, p.purge)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	matchFlag(cmd, &match)
	return a.jsonFlag(cmd, "print JSON")
}

// changePlace replays or purges, and prints the outcome.
func (s *state) changePlace(ctx context.Context, t *placeTexts, scope, done string, ids []string,
	do func(context.Context, []string, progressFunc) (outcome, error),
) error {
	bar := &lazyBar{s: s, what: done}
	o, err := do(ctx, ids, bar.set)
	bar.finish()
	if err == nil || o.done > 0 {
		deed := medispatcher.Deed{What: t.deed(done), Subscription: scope, Counts: map[string]int64{done: o.done}}
		for name, n := range map[string]int64{"missing": o.missing, "refused": o.refused} {
			if n > 0 {
				deed.Counts[name] = n
			}
		}
		deed.Name(ids)
		s.note(ctx, deed, err)
	}
	switch {
	case err != nil && o.done == 0 && len(ids) > 0:
		return usageOr(err)
	case err != nil:
		return fmt.Errorf("%d %s before it stopped; repeat it to go on: %w", o.done, done, s.explain(err))
	}
	return s.tellOutcome(t, scope, done, o)
}

// tellOutcome prints what became of messages.
func (s *state) tellOutcome(t *placeTexts, scope, done string, o outcome) error {
	if err := s.tell(o.json, "%s: %s %s", t.where(scope), cli.Counted(o.done, t.what), done); err != nil {
		return err
	}
	for _, r := range o.refusals {
		_, _ = fmt.Fprintf(s.stderr, "medispatcher: %s: %s\n", r.ID, cli.Clean(r.Problem))
	}
	switch {
	case o.refused > 0:
		return fmt.Errorf("%s not %s but kept; medispatcher %s show ID shows one whole", cli.Counted(o.refused, t.what), done, t.name)
	case o.missing > 0:
		return fmt.Errorf("%s not there any more", cli.Counted(o.missing, t.what))
	}
	return nil
}

// deed names what was done as the API does: replay-dead-letters, purge-unrouted.
func (t *placeTexts) deed(done string) string {
	verb := map[string]string{"replayed": "replay-", "purged": "purge-"}[done]
	if t.name == "dead" {
		return verb + "dead-letters"
	}
	return verb + t.name
}

// someOrAll is the outcome of one thing done to the messages named, or to all.
func someOrAll(done string, ids []string, more progressFunc,
	some func(ids []string) (int, error), all func(progressFunc) (done, left int64, err error),
) (outcome, error) {
	if ids = operate.Distinct(ids); len(ids) > 0 {
		n, err := some(ids)
		missing := len(ids) - n
		return outcome{done: int64(n), missing: int64(missing), json: map[string]int{done: n, "missing": missing}}, err
	}
	n, _, err := all(more)
	return outcome{done: n, json: map[string]int64{done: n}}, err
}
