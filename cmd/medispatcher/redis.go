package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/streams"
)

const (
	// pingWithin is how long a command waits to see whether Redis is there at all.
	pingWithin = 3 * time.Second
	// stepWithin bounds one step in Redis: an operator is waiting.
	stepWithin = 10 * time.Second
)

// state is the state in Redis, as the commands that look after it see it.
type state struct {
	*environment
	store    *joined.Store
	registry *streams.Registry
}

// withState is command for those that talk to Redis.
func (a *app) withState(do func(ctx context.Context, s *state, args []string) error) runE {
	return a.command(config.NeedsRedis, func(ctx context.Context, env *environment, args []string) error {
		return env.withState(ctx, func(ctx context.Context, s *state) error { return do(ctx, s, args) })
	})
}

// withState finds out first whether Redis is there, so that nothing is half done when it is
// not, and closes what it opened.
func (e *environment) withState(ctx context.Context, do func(ctx context.Context, s *state) error) error {
	store, err := joined.Open(e.cfg.Streams("cli-" + strconv.Itoa(os.Getpid())))
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	s := &state{environment: e, store: store}
	s.registry = streams.NewRegistry(store.Store, e.cfg.Rules(), func(id, problem string) {
		e.log.Warn("subscription needs attention", "subscription", id, "problem", problem)
	})
	ping, cancel := context.WithTimeout(ctx, pingWithin)
	defer cancel()
	if err := store.Ping(ping); err != nil {
		return s.explain(err)
	}
	return s.explain(do(medispatcher.WithActor(ctx, "cli "+userAtHost()), s))
}

// userAtHost is who runs a command, for the history of changes.
func userAtHost() string {
	who := "uid " + strconv.Itoa(os.Getuid()) // a container may have no name for it
	if u, err := user.Current(); err == nil && u.Username != "" {
		who = u.Username
	}
	host, _ := os.Hostname()
	return who + "@" + host
}

// explain says of an error of Redis where that Redis is and what to do. Others it leaves alone.
func (s *state) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var explained redisError
	var network net.Error
	var fields medispatcher.Problems
	text, ofRedis := strings.CutPrefix(err.Error(), "redis: ")
	switch {
	case errors.As(err, &explained), errors.As(err, &fields):
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return redisError{fmt.Sprintf("redis at %s does not answer in time; check MEDIS_REDIS_URL, and whether Redis is overloaded", s.redisAt()), err}
	case errors.As(err, &network):
		return redisError{fmt.Sprintf("redis at %s does not answer: %v; check MEDIS_REDIS_URL, and whether Redis runs", s.redisAt(), network), err}
	case !ofRedis:
		return err
	}
	hint := "check MEDIS_REDIS_URL, and the log of Redis"
	switch {
	case containsAny(text, "NOAUTH", "WRONGPASS", "NOPERM", "invalid password", "without any password"):
		hint = "check the user and the password in MEDIS_REDIS_URL"
	case containsAny(text, "MOVED", "CROSSSLOT", "ASK "):
		hint = "it is a Redis Cluster: add ?cluster=true to MEDIS_REDIS_URL"
	case containsAny(text, "cluster support disabled"):
		hint = "it is no Redis Cluster: take cluster=true and all hosts but one off MEDIS_REDIS_URL"
	case containsAny(text, "OOM "):
		hint = "Redis is out of memory: raise maxmemory, or deliver or purge what waits; nothing was written"
	case containsAny(text, "READONLY"):
		hint = "it is a replica: MEDIS_REDIS_URL must name the master"
	case containsAny(text, "LOADING"):
		hint = "Redis is reading its data: try again in a moment"
	case containsAny(text, "WRONGTYPE"):
		hint = "something else uses a key of ours: check MEDIS_KEY_PREFIX"
	case containsAny(text, "DB index"):
		hint = "check the number of the database at the end of MEDIS_REDIS_URL"
	case containsAny(text, "EOF"):
		hint = "the connection was closed: check MEDIS_REDIS_URL, rediss:// being TLS and redis:// not"
	}
	return redisError{fmt.Sprintf("redis at %s: %s; %s", s.redisAt(), strings.TrimSuffix(text, "."), hint), err}
}

func (s *state) redisAt() string { return config.RedisAt(s.cfg.RedisURL) }

// redisError is an error of Redis, in words for the operator.
type redisError struct {
	text  string
	cause error
}

func (e redisError) Error() string { return e.text }
func (e redisError) Unwrap() error { return e.cause }

func containsAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}
