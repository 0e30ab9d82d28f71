package main

import (
	"context"
	"fmt"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

func (a *app) keptReplayCommand(place medispatcher.KeptPlace) *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:   "replay [ID…]",
		Short: "Try them again, all of them or some",
		Long:  keptHelp[place].replay,
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.replayKept(ctx, place, args)
		}),
	}, "print JSON")
}

func (s *state) replayKept(ctx context.Context, place medispatcher.KeptPlace, ids []string) error {
	subs, err := s.registry.Latest(ctx)
	if err != nil {
		return err
	}
	if place == medispatcher.PlaceUnrouted {
		if err := s.warnUnwanted(ctx, subs.Router, ids); err != nil {
			return keptError(err)
		}
	}
	var done medispatcher.KeptDone
	if len(ids) > 0 {
		done, err = s.store.ReplayKept(ctx, place, ids, s.cfg.KeptRules(subs))
	} else {
		bar := s.barOf("replayed")
		done, err = s.store.ReplayAllKept(ctx, place, s.cfg.KeptRules(subs), bar.set)
		bar.finish()
	}
	if err != nil {
		if done.Replayed == 0 {
			return keptError(err)
		}
		return fmt.Errorf("%d replayed before it stopped; repeat it to go on: %w", done.Replayed, s.explain(err))
	}
	if err := s.tell(keptDone(done), "%s: %s replayed", place, counted(done.Replayed, "message")); err != nil {
		return err
	}
	for _, r := range done.Refusals {
		_, _ = fmt.Fprintf(s.stderr, "medispatcher: %s: %s\n", r.ID, clean(r.Problem))
	}
	switch {
	case done.Refused > 0:
		return fmt.Errorf("%s not replayed and kept; medispatcher %s show ID shows one whole", counted(done.Refused, "message"), place)
	case done.Missing > 0:
		return fmt.Errorf("%s not there any more", counted(done.Missing, "message"))
	}
	return nil
}

// keptDone is what a replay did, in JSON.
func keptDone(d medispatcher.KeptDone) map[string]any {
	out := map[string]any{"replayed": d.Replayed, "unwanted": d.Unwanted, "missing": d.Missing, "refused": d.Refused}
	if d.Refused > 0 {
		out["refusals"] = d.Refusals
	}
	return out
}

// unwantedLooked bounds the messages that are looked at before all are replayed.
const unwantedLooked = 20_000

// warnUnwanted says how many of the messages that are to be replayed will come back.
func (s *state) warnUnwanted(ctx context.Context, router *medispatcher.Router, ids []string) error {
	topics, looked, err := s.store.KeptTopics(ctx, medispatcher.PlaceUnrouted, unwantedLooked, ids...)
	if err != nil {
		return err
	}
	var unwanted []medispatcher.TopicCount
	back := int64(0)
	for _, t := range topics {
		if len(router.Route(t.Topic)) == 0 {
			unwanted = append(unwanted, t)
			back += t.Count
		}
	}
	if back > 0 {
		_, _ = fmt.Fprintf(s.stderr, "medispatcher: no subscription wants %d of %s, which will come back: %s\n",
			back, counted(int64(looked), "message"), clean(operate.NameTopics(router, unwanted)))
	}
	return nil
}

func (a *app) keptPurgeCommand(place medispatcher.KeptPlace) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "purge [ID…]",
		Short: keptHelp[place].purge,
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.purgeKept(ctx, place, args, yes)
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return a.jsonFlag(cmd, "print JSON")
}

func (s *state) purgeKept(ctx context.Context, place medispatcher.KeptPlace, ids []string, yes bool) error {
	if len(ids) == 0 && !yes {
		if err := s.confirm(ctx, fmt.Sprintf("Throw away all messages in %s?", place)); err != nil {
			return err
		}
	}
	return s.change(ctx, ids, "purged", "message", string(place),
		func(ctx context.Context, ids []string) (int, error) { return s.store.PurgeKept(ctx, place, ids) },
		func(ctx context.Context, more func(done, all int64) bool) (done, left int64, err error) {
			return s.store.PurgeAllKept(ctx, place, more)
		})
}

// lazyBar is a progress bar that begins when it is known how much there is to do.
type lazyBar struct {
	s    *state
	what string
	bar  *progressbar.ProgressBar
}

func (s *state) barOf(what string) *lazyBar { return &lazyBar{s: s, what: what} }

// set shows how far it is. It never says stop.
func (b *lazyBar) set(n, of int64) bool {
	if b.bar == nil {
		b.bar = b.s.progress(of, b.what)
	}
	_ = b.bar.Set64(min(n, of))
	return true
}

func (b *lazyBar) finish() {
	if b.bar != nil {
		_ = b.bar.Finish()
	}
}
