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

// changed is the hint that a subscription changed.
const changed = "subscriptions"

// Hints receives what other processes tell this one. A hint may be lost; polling makes up for it.
type Hints struct {
	Changed func()                       // a subscription changed
	Ready   func([]medispatcher.Channel) // these channels have new messages
	Due     func([]medispatcher.Channel) // in these channels messages became due before their time
}

// quietFor is how long the Pub/Sub connection may be silent before it is pinged, and then again
// before it is replaced. A node that hangs does not close its connections.
const quietFor = 2 * time.Second

// Listen passes on hints until ctx ends. It has a connection of its own, and reconnects
// when Redis comes back or has a new master.
func (s *Store) Listen(ctx context.Context, h Hints) error {
	var back medispatcher.Backoff
	for ctx.Err() == nil {
		s.listen(ctx, h, back.Reset)
		back.Wait(ctx)
	}
	return nil
}

// listen passes on hints until the connection fails. It calls works whenever something was received.
func (s *Store) listen(ctx context.Context, h Hints, works func()) {
	sub := s.db.Subscribe(ctx, s.keys.Control())
	closing := sync.OnceFunc(func() { _ = sub.Close() })
	defer closing()
	defer context.AfterFunc(ctx, closing)() // ends a blocked read
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
		case rdb.HeardBegin: // hints may have been lost before the connection was made
			h.Changed()
		default:
		}
	}
}

// everybody is the sender of a hint that the sending process must hear too.
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

// RingDue tells every dispatcher, this one included, that messages in channels of a partition
// became due early. A dispatcher that knows the old due time would otherwise sleep until then.
func (s *Store) RingDue(ctx context.Context, p int, subs []string) error {
	return s.ring(ctx, "due", everybody, p, subs)
}

func (s *Store) ring(ctx context.Context, what, from string, p int, subs []string) error {
	text := strings.Join([]string{what, from, strconv.Itoa(p), strings.Join(subs, ",")}, " ")
	return rdb.Failed("tell the dispatchers", rdb.Int(s.db.With(ctx), "PUBLISH", s.keys.Control(), text).Err())
}
