// Command amender is the job that gives back what crashed dispatchers left behind.
// Dispatchers do the same for each other; the job is for when none of them runs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/caarlos0/env/v10"
	"github.com/joho/godotenv"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/amender"
	"github.com/solate/medispatcher/streams"
)

var _ amender.Store = (*streams.Store)(nil)

// Exit codes.
const (
	exitOK     = 0 // done; the table says what
	exitFailed = 1 // something could not be given back
	exitUsage  = 2 // wrong arguments or configuration
)

// atMost bounds the whole job. It listens for up to half an hour where MEDIS_DEAD_AFTER is an hour.
const atMost = 40 * time.Minute

const usage = `amender gives back what crashed dispatchers, and commands typed by hand, left behind:
messages that were read, are not settled, and belong to no living dispatcher. What a
living one has in flight is never touched: before it takes anything, it listens for half the
dead-after limit whether the owner is heard. Running dispatchers do the same by themselves.

Usage:
  amender [-f FILE.env] [--dry-run] [--sub ID] [--force] [--json]

Flags:
  -f FILE.env   dotenv file whose variables lie beneath the environment
  --dry-run     say what would be given back, and change nothing
  --sub ID      one subscription only
  --force       messages that wait for their next attempt become due now, too
  --json        the report as JSON
  --version     print the version

Variables: MEDIS_REDIS_URL, MEDIS_KEY_PREFIX, MEDIS_PARTITIONS, as the dispatchers have them.
Exit codes: 0 done, 1 something could not be given back, 2 wrong arguments or configuration.
`

// config is the part of the dispatchers' configuration that the job needs.
type config struct {
	RedisURL   string `env:"MEDIS_REDIS_URL" envDefault:"redis://127.0.0.1:6379/0"`
	KeyPrefix  string `env:"MEDIS_KEY_PREFIX" envDefault:"medis"`
	Partitions int    `env:"MEDIS_PARTITIONS" envDefault:"1"`
}

var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is the whole job.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	var o amender.Options
	var file, sub string
	var asJSON, showVersion bool
	flags := flag.NewFlagSet("amender", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&file, "f", "", "")
	flags.BoolVar(&o.DryRun, "dry-run", false, "")
	flags.StringVar(&sub, "sub", "", "")
	flags.BoolVar(&o.Force, "force", false, "")
	flags.BoolVar(&asJSON, "json", false, "")
	flags.BoolVar(&showVersion, "version", false, "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(stdout, usage)
		return exitOK
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q; choose a subscription with --sub", flags.Arg(0))
	case showVersion:
		_, _ = fmt.Fprintln(stdout, "amender", version)
		return exitOK
	}
	if err != nil {
		complain(stderr, fmt.Errorf("%w; see amender --help", err))
		return exitUsage
	}
	cfg, err := loadConfig(environ, file)
	if err != nil {
		complain(stderr, err)
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	report, err := amend(ctx, cfg, o, sub)
	if asJSON {
		_ = json.NewEncoder(stdout).Encode(report)
	} else {
		table(stdout, report, o.DryRun)
	}
	if err != nil {
		complain(stderr, err)
		return exitFailed
	}
	return exitOK
}

func amend(ctx context.Context, cfg config, o amender.Options, sub string) (amender.Report, error) {
	store, err := streams.Open(streams.Config{URL: cfg.RedisURL, Prefix: cfg.KeyPrefix, Partitions: cfg.Partitions, ID: "amender"})
	if err != nil {
		return amender.Report{}, err
	}
	defer func() { _ = store.Close() }()
	ids, err := store.SubscriptionIDs(ctx)
	if err != nil {
		return amender.Report{}, fmt.Errorf("%w; check MEDIS_REDIS_URL", err)
	}
	o.Partitions, o.Subs, o.Incoming, o.Listen = cfg.Partitions, ids, true, true
	if sub != "" {
		if err := medispatcher.CheckSubscriptionID(sub); err != nil {
			return amender.Report{}, err
		}
		o.Subs, o.Incoming = []string{sub}, false
	}
	report, err := amender.Run(ctx, store, o)
	for _, v := range store.TakeVanished() {
		report.Vanished += v.Count
	}
	return report, err
}

func loadConfig(environ []string, file string) (cfg config, err error) {
	values := map[string]string{}
	if file != "" {
		if values, err = godotenv.Read(file); err != nil {
			return cfg, fmt.Errorf("cannot read %s: %w", file, err)
		}
	}
	for _, kv := range environ {
		if name, v, _ := strings.Cut(kv, "="); v != "" {
			values[name] = v
		}
	}
	if err := env.ParseWithOptions(&cfg, env.Options{Environment: values}); err != nil {
		return cfg, errors.New("MEDIS_PARTITIONS: give a whole number, the same as the dispatchers have")
	}
	var problems []error
	if err := streams.CheckURL(cfg.RedisURL); err != nil {
		problems = append(problems, fmt.Errorf("MEDIS_REDIS_URL %w", err))
	}
	if err := streams.CheckPrefix(cfg.KeyPrefix); err != nil {
		problems = append(problems, fmt.Errorf("MEDIS_KEY_PREFIX: %w", err))
	}
	if cfg.Partitions < 1 {
		problems = append(problems, fmt.Errorf("MEDIS_PARTITIONS=%d: give at least 1, the same as the dispatchers have", cfg.Partitions))
	}
	return cfg, errors.Join(problems...)
}

func complain(w io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintln(w, "amender:", strings.TrimSpace(line))
	}
}

func table(w io.Writer, report amender.Report, dryRun bool) {
	what := "given back"
	if dryRun {
		what = "to be given back"
	}
	messages := "messages"
	if report.Kicked() == 1 {
		messages = "message"
	}
	if report.Vanished > 0 {
		_, _ = fmt.Fprintf(w, "Taken out of Redis by hand, and lost: %d.\n", report.Vanished)
	}
	if len(report.Rows) == 0 {
		_, _ = fmt.Fprintln(w, "Nothing to amend: every message that was read belongs to a living dispatcher, or waits.")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(t, "CHANNEL\tPARTITION\tOWNER\tMESSAGES")
	for _, row := range report.Rows {
		channel, owner := row.Subscription, row.Owner
		if channel == "" {
			channel = "(incoming)"
		}
		if owner == "" {
			owner = "(waiting)"
		}
		if owner == amender.Nobody {
			owner = "(nobody)"
		}
		note := ""
		if row.Error != "" {
			note = "\tfailed"
		}
		_, _ = fmt.Fprintf(t, "%s\t%d\t%s\t%d%s\n", channel, row.Partition, owner, row.Kicked, note)
	}
	_ = t.Flush()
	_, _ = fmt.Fprintf(w, "%d %s %s.\n", report.Kicked(), messages, what)
}
