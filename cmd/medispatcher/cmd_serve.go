package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher/cmd/internal/config"
)

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "serve",
		GroupID: groupRun,
		Short:   "Run a dispatcher (the default command)",
		Long: `Run a dispatcher: fan-out, push, retries, the API and the panel. Any number of
dispatchers may share one Redis; adding one is starting one.

The first SIGTERM or SIGINT lets pushes in flight end, for MEDIS_SHUTDOWN_TIMEOUT
at most, and gives back the rest. A second one quits at once.`,
		Example: `  MEDIS_REDIS_URL=redis://redis:6379/0 medispatcher serve
  medispatcher -f production.env serve`,
		Args: noArgs,
		RunE: a.lasting(config.NeedsRedis|config.NeedsListen, func(ctx context.Context, env *environment, _ []string) error {
			return serve(ctx, env)
		}),
	}
}

func (a *app) devCommand() *cobra.Command {
	var demo bool
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
		Args: noArgs,
		RunE: a.lasting(config.NeedsListen, func(ctx context.Context, env *environment, _ []string) error {
			return dev(ctx, env, demo)
		}),
	}
	cmd.Flags().BoolVar(&demo, "demo", false, "add a sample subscription and a trickle of messages")
	return cmd
}
