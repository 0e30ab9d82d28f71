package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/config"
	"github.com/solate/medispatcher/push"
	"github.com/solate/medispatcher/push/http1"
)

const (
	// triesAtOnce bounds the attempts that people ask for, in a dispatcher.
	triesAtOnce = 4
	// tryTimeout bounds each of them: somebody waits for it.
	tryTimeout = medispatcher.Duration(time.Minute)
	// tryGrace is how much longer the context of an attempt lasts than its timeout, which ends it with a better error.
	tryGrace = time.Second
)

// Pusher makes requests as the dispatcher does, for people who ask for one.
type Pusher struct {
	Config  *config.Config
	Client  *http1.Client
	Version string
	tries   chan struct{} // has room for those under way; nil: any number
}

// NewPusher makes a Pusher with a client of its own, for a command. end closes it.
func NewPusher(cfg *config.Config, version string) (p Pusher, end func(), err error) {
	client, err := newClient(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return p, nil, err
	}
	return Pusher{Config: cfg, Client: client, Version: version}, client.Close, nil
}

func userAgent(version string) string { return "medispatcher/" + version }

// Show is the request of an attempt that would begin now.
func (p Pusher) Show(sub *medispatcher.Subscription, d *medispatcher.Delivery) (medispatcher.Request, error) {
	return push.Show(sub, d, p.Config.Env, userAgent(p.Version), time.Now())
}

// Try makes one attempt at a message, which counts nowhere. It ends at the subscription's timeout, after a minute at most.
func (p Pusher) Try(ctx context.Context, sub *medispatcher.Subscription, m medispatcher.Message) (medispatcher.Trial, error) {
	if p.tries != nil {
		select {
		case p.tries <- struct{}{}:
			defer func() { <-p.tries }()
		default:
			return medispatcher.Trial{}, fmt.Errorf("%w: %d tests are under way", medispatcher.ErrConflict, triesAtOnce)
		}
	}
	own := *sub
	own.Timeout = min(own.Timeout, tryTimeout)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(own.Timeout)+tryGrace)
	defer cancel()
	d := &medispatcher.Delivery{Channel: medispatcher.Channel{Subscription: sub.ID}, Attempt: 1, Message: m}
	return push.Try(ctx, p.Client, &own, d, p.Config.Env, userAgent(p.Version))
}
