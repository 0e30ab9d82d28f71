package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/cmd/medispatcher/daemon"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// findDispatchers lists the dispatchers that are alive, and so will deliver.
func (b *bench) findDispatchers(ctx context.Context) error {
	step, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	all, err := operate.Dispatchers(step, b.store)
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.Alive {
			b.others = append(b.others, d)
		}
	}
	return nil
}

// dispatch runs a dispatcher in this process, if one is wanted.
func (b *bench) dispatch(ctx, staying context.Context) (stop func() error, err error) {
	if len(b.others) > 0 && !b.flags.dispatch {
		b.note("dispatched by %s", b.dispatchers())
		return func() error { return nil }, nil
	}
	env := *b.environment
	env.cfg.Listen = "127.0.0.1:0"
	env.stdout = b.stderr // the DATA log, if it goes there; the summary is alone on stdout
	if b.settings.Source("MEDIS_LOG_LEVEL") == config.FromDefault {
		env.cfg.LogLevel = "warn"
		env.log = cli.NewLogger(b.stderr, env.cfg.LogFormat, env.cfg.LogLevel, b.environ)
	}
	if b.own, err = daemon.New(ctx, env.daemonOptions()); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(staying)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.ownEnded <- b.own.Run(running)
	}()
	stop = func() error {
		cancel()
		<-ended
		select {
		case err := <-b.ownEnded:
			return err
		default:
			return nil // it was reported before
		}
	}
	select {
	case <-b.own.Beaten():
		b.note("dispatched by %s", b.dispatchers())
		return stop, nil
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), stop())
	case err := <-b.ownEnded:
		return nil, errors.Join(err, stop())
	}
}

// dispatchers says who delivers.
func (b *bench) dispatchers() string {
	var names []string
	for _, d := range b.others {
		names = append(names, cli.Clean(d.ID))
	}
	if b.own != nil {
		own := "a dispatcher in this process"
		if len(names) == 0 {
			own += ", because no other is alive; it also delivers what else waits on this Redis"
		}
		names = append(names, own)
	}
	return strings.Join(names, " and ")
}

// remote lists the hosts of dispatchers that cannot reach the receiver, because its URL is a loopback.
func (b *bench) remote() (hosts []string) {
	u, err := url.Parse(b.url)
	if err != nil {
		return nil
	}
	if loopback, err := config.CheckListen(net.JoinHostPort(u.Hostname(), "0")); err != nil || !loopback {
		return nil
	}
	for _, d := range b.others {
		if d.Host != b.Run.Host {
			hosts = append(hosts, cli.Clean(d.Host))
		}
	}
	return hosts
}

func (b *bench) unreachable(hosts []string) string {
	return fmt.Sprintf("%s reaches only this machine, but dispatchers run on %s: give --listen 0.0.0.0:PORT and --url http://THIS-HOST:PORT", b.url, strings.Join(hosts, ", "))
}
