package daemon

import (
	"context"
	"log/slog"

	"github.com/solate/medispatcher/cmd/internal/config"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
)

var (
	_ rescue.Lists     = (*streams.RecoverLists)(nil)
	_ rescue.Publisher = (*streams.Store)(nil)
)

// parked publishes the messages that producers parked in recover lists, which may be in a Redis of their own.
type parked struct {
	watcher *rescue.Watcher
	other   *streams.Store // nil: the lists are in the main Redis
}

func newParked(cfg *config.Config, dispatcher string, main *streams.Store, dataLog *dataLog, log *slog.Logger) (*parked, error) {
	p, lists := &parked{}, main
	if cfg.ParkedElsewhere() {
		var err error
		if p.other, err = streams.Open(cfg.ParkedStreams(dispatcher, log)); err != nil {
			return nil, err
		}
		lists, log = p.other, log.With("recover_redis", config.RedisAt(cfg.RecoverRedisURL))
	}
	p.watcher = &rescue.Watcher{
		Lists: streams.NewRecoverLists(lists), Main: main,
		Partitions: main.Spread(), MaxBody: int64(cfg.MaxBody), Keep: dataLog.put, Log: log,
	}
	return p, nil
}

// Run publishes until ctx ends.
func (p *parked) Run(ctx context.Context) error { return p.watcher.Run(ctx) }

func (p *parked) close() error {
	if p.other == nil {
		return nil
	}
	return p.other.Close()
}
