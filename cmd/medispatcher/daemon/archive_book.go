package daemon

import (
	"context"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
)

// archiveBook is how the API begins replays. This dispatcher looks for one at once.
type archiveBook struct {
	*streams.Store
	registry *streams.Registry
	archives *archivist
}

func (b archiveBook) CountReplay(ctx context.Context, r medispatcher.Replay) (medispatcher.ReplayCount, error) {
	return (&streams.Replayer{Store: b.Store, Registry: b.registry}).Count(ctx, r)
}

func (b archiveBook) StartReplay(ctx context.Context, r medispatcher.Replay) (medispatcher.Replay, bool, error) {
	defer b.archives.poke()
	return b.Store.StartReplay(ctx, r)
}

func (b archiveBook) PutFrom(ctx context.Context, put medispatcher.SubscriptionPut) medispatcher.SubscriptionPutDone {
	defer b.archives.poke()
	return b.registry.PutAll(ctx, []medispatcher.SubscriptionPut{put})[0]
}
