package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/solate/medispatcher/cmd/internal/config"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
)

var (
	_ rescue.Lists     = (*streams.RecoverLists)(nil)
	_ rescue.Publisher = (*streams.Store)(nil)
)

// openParked is the Redis with the recover lists.
func (d *daemon) openParked() (*streams.Store, error) {
	if !d.cfg.ParkedElsewhere() {
		return d.store.Store, nil
	}
	return streams.Open(d.cfg.ParkedStreams(d.info.ID))
}

func (d *daemon) closeParked() error {
	if d.parked == d.store.Store {
		return nil
	}
	return d.parked.Close()
}

// watchRecoverLists publishes what producers parked, until ctx ends.
func (d *daemon) watchRecoverLists(ctx context.Context) error {
	log := d.log
	if d.parked != d.store.Store {
		log = log.With("recover_redis", config.RedisAt(d.cfg.RecoverRedisURL))
	}
	w := &rescue.Watcher{
		Lists: streams.NewRecoverLists(d.parked), Main: d.store,
		Partitions: d.cfg.Partitions, MaxBody: int64(d.cfg.MaxBody), Keep: d.data.put, Log: log,
	}
	return w.Run(ctx)
}

// onHangup opens the DATA log anew at SIGHUP, until stop is called: logrotate may send one.
// Without this the signal would end the process.
func (d *daemon) onHangup() (stop func()) {
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(done)
		for range hangups {
			d.data.out.Reopen()
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}
