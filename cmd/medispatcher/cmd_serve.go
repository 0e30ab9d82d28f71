package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon"
	"github.com/solate/medispatcher/cmd/medispatcher/outlet"
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
		Args: cli.NoArgs,
		RunE: a.lasting(config.NeedsRedis|config.NeedsListen, func(ctx context.Context, env *environment, _ []string) error {
			return serve(ctx, env)
		}),
	}
}

// serve runs a dispatcher until ctx ends.
func serve(ctx context.Context, env *environment) error {
	d, err := daemon.New(ctx, env.daemonOptions())
	if err != nil {
		return err
	}
	defer onHangup(d.Reopen)()
	defer env.watchRedis(ctx, d)()
	return d.Run(ctx)
}

// watchRedis says at once, and in plain words, that there is no Redis. The dispatcher runs nevertheless, and waits for it. stop
// ends it.
func (e *environment) watchRedis(ctx context.Context, redis interface{ Ping(context.Context) error }) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := cli.Reach(ctx, redis, e.cfg.RedisURL); err != nil && ctx.Err() == nil {
			e.log.Error("NO REDIS, so nothing is delivered; it is tried again all the time: " + err.Error())
		}
	}()
	return func() { cancel(); <-done }
}

// daemonOptions are what a dispatcher in this environment runs with.
func (e *environment) daemonOptions() daemon.Options {
	var ownLog *outlet.Outlet
	if e.outlets != nil {
		ownLog = e.outlets.stderr
	}
	return daemon.Options{Config: &e.cfg, Version: e.build.Version, Log: e.log, DataLog: e.openDataLog, OwnLog: ownLog, Getenv: e.variable}
}

// onHangup reopens the DATA log at each SIGHUP, which logrotate may send, until stop is called.
// Without this the signal would end the process.
func onHangup(reopen func()) (stop func()) {
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			reopen()
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}
