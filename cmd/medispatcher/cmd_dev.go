package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon"
)

func (a *app) devCommand() *cobra.Command {
	var demo, failures bool
	cmd := &cobra.Command{
		Use:     "dev",
		GroupID: groupRun,
		Short:   "Run everything on this machine, with an embedded Redis",
		Long: `Run a dispatcher, a sample receiver and an embedded in-memory Redis that redis-cli
can talk to. Nothing survives a restart. MEDIS_REDIS_URL is not used.

The panel is on MEDIS_LISTEN (127.0.0.1:5601), the Redis on MEDIS_DEV_REDIS_LISTEN
(127.0.0.1:6380).`,
		Example: `  medispatcher dev --demo
  redis-cli -p 6380 XADD 'medis:{0}:incoming' '*' topic demo.hello body '"hi"'`,
		Args: cli.NoArgs,
		RunE: a.lasting(config.NeedsListen, func(ctx context.Context, env *environment, _ []string) error {
			if failures && !demo {
				return cli.Usagef("--failures is a part of the demonstration: add --demo")
			}
			return dev(ctx, env, demo, failures)
		}),
	}
	cmd.Flags().BoolVar(&demo, "demo", false, "add sample subscriptions and a trickle of messages")
	cmd.Flags().BoolVar(&failures, "failures", false, "with --demo: workers that fail, and a paused subscription")
	return cmd
}

// devHistory is how many messages have a story in development.
const devHistory = 1000

// dev runs a dispatcher on a Redis in this process, with a sample receiver.
func dev(ctx context.Context, env *environment, demo, failures bool) error {
	if loopback, err := config.CheckListen(env.cfg.DevRedisListen); err == nil && !loopback {
		return cli.Usagef("MEDIS_DEV_REDIS_LISTEN=%s is not a loopback address, and the embedded Redis has no password: use 127.0.0.1", env.cfg.DevRedisListen)
	}
	mini := miniredis.NewMiniRedis()
	if err := mini.StartAddr(env.cfg.DevRedisListen); err != nil {
		return fmt.Errorf("the embedded Redis cannot listen on %s: %w; set MEDIS_DEV_REDIS_LISTEN to a free address", env.cfg.DevRedisListen, err)
	}
	defer mini.Close()
	env.cfg.RedisURL = "redis://" + mini.Addr() + "/0"
	env.cfg.RecoverRedisURL = "" // or real messages would move to a Redis that vanishes
	if env.cfg.History == 0 {
		env.cfg.History = devHistory
	}
	env.cfg.Thresholds.Memory = 0 // the embedded Redis has no limit and does not report what it uses
	d, err := daemon.New(ctx, env.daemonOptions())
	if err != nil {
		return err
	}
	recv, err := newReceiver(ctx, "127.0.0.1:0", env.stdout)
	if err != nil {
		return errors.Join(err, d.Close())
	}
	banner(env, d, recv, demo)

	g, running := errgroup.WithContext(ctx)
	// The receiver outlives the dispatcher, whose last deliveries it takes.
	receiving, stopReceiver := context.WithCancel(context.WithoutCancel(ctx))
	g.Go(func() error { return recv.run(receiving) })
	g.Go(func() error {
		defer stopReceiver()
		return d.Run(running)
	})
	g.Go(func() error { return runClock(running, mini) })
	if demo {
		g.Go(func() error {
			return stoppedOr(running, env.withState(running, func(ctx context.Context, s *state) error { return runDemo(ctx, s, recv, failures) }))
		})
	}
	return g.Wait()
}

// banner prints what runs where, and what to try.
func banner(env *environment, d *daemon.Daemon, recv *receiver, demo bool) {
	listen, redis := d.Addr(), env.cfg.DevRedisListen
	host, port := redis, ""
	if h, p, err := net.SplitHostPort(redis); err == nil {
		host, port = h, p
	}
	_, _ = fmt.Fprintf(env.stdout, `
  medispatcher dev: everything in one process.
  NOTHING SURVIVES A RESTART: the Redis is in memory. Use "medispatcher serve" for real.

  Panel     http://%s/   (its API is described at /openapi.json)
  Redis     redis://%s/0   (in memory; redis-cli can talk to it)
  Receiver  %s   (prints what it gets)

  Try, in another terminal:
`, listen, redis, recv.url())
	topic := "demo.hello"
	if demo {
		recv.brief(demoTick, demoTicksShown)
	} else {
		topic = "order.created"
		_, _ = fmt.Fprintf(env.stdout, "    curl -X PUT http://%s/api/v1/subscriptions/billing -d '{\"topic\":\"order.*\",\"urls\":[\"%s\"]}'\n", listen, recv.url())
	}
	_, _ = fmt.Fprintf(env.stdout, "    redis-cli -h %s -p %s XADD 'medis:{0}:incoming' '*' topic %s body '{\"hello\":\"world\"}'\n", host, port, topic)
	_, _ = fmt.Fprintf(env.stdout, "    curl http://%s/api/v1/topics/%s/messages -d '{\"hello\":\"again\"}'\n", listen, topic)
	_, _ = fmt.Fprintf(env.stdout, "    curl http://%s/api/v1/status\n\n  Ctrl-C stops it.\n\n", listen)
}

// runClock lets keys expire: the embedded Redis has no clock of its own.
func runClock(ctx context.Context, mini *miniredis.Miniredis) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			mini.FastForward(now.Sub(last))
			last = now
		}
	}
}

func stoppedOr(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}
