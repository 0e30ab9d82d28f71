package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) receiveCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:     "receive",
		GroupID: groupRun,
		Short:   "Run a sample worker that prints what it gets",
		Long: `Run a sample HTTP worker: it takes every message and prints a line for each. Subscribe
its address to see what a subscription would get.`,
		Example: `  medispatcher receive --listen 127.0.0.1:8080
  medispatcher sub put try --topic '>' --url http://127.0.0.1:8080/`,
		Args: noArgs,
		RunE: a.command(0, func(ctx context.Context, env *environment, _ []string) error {
			r, err := newReceiver(ctx, listen, env.stdout)
			if err != nil {
				return fmt.Errorf("%w; choose another address with --listen", err)
			}
			_, _ = fmt.Fprintf(env.stdout, "receiving on %s\n", r.url())
			return r.run(ctx)
		}),
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address to listen on")
	return cmd
}
