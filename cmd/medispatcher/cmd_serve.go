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
at most, and releases the rest. A second one quits at once.`,
		Example: `  MEDIS_REDIS_URL=redis://redis:6379/0 medispatcher serve
  medispatcher -f production.env serve`,
		Args: noArgs,
		RunE: a.lasting(config.NeedsRedis|config.NeedsListen, func(ctx context.Context, env *environment, _ []string) error {
			return serve(ctx, env)
		}),
	}
}

// serve runs a dispatcher until ctx ends.
func serve(ctx context.Context, env *environment) error {
	d, err := newDaemon(ctx, env)
	if err != nil {
		return err
	}
	defer d.onHangup()()
	return d.run(ctx)
}
