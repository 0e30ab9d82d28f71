package streams

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// The hints. All but the first are "<what> <sender> <partition> <sub>,<sub>…", and the receiver if it is not for all.
// Dispatchers of earlier versions take no notice of the receiver, and know the first three.
const (
	changed   = "subscriptions" // a subscription changed
	hintReady = "ready"
	hintDue   = "due"
	hintFree  = "free"
	// The sender says something new in its info, and it has left the list.
	hintListed = "listed"
	hintLeft   = "left"
)

// Hints receives what other processes tell this one. A hint may be lost; polling makes up for it.
type Hints struct {
	Changed func()                       // a subscription changed
	Ready   func([]medispatcher.Channel) // these channels have new messages
	// Rung: these channels have more new messages than the sender can take.
	Rung func(from string, channels []medispatcher.Channel)
	// Free: the sender of Rung can take more of these channels now.
	Free func(from string, channels []medispatcher.Channel)
	Due  func([]medispatcher.Channel) // in these channels messages became due before their time
	// Listed: the sender's info says something that others should know at once.
	Listed func()
	// Left: the sender has ended, and is no longer on the list.
	Left func(from string)
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
	heed := []string{s.keys.Control()}
	if !s.deaf.Load() {
		heed = append(heed, s.keys.Doorbell(s.cfg.ID))
	}
	sub := s.db.Subscribe(ctx, heed...)
	closing := sync.OnceFunc(func() { _ = sub.Close() })
	defer closing()
	defer context.AfterFunc(ctx, closing)() // ends a blocked read
	asked := false
	for {
		heard, text, err := sub.Receive(ctx, quietFor)
		switch {
		case rdb.IsRefused(err) && len(heed) > 1:
			s.deaf.Store(true)
			return
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

const (
	// everybody is the sender of a hint that the sending process must hear too.
	everybody = "~"
	// earlier is the receiver of a hint for dispatchers of earlier versions alone.
	earlier = "~earlier"
)

func (s *Store) hint(payload string, h Hints) {
	if payload == changed {
		h.Changed()
		return
	}
	words := strings.Fields(payload)
	if len(words) < 4 || words[1] == s.cfg.ID {
		return
	}
	what, from := words[0], words[1]
	switch {
	case what == hintListed && h.Listed != nil:
		h.Listed()
		return
	case what == hintLeft && h.Left != nil:
		h.Left(from)
		return
	}
	p, err := strconv.Atoi(words[2])
	if err != nil || p < 0 || p >= s.db.Partitions() {
		return
	}
	var channels []medispatcher.Channel
	for sub := range strings.SplitSeq(words[3], ",") {
		channels = append(channels, medispatcher.Channel{Partition: p, Subscription: sub})
	}
	mine := len(words) > 4 && words[4] == s.cfg.ID
	switch {
	case len(words) > 4 && !mine:
	case what == hintReady && mine && h.Rung != nil:
		h.Rung(from, channels)
	case what == hintFree && mine && h.Free != nil:
		h.Free(from, channels)
	case what == hintReady:
		h.Ready(channels)
	case what == hintDue:
		h.Due(channels)
	}
}

// Ring tells the other dispatchers that channels of a partition have new messages.
func (s *Store) Ring(ctx context.Context, p int, subs []string) error {
	return s.ring(ctx, hintReady, s.cfg.ID, p, subs)
}

// RingDue tells every dispatcher, this one included, that messages in channels of a partition
// became due early. A dispatcher that knows the old due time would otherwise sleep until then.
func (s *Store) RingDue(ctx context.Context, p int, subs []string) error {
	return s.ring(ctx, hintDue, everybody, p, subs)
}

// RingListed has the other dispatchers look at the list of dispatchers, and at their infos.
func (s *Store) RingListed(ctx context.Context) error {
	return s.ring(ctx, hintListed, s.cfg.ID, 0, []string{everybody})
}

func (s *Store) ring(ctx context.Context, what, from string, p int, subs []string) error {
	text := hintText(what, from, p, subs, "")
	return rdb.Failed("tell the dispatchers", rdb.Int(s.db.With(ctx), "PUBLISH", s.keys.Control(), text).Err())
}

func hintText(what, from string, p int, subs []string, to string) string {
	words := []string{what, from, strconv.Itoa(p), strings.Join(subs, ",")}
	if to != "" {
		words = append(words, to)
	}
	return strings.Join(words, " ")
}

// doorbell is the pub/sub channel on which this process hears what is for it alone.
func (s *Store) doorbell() string {
	if s.deaf.Load() {
		return s.keys.Control()
	}
	return s.keys.Doorbell(s.cfg.ID)
}
