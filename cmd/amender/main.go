// Command amender is the job that gives back what crashed dispatchers left behind.
// Dispatchers do the same for each other; the job is for when none of them runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/amender"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/streams"
)

var _ amender.Store = (*streams.Store)(nil)

// Set by the release build: -ldflags "-X main.version=… -X main.commit=… -X main.date=…".
var version, commit, date string

// atMost bounds the whole job. With MEDIS_DEAD_AFTER=1h the job listens for half an hour.
const atMost = 40 * time.Minute

const long = `amender gives back what crashed dispatchers, and commands typed by hand, left behind:
messages that were read, are not settled, and belong to no living dispatcher. It never
touches what a living one has in flight: before it takes anything, it listens for a heartbeat
of the owner for half the dead-after limit. Running dispatchers do the same by themselves.

It reads the same variables as the dispatchers, and refuses the same wrong values. It uses:
  MEDIS_REDIS_URL     the Redis of the dispatchers (redis://127.0.0.1:6379/0)
  MEDIS_KEY_PREFIX    what every key begins with, as the dispatchers have it (medis)
  MEDIS_PARTITIONS    how many partitions there are, as the dispatchers have it (1)

Exit codes: 0 done, 1 something could not be given back, 2 wrong arguments or configuration.`

const example = `  amender --dry-run
  amender -f production.env --sub billing --json`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program but for the process around it. environ has the form of os.Environ.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	j := job{environ: environ, stdout: stdout, stderr: stderr}
	cmd := j.command()
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err != nil {
		cli.Complain(stderr, "amender", err)
	}
	if err != nil && !j.started {
		return cli.ExitUsage
	}
	return cli.ExitCode(err)
}

// job is one run of the program.
type job struct {
	environ        []string
	envFile        string
	stdout, stderr io.Writer
	sub            string
	json           bool
	options        amender.Options
	started        bool // the command line is right
}

func (j *job) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "amender [-f FILE.env] [--dry-run] [--sub ID] [--force] [--json]",
		DisableFlagsInUseLine: true,
		Long:                  long,
		Example:               example,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return cli.Usagef("unexpected argument %q; choose a subscription with --sub; see %s --help", args[0], cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return j.run(cmd.Context()) },
	}
	cmd.SetOut(j.stdout)
	cmd.SetErr(j.stderr)
	cli.Root(cmd, cli.ReadBuild("amender", version, commit, date), &j.envFile)
	flags := cmd.Flags()
	flags.BoolVar(&j.options.DryRun, "dry-run", false, "say what would be given back, and change nothing")
	flags.StringVar(&j.sub, "sub", "", "look at the subscription with this `ID` only")
	flags.BoolVar(&j.options.Force, "force", false, "messages that wait for their next attempt become due now, too")
	flags.BoolVar(&j.json, "json", false, "print the report as JSON")
	return cmd
}

func (j *job) run(ctx context.Context) error {
	j.started = true
	if j.sub != "" {
		if field, wrong := errors.AsType[medispatcher.FieldError](medispatcher.CheckSubscriptionID(j.sub)); wrong {
			return cli.Usagef("--sub: %s", field.Problem)
		}
	}
	cfg, _, _, err := cli.Load(j.environ, j.envFile, config.NeedsRedis, j.stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	report, err := j.amend(ctx, &cfg)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("not done within %s; what is given back stays so, run it again to go on", medispatcher.ShortDuration(atMost))
	default:
		err = cli.Explain(err, cfg.RedisURL)
	}
	if err != nil && len(report.Rows) == 0 && report.Vanished == 0 {
		return err // nothing was done, and nobody knows whether there is something to do
	}
	return errors.Join(j.print(report), err)
}

// amend gives back what it can.
func (j *job) amend(ctx context.Context, cfg *config.Config) (report amender.Report, err error) {
	store, err := joined.Open(cfg.Streams("amender", slog.Default()))
	if err != nil {
		return report, err
	}
	defer func() { _ = store.Close() }()
	if err := cli.Reach(ctx, store, cfg.RedisURL); err != nil {
		return report, err
	}
	ids, err := store.SubscriptionIDs(ctx)
	if err != nil {
		return report, err
	}
	partitions, err := store.LearnPartitions(ctx)
	if err != nil {
		return report, err
	}
	o := j.options
	o.Partitions, o.Subs, o.Incoming, o.Listen = partitions, ids, true, true
	if j.sub != "" {
		if err := known(ctx, store, j.sub, ids); err != nil {
			return report, err
		}
		o.Subs, o.Idle, o.Incoming = []string{j.sub}, true, false
	}
	report, err = amender.Run(ctx, store, o)
	for _, v := range store.TakeVanished() {
		report.Vanished += v.Count
	}
	return report, err
}

// known refuses a subscription that does not exist and left no messages.
func known(ctx context.Context, store *joined.Store, sub string, ids []string) error {
	if slices.Contains(ids, sub) {
		return nil
	}
	held, err := operate.HeldBy(ctx, store, sub)
	if err != nil || !held.Empty() {
		return err
	}
	return fmt.Errorf("subscription %q: %w; %s", sub, medispatcher.ErrNotFound, medispatcher.DidYouMean(sub, ids, cli.ListSubscriptions))
}
