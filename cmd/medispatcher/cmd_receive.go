package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/verify"
)

// receiveFlags are what the user asks of the sample worker.
type receiveFlags struct {
	listen    string
	secrets   []string
	tolerance time.Duration
	mood      mood
}

func (a *app) receiveCommand() *cobra.Command {
	var f receiveFlags
	cmd := &cobra.Command{
		Use:     "receive",
		GroupID: groupRun,
		Short:   "Run a sample worker that prints what it gets",
		Long: `Run a sample HTTP worker: it takes every message and prints it. Subscribe its address to see
what a subscription would get.

With --secret it takes only what the subscription's secret signed (Standard Webhooks), and
answers 401 to the rest. Give --secret twice while a secret is changed.

It misbehaves on request, which shows what retries, breaker and alerts make of such a worker:
--fail makes some of the answers failures, --delay makes all of them late, --status says what
it answers: to everything, or with --fail to the failures.

Of a batch it prints the messages, and with --fail it fails some of them by name, so that these
alone are pushed again; with --status it fails some batches as a whole.

Pushes of "encoding": "form" get the answer that this protocol asks for.`,
		Example: `  medispatcher receive --listen 127.0.0.1:8080
  medispatcher sub put try --topic '>' --url http://127.0.0.1:8080/   # in another terminal
  medispatcher receive --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
  medispatcher receive --fail 30 --delay 2s      # three in ten fail, all are slow
  medispatcher receive --fail 10 --status 429    # one in ten is asked to come later`,
		Args: cli.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.command(0, func(ctx context.Context, env *environment, _ []string) error {
			verifier, err := f.check(cmd.Flags())
			if err != nil {
				return err
			}
			return receive(ctx, env, f, verifier)
		})(cmd, args)
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8080", "`ADDRESS` to listen on")
	flags.StringArrayVar(&f.secrets, "secret", nil, "`SECRET` of the subscription, whsec_…; may be repeated")
	flags.DurationVar(&f.tolerance, "tolerance", verify.DefaultTolerance, "how far the time of a push may lie from now, with --secret")
	flags.IntVar(&f.mood.fail, "fail", 0, "`PERCENT` of the answers are failures")
	flags.DurationVar(&f.mood.delay, "delay", 0, "`DURATION` before each answer")
	flags.IntVar(&f.mood.status, "status", 0, "answer this `CODE`; with --fail, only to the failures")
	return cmd
}

const (
	maxReceiveDelay     = time.Hour // as long as a subscription may wait
	maxReceiveTolerance = 365 * 24 * time.Hour
)

// check reports every mistake in the flags. The Verifier is nil if there is no secret.
func (f *receiveFlags) check(flags *pflag.FlagSet) (*verify.Verifier, error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, cli.Usagef(format, args...)) }
	if _, err := config.CheckListen(f.listen); err != nil {
		wrong("--listen %s: give host:port, such as 127.0.0.1:8080, [::1]:8080, or :8080 for all addresses", f.listen)
	}
	if f.mood.fail < 0 || f.mood.fail > 100 {
		wrong("--fail %d: give 0 to 100 percent", f.mood.fail)
	}
	if f.mood.delay < 0 || f.mood.delay > maxReceiveDelay {
		wrong("--delay %s: give 0s to %s", f.mood.delay, maxReceiveDelay)
	}
	if flags.Changed("status") && (f.mood.status < 200 || f.mood.status > 599) {
		wrong("--status %d: give 200 to 599", f.mood.status)
	}
	if f.mood.fail > 0 && f.mood.status >= 200 && f.mood.status < 300 {
		wrong("--status %d is no failure, so it cannot go with --fail; give 300 to 599, or leave one of them out", f.mood.status)
	}
	if f.tolerance <= 0 || f.tolerance > maxReceiveTolerance {
		wrong("--tolerance %s: give more than 0s and at most %s", f.tolerance, maxReceiveTolerance)
	}
	if len(f.secrets) == 0 {
		if flags.Changed("tolerance") {
			wrong("--tolerance has no effect without --secret; add one, or leave it out")
		}
		return nil, errors.Join(errs...)
	}
	v, err := verify.New(f.secrets...)
	if err != nil {
		wrong("--%s; give the secret of the subscription", strings.TrimPrefix(err.Error(), "verify: "))
		return nil, errors.Join(errs...)
	}
	v.Tolerance, v.MaxBody = f.tolerance, maxReceived
	return v, errors.Join(errs...)
}

// receive runs the sample worker until ctx ends, and sums up what it answered.
func receive(ctx context.Context, env *environment, f receiveFlags, v *verify.Verifier) error {
	r, err := newReceiver(ctx, f.listen, env.stdout)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	r.verifier, r.mood = v, f.mood
	_, _ = fmt.Fprintf(env.stdout, "receiving on %s, %s; Ctrl-C ends\n", r.url(), r.describe())
	err = r.run(ctx)
	_, _ = fmt.Fprintln(env.stdout, r.sum())
	return err
}

// mood is how the sample worker misbehaves; the zero value not at all.
type mood struct {
	fail   int           // percent of the answers
	delay  time.Duration // before each answer
	status int           // of the failures, or of every answer if fail is 0; 0: the usual one
}

func (m mood) String() string {
	failure := m.status
	if failure == 0 {
		failure = http.StatusInternalServerError
	}
	text := "answers well"
	switch {
	case m.fail > 0:
		text = fmt.Sprintf("answers %d to %d %%", failure, m.fail)
	case m.status != 0:
		text = fmt.Sprintf("answers %d", m.status)
	}
	if m.delay > 0 {
		text += fmt.Sprintf(" after %s", m.delay)
	}
	return text
}
