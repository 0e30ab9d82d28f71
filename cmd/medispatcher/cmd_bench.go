package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
)

// benchFlags are what the user asks for.
type benchFlags struct {
	messages, subscribers, concurrency, rate, fail int
	size                                           medispatcher.Size
	sizeText                                       string
	delay, wait                                    time.Duration
	listen, url                                    string
	dispatch, clean                                bool
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:     "bench",
		GroupID: groupOperate,
		Short:   "Measure how fast messages go through this Redis",
		Long: `Publish messages to subscriptions of its own, receive them, and say how fast that went and
what was missing. The dispatchers that are alive on MEDIS_REDIS_URL deliver. If there are
none, or with --dispatch, one in this process does; it also delivers what else waits there.

The topic is bench.<random>, the subscriptions are bench-<random>-1 and so on. They send no
alerts, and a pattern such as > does not cover the topic, unless its subscription has
receive_bench. Everything but statistics is removed at the end, also on Ctrl-C. --clean
removes what a killed run left behind.

At most a few thousand messages wait at a time, so that others are not held up for long.
Without --rate latency is mostly that wait. With --fail a message is tried again after a few
milliseconds.

Exit code 1: messages are missing. Messages that came twice are only counted.`,
		Example: `  medispatcher bench
  medispatcher bench --messages 100000 --subscribers 10 --size 4KiB
  medispatcher bench --rate 500 --delay 20ms --fail 5 --json
  medispatcher bench --listen 0.0.0.0:9000 --url http://10.0.0.5:9000   # dispatchers elsewhere`,
		Args: cli.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.command(config.NeedsRedis, func(ctx context.Context, env *environment, _ []string) error {
			if err := f.check(&env.cfg, cmd.Flags()); err != nil {
				return err
			}
			return env.withState(ctx, func(ctx context.Context, s *state) error {
				if f.clean {
					return s.cleanBenches(ctx)
				}
				if err := s.mayPublish(); err != nil {
					return err
				}
				return s.bench(ctx, f)
			})
		})(cmd, args)
	}
	a.jsonFlag(cmd, "print the summary as JSON")
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.IntVar(&f.messages, "messages", 10_000, "`N` messages")
	flags.IntVar(&f.subscribers, "subscribers", 3, "`N` subscriptions, each of which gets every message")
	flags.IntVar(&f.concurrency, "concurrency", 32, "`N` pushes at once of each subscription, in each dispatcher")
	flags.StringVar(&f.sizeText, "size", "256", "`BYTES` of a body, such as 4KiB")
	flags.IntVar(&f.rate, "rate", 0, "messages `PER_SECOND`; 0: as fast as they are delivered")
	flags.DurationVar(&f.delay, "delay", 0, "`DURATION` that the receiver takes to answer")
	flags.IntVar(&f.fail, "fail", 0, "`PERCENT` of the answers are failures")
	flags.DurationVar(&f.wait, "wait", 30*time.Second, "give up when nothing arrives for this `DURATION`")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:0", "`ADDRESS` of the receiver")
	flags.StringVar(&f.url, "url", "", "`URL` by which dispatchers reach it (default: its address)")
	flags.BoolVar(&f.dispatch, "dispatch", false, "run a dispatcher in this process, even if others run")
	flags.BoolVar(&f.clean, "clean", false, "only remove what killed runs left behind")
	return cmd
}

// plan is the load test that the flags describe.
func (f *benchFlags) plan() loadtest.Plan {
	return loadtest.Plan{
		Messages: f.messages, Subscribers: f.subscribers, Concurrency: f.concurrency, Size: int(f.size),
		Rate: f.rate, Delay: f.delay, Fail: f.fail, Wait: f.wait,
	}
}

// The limits bound what a load test holds in memory and in Redis.
const (
	benchMaxSubscribers = 500
	benchMaxDeliveries  = 1_000_000_000 // a bit each
	benchMaxRate        = 1_000_000
)

// check reports every mistake in the flags.
func (f *benchFlags) check(cfg *config.Config, flags *pflag.FlagSet) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, cli.Usagef(format, args...)) }
	if f.clean {
		flags.Visit(func(flag *pflag.Flag) {
			if flag.Name != "clean" && flag.Name != "json" && flags.Lookup("env-file") != flag {
				wrong("--%s has no effect with --clean; leave it out", flag.Name)
			}
		})
		return errors.Join(errs...)
	}
	for _, n := range []struct {
		name           string
		v, low, high   int
		becauseOfLimit string
	}{
		{"messages", f.messages, 1, benchMaxDeliveries, ""},
		{"subscribers", f.subscribers, 1, benchMaxSubscribers, ""},
		{"concurrency", f.concurrency, 1, cfg.MaxConcurrency, " (MEDIS_MAX_CONCURRENCY)"},
		{"rate", f.rate, 0, benchMaxRate, ""},
		{"fail", f.fail, 0, 100, ""},
	} {
		if n.v < n.low || n.v > n.high {
			wrong("--%s %d: give %d to %d%s", n.name, n.v, n.low, n.high, n.becauseOfLimit)
		}
	}
	if len(errs) == 0 && f.messages > benchMaxDeliveries/f.subscribers {
		wrong("--messages %d to %d subscribers are more than %d deliveries; lower one of the two", f.messages, f.subscribers, benchMaxDeliveries)
	}
	if err := f.size.UnmarshalText([]byte(f.sizeText)); err != nil {
		wrong("--size %v", err)
	} else if f.size < medispatcher.Size(loadtest.MinBody) || f.size > cfg.MaxBody {
		wrong("--size %s: give %d (what tells messages apart) to %s (MEDIS_MAX_BODY)", f.sizeText, loadtest.MinBody, cfg.MaxBody)
	}
	if f.delay < 0 || f.delay >= cfg.MaxTimeout {
		wrong("--delay %s: give 0s to less than %s (MEDIS_MAX_TIMEOUT), which a worker has to answer", f.delay, cfg.MaxTimeout)
	}
	if f.wait < time.Second {
		wrong("--wait %s: give 1s or more", f.wait)
	}
	if err := f.checkAddresses(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (f *benchFlags) checkAddresses() error {
	host, err := hostOf(f.listen)
	if err != nil {
		return cli.Usagef("--listen %q: %v", f.listen, err)
	}
	if f.url == "" {
		if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
			return cli.Usagef("--listen %s is every address of this machine: add --url with the one that dispatchers reach, such as http://10.0.0.5:9000", f.listen)
		}
		return nil
	}
	u, err := url.Parse(f.url)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return cli.Usagef("--url %q: give http://host:port, as dispatchers reach the receiver", f.url)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return cli.Usagef("--url: give a scheme, a host and perhaps a path alone, such as http://host:port")
	}
	return nil
}

func hostOf(listen string) (string, error) {
	if _, err := config.CheckListen(listen); err != nil {
		return "", fmt.Errorf("give host:port, such as 127.0.0.1:0 or 0.0.0.0:9000; port 0 is any")
	}
	a, err := url.Parse("http://" + listen)
	if err != nil {
		return "", err
	}
	return a.Hostname(), nil
}
