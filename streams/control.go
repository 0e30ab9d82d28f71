package streams

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

const changed = "subscriptions"

// Hints are what other processes tell this one. They may be lost; polling repairs that.
type Hints struct {
	Changed func()                       // a subscription changed
	Ready   func([]medispatcher.Channel) // these channels have new messages
	Due     func([]medispatcher.Channel) // in these channels messages became due before their time
}

// quietFor is how long nothing may come from a subscription before it is asked for a sign of
// life, and again before it is made anew: a node that hangs ends no connection.
const quietFor = 2 * time.Second

// Listen hands on hints until ctx ends. It has a connection of its own, and goes on
// by itself when Redis comes back, or has another master.
func (s *Store) Listen(ctx context.Context, h Hints) error {
	var back medispatcher.Backoff
	for ctx.Err() == nil {
		s.listen(ctx, h, back.Reset)
		back.Wait(ctx)
	}
	return nil
}

// listen hands on hints until the subscription fails. works is called when it does not.
func (s *Store) listen(ctx context.Context, h Hints, works func()) {
	sub := s.db.Subscribe(ctx, s.keys.Control())
	closing := sync.OnceFunc(func() { _ = sub.Close() })
	defer closing()
	defer context.AfterFunc(ctx, closing)() // ends a read
	asked := false
	for {
		heard, text, err := sub.Receive(ctx, quietFor)
		switch {
		case err != nil:
			return
		case heard != rdb.HeardNothing:
			asked = false
			works()
		case asked || sub.Ping(ctx) != nil:
			return
		default:
			asked = true
		}
		switch heard {
		case rdb.HeardMessage:
			s.hint(text, h)
		case rdb.HeardBegin: // hints may have been lost before
			h.Changed()
		default:
		}
	}
}

// everybody is the sender of a hint that this process's own scheduler needs, too.
const everybody = "~"

// hint reads "subscriptions" or "ready|due <sender> <partition> <sub>,<sub>…".
func (s *Store) hint(payload string, h Hints) {
	if payload == changed {
		h.Changed()
		return
	}
	var what, from, subs string
	var p int
	if n, err := fmt.Sscanf(payload, "%s %s %d %s", &what, &from, &p, &subs); n != 4 || err != nil ||
		from == s.cfg.ID || p < 0 || p >= s.cfg.Partitions {
		return
	}
	var channels []medispatcher.Channel
	for sub := range strings.SplitSeq(subs, ",") {
		channels = append(channels, medispatcher.Channel{Partition: p, Subscription: sub})
	}
	switch what {
	case "ready":
		h.Ready(channels)
	case "due":
		h.Due(channels)
	}
}

// Ring tells the other dispatchers that channels of a partition have new messages.
func (s *Store) Ring(ctx context.Context, p int, subs []string) error {
	return s.ring(ctx, "ready", s.cfg.ID, p, subs)
}

// RingDue tells every dispatcher that messages in channels of a partition became due before
// their time. A dispatcher that knows the old due time would otherwise sleep until then.
func (s *Store) RingDue(ctx context.Context, p int, subs []string) error {
	return s.ring(ctx, "due", everybody, p, subs)
}

func (s *Store) ring(ctx context.Context, what, from string, p int, subs []string) error {
	text := strings.Join([]string{what, from, strconv.Itoa(p), strings.Join(subs, ",")}, " ")
	return rdb.Failed("ring", rdb.Int(s.db.With(ctx), "PUBLISH", s.keys.Control(), text).Err())
}
