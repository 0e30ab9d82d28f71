package streams

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
)

const changed = "subscriptions"

// Hints are what other processes tell this one. They may be lost; polling repairs that.
type Hints struct {
	Changed func()                       // a subscription changed
	Ready   func([]medispatcher.Channel) // these channels have new messages
	Due     func([]medispatcher.Channel) // in these channels messages became due before their time
}

// Listen hands on hints until ctx ends. It has a connection of its own, and goes on
// by itself when Redis comes back.
func (s *Store) Listen(ctx context.Context, h Hints) error {
	sub := s.client.Subscribe(ctx, s.keys.control())
	defer func() { _ = sub.Close() }()
	messages := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case m, ok := <-messages:
			if !ok {
				return nil
			}
			s.hint(m.Payload, h)
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

// RingDue tells every dispatcher that messages in channels of a partition became due
// before their time. Who knew when they were due would else wait for that.
func (s *Store) RingDue(ctx context.Context, p int, subs []string) error {
	return s.ring(ctx, "due", everybody, p, subs)
}

func (s *Store) ring(ctx context.Context, what, from string, p int, subs []string) error {
	text := strings.Join([]string{what, from, strconv.Itoa(p), strings.Join(subs, ",")}, " ")
	return failed("ring", s.client.Publish(ctx, s.keys.control(), text).Err())
}
