package push

import (
	"context"
	"time"

	"github.com/solate/medispatcher"
)

// Reader is where messages come from; package streams has the real one.
type Reader interface {
	// Read takes new messages. With an error, which may join a ChannelError for each
	// channel that could not be read, the deliveries are good all the same.
	Read(ctx context.Context, wants []medispatcher.Want) ([]medispatcher.Delivery, error)
	// Due takes messages of one partition whose next attempt is due. For each want it returns
	// when there are more: negative for never.
	Due(ctx context.Context, p int, wants []medispatcher.Want) ([]medispatcher.Delivery, []time.Duration, error)
	// Waiting finds the channels that have something in them. all lists every subscription; it is called where it is
	// not known which channels are active. With an error, what Waiting found is good all the same.
	Waiting(ctx context.Context, all func() []string) ([]medispatcher.Waiting, error)
	// Mine lists up to limit entries that this process owns in each of some channels.
	Mine(ctx context.Context, channels []medispatcher.Channel, limit int) []medispatcher.Mine
}

// Settler takes the outcomes of deliveries. Every method may be repeated after an
// error. The settlements of a call are of one partition.
type Settler interface {
	Delete(ctx context.Context, p int, done []medispatcher.Settlement) (int64, error)
	Retry(ctx context.Context, p int, failures []medispatcher.Settlement) error
	Kill(ctx context.Context, p int, exhausted []medispatcher.Settlement) error
	Release(ctx context.Context, c medispatcher.Channel, entryIDs []string, leave bool) error
	// LeaveChannels removes this process's consumer from channels where it owns nothing.
	LeaveChannels(ctx context.Context, channels []medispatcher.Channel) error
}

// queue is Redis, as this package sees it.
type queue struct {
	Reader
	Settler
}
