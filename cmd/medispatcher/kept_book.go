package main

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

// keptBook is what the API and the panel do with kept messages, by the subscriptions of the moment.
type keptBook struct {
	*streams.Store
	d *daemon
}

func (b keptBook) ReplayKept(ctx context.Context, place medispatcher.KeptPlace, ids []string) (medispatcher.KeptDone, error) {
	subs, err := b.d.registry.Latest(ctx)
	if err != nil {
		return medispatcher.KeptDone{}, err
	}
	return b.Store.ReplayKept(ctx, place, ids, b.d.cfg.KeptRules(subs))
}

func (b keptBook) ReplayAllKept(ctx context.Context, place medispatcher.KeptPlace, more func(done, all int64) bool) (medispatcher.KeptDone, error) {
	subs, err := b.d.registry.Latest(ctx)
	if err != nil {
		return medispatcher.KeptDone{}, err
	}
	return b.Store.ReplayAllKept(ctx, place, b.d.cfg.KeptRules(subs), more)
}
