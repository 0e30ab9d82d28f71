package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/streams"
)

// replayFlags are the flags of replay.
type replayFlags struct {
	ask               medispatcher.ReplayAsk
	dryRun, yes, stop bool
}

func (a *app) replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:     "replay SUB",
		GroupID: groupOperate,
		Short:   "Deliver messages of the archive to a subscription again",
		Long: `Deliver again, from the archive, what a subscription already got or missed. The archive
holds each accepted message for MEDIS_RETENTION. Each message of the window becomes READY:
attempt 1, the same webhook-id as before, and the header medis-replay: true.

The topic of the subscription decides what it gets. --topic narrows that; with --all-topics
--topic alone decides.

Interrupt it at any time: the same command goes on where it was, and delivers nothing twice.
It adds no more while a thousand messages wait in the channel, so a slow subscription takes
its time and new messages do not wait behind the whole window.`,
		Example: `  medispatcher replay billing --since 2h --dry-run
  medispatcher replay billing --since 2h --topic 'order.*'
  medispatcher replay billing --since 2026-11-26T20:00:00Z --until 2026-11-26T21:30:00Z --yes
  medispatcher replay billing --stop`,
		Args: cli.Exactly("SUB"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			return s.replay(ctx, args[0], &f)
		}),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.ask.Since, "since", "", "begin so long ago, or at this `TIME`: 2h, 2026-11-26T20:00:00Z")
	flags.StringVar(&f.ask.Until, "until", "", "end so long ago, or at this `TIME` (now)")
	flags.StringVar(&f.ask.Topic, "topic", "", "only messages whose topic matches this `PATTERN`")
	flags.BoolVar(&f.ask.AllTopics, "all-topics", false, "also what the subscription itself does not ask for; needs --topic")
	flags.BoolVar(&f.dryRun, "dry-run", false, "count, and change nothing")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	flags.BoolVar(&f.stop, "stop", false, "stop a replay that is not finished")
	return a.jsonFlag(cmd, "print JSON")
}

func (s *state) replay(ctx context.Context, id string, f *replayFlags) error {
	if f.stop {
		return s.stopReplay(ctx, id)
	}
	sub, _, err := s.registry.Get(ctx, id)
	if err != nil {
		return s.notFound(ctx, id, err)
	}
	r, err := operate.NewReplay(ctx, id, f.ask, time.Now())
	if err != nil {
		return cli.Usagef("%s", flagged(err))
	}
	if sub.Paused && !f.dryRun {
		return fmt.Errorf("%s is paused: resume it first, with medispatcher sub resume %s", id, id)
	}
	if some, err := s.sayShortfall(ctx, r.Since); err != nil || !some {
		return cmp.Or(err, errors.New(operate.NoArchiveError))
	}
	x := s.replayer()
	if f.dryRun {
		return s.countReplay(ctx, x, r)
	}
	if !f.yes {
		if err := s.askReplay(ctx, x, r); err != nil {
			return err
		}
	}
	r, joined, err := s.store.StartReplay(ctx, r)
	if busy, is := errors.AsType[*medispatcher.ReplayBusyError](err); is {
		return fmt.Errorf("%w: medispatcher replay %s --stop", busy, id)
	}
	if err != nil {
		return err
	}
	if joined {
		_, _ = fmt.Fprintf(s.stderr, "%s: goes on with the replay that %s began at %s\n", cli.Clean(id), cli.Clean(r.By), r.Started.UTC().Format(time.RFC3339))
	}
	return s.runReplay(ctx, x, r)
}

// askReplay asks before a replay begins; to go on with one that was begun needs no question.
func (s *state) askReplay(ctx context.Context, x *streams.Replayer, r medispatcher.Replay) error {
	if _, err := s.store.ReplayOf(ctx, r.Subscription); !errors.Is(err, medispatcher.ErrNotFound) {
		return err
	}
	n, err := x.Count(ctx, r)
	if err != nil {
		return err
	}
	question := fmt.Sprintf("Deliver %s to %q again?", cli.Counted(n.Messages, "message"), r.Subscription)
	return s.ask(ctx, question, "this delivers messages again")
}

