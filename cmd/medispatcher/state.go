package main

import (
	"context"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/internal/filter"
	"github.com/solate/medispatcher/streams"
)

// stepWithin bounds one step in Redis: an operator waits for it.
const stepWithin = 10 * time.Second

// allWithin bounds the many steps that ask for, or change, every subscription there may be. A Redis that hangs is noticed
// much earlier: each step has its own limit.
const allWithin = 2 * time.Minute

// state is the state in Redis, for the commands that show or change it.
type state struct {
	*environment
	store    *joined.Store
	registry *streams.Registry

	disagreement string // about MEDIS_PARTITIONS; see agree
	told         bool   // by an error
}

// withState is command for those that talk to Redis.
func (a *app) withState(do func(ctx context.Context, s *state, args []string) error) runE {
	return a.command(config.NeedsRedis, func(ctx context.Context, env *environment, args []string) error {
		return env.withState(ctx, func(ctx context.Context, s *state) error { return do(ctx, s, args) })
	})
}

// withState opens the store and finds out first whether Redis answers, so that a command does not stop
// half way. It closes the store in the end.
func (e *environment) withState(ctx context.Context, do func(ctx context.Context, s *state) error) error {
	store, err := joined.Open(e.cfg.Streams("cli-"+strconv.Itoa(os.Getpid()), e.log))
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	if err := cli.Reach(ctx, store, e.cfg.RedisURL); err != nil {
		return err
	}
	s := &state{environment: e, store: store}
	s.registry = streams.NewRegistry(store.Store, filter.In(e.cfg.Rules()), func(id, problem string) {
		e.log.Warn("subscription needs attention", "subscription", id, "problem", problem)
	})
	if err := s.agree(ctx); err != nil {
		return s.explain(err)
	}
	defer s.tellDisagreement()
	return s.explain(do(medispatcher.WithActor(ctx, "cli "+userAtHost()), s))
}

// explain adds to an error of Redis where that Redis is and what to do.
func (s *state) explain(err error) error { return cli.Explain(err, s.cfg.RedisURL) }

// userAtHost is who runs a command, for the history of changes.
func userAtHost() string {
	who := "uid " + strconv.Itoa(os.Getuid()) // a container may have no name for it
	if u, err := user.Current(); err == nil && u.Username != "" {
		who = u.Username
	}
	host, _ := os.Hostname()
	return who + "@" + host
}
