package daemon

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/streams"
)

// keptBook is how the API shows and replays kept messages. A replay reads the subscriptions afresh.
type keptBook struct {
	*streams.Store
	registry *streams.Registry
	cfg      *config.Config
}

func (b keptBook) ReplayKept(ctx context.Context, place medispatcher.KeptPlace, ids []string) (medispatcher.KeptDone, error) {
	subs, err := b.registry.Latest(ctx)
	if err != nil {
		return medispatcher.KeptDone{}, err
	}
	return b.Store.ReplayKept(ctx, place, ids, b.cfg.KeptRules(subs))
}

func (b keptBook) ReplayMatchingKept(ctx context.Context, place medispatcher.KeptPlace, q medispatcher.Search, more func(looked int64) bool) (medispatcher.KeptDone, error) {
	subs, err := b.registry.Latest(ctx)
	if err != nil {
		return medispatcher.KeptDone{}, err
	}
	return b.Store.ReplayMatchingKept(ctx, place, q, b.cfg.KeptRules(subs), more)
}

func (b keptBook) ReplayAllKept(ctx context.Context, place medispatcher.KeptPlace, more func(done, all int64) bool) (medispatcher.KeptDone, error) {
	subs, err := b.registry.Latest(ctx)
	if err != nil {
		return medispatcher.KeptDone{}, err
	}
	return b.Store.ReplayAllKept(ctx, place, b.cfg.KeptRules(subs), more)
}