// flagged are the problems of a question, by their flags.
func flagged(err error) string {
	problems, ok := errors.AsType[medispatcher.Problems](err)
	if !ok {
		return err.Error()
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = "--" + strings.ReplaceAll(p.Field, "_", "-") + " " + p.Problem
	}
	return strings.Join(lines, "\n")
}

func (s *state) replayer() *streams.Replayer {
	return &streams.Replayer{Store: s.store.Store, Registry: s.registry}
}

// sayShortfall says what the archive lacks. some is whether it holds anything.
func (s *state) sayShortfall(ctx context.Context, since time.Time) (some bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	span, err := s.store.ArchiveSpan(ctx)
	if err != nil || span.Messages == 0 {
		return false, err
	}
	all, err := s.store.Dispatchers(ctx)
	if err != nil {
		return true, err
	}
	if says := operate.Shortfall(span, all, since); says != "" {
		_, _ = fmt.Fprintln(s.stderr, "! "+cli.Clean(says))
	}
	return true, nil
}

func (s *state) countReplay(ctx context.Context, x *streams.Replayer, r medispatcher.Replay) error {
	n, err := x.Count(ctx, r)
	if err != nil {
		return err
	}
	return s.tell(n, "%s: %s would be delivered again (%s), of %s in the archive since then", cli.Clean(r.Subscription),
		cli.Counted(n.Messages, "message"), medispatcher.Size(n.Bytes).About(), cli.Counted(n.Looked, "message"))
}

// runReplay carries a replay out, and shows how far it is.
func (s *state) runReplay(ctx context.Context, x *streams.Replayer, r medispatcher.Replay) error {
	bar := progressbar.NewOptions(1000,
		progressbar.OptionSetWriter(s.stderr), progressbar.OptionSetVisibility(cli.IsTerminal(s.stderr)),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(50*time.Millisecond), progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetDescription("0 replayed"))
	told := cli.IsTerminal(s.stderr) // where the bar says it
	x.Tell = func(now medispatcher.ReplayProgress) {
		if now.Waits && !told {
			told = true
			_, _ = fmt.Fprintf(s.stderr, "%s: waits for the subscription to take some of its messages; if this lasts, it is paused or its worker is down: see medispatcher status\n", cli.Clean(r.Subscription))
		}
		text := fmt.Sprintf("%d replayed", now.Replayed)
		if now.Waits {
			text += ", waits for the subscription"
		}
		bar.Describe(text)
		_ = bar.Set(min(999, int(now.Done*1000)))
	}
	done, err := x.Run(ctx, r)
	_ = bar.Finish()
	s.note(context.WithoutCancel(ctx), medispatcher.Deed{What: "replay-subscription", Subscription: r.Subscription, Counts: map[string]int64{"replayed": done.Replayed}}, err)
	again := "run it again to go on"
	if r.Background {
		again = "the dispatchers go on"
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted, %s replayed; %s, or stop it with medispatcher replay %s --stop", cli.Counted(done.Replayed, "message"), again, r.Subscription)
	case errors.Is(err, medispatcher.ErrNotFound):
		return fmt.Errorf("%s replayed, then the subscription was removed", cli.Counted(done.Replayed, "message"))
	case err != nil:
		return fmt.Errorf("%s replayed, but not all; %s: %w", cli.Counted(done.Replayed, "message"), again, s.explain(err))
	}
	if done.Done < 1 {
		return fmt.Errorf("%s replayed, then somebody stopped the replay", cli.Counted(done.Replayed, "message"))
	}
	return s.tell(done, "%s: %s replayed", cli.Clean(r.Subscription), cli.Counted(done.Replayed, "message"))
}

func (s *state) stopReplay(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	r, err := s.store.ReplayOf(ctx, id)
	if err != nil {
		return err
	}
	done, err := s.store.ReplayProgress(ctx, r)
	if err != nil {
		return err
	}
	err = s.store.EndReplay(ctx, &r)
	s.note(ctx, medispatcher.Deed{What: "stop-replay", Subscription: id, Counts: map[string]int64{"replayed": done.Replayed}}, err)
	if err != nil {
		return err
	}
	return s.tell(done, "%s: the replay is stopped, %s replayed", cli.Clean(id), cli.Counted(done.Replayed, "message"))
}
