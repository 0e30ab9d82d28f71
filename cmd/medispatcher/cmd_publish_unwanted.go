package main

import (
	"context"
	"fmt"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

const (
	// wishesFresh is how long the last look at the subscriptions counts.
	wishesFresh = time.Second
	// wishesWithin bounds the look at the subscriptions: the message is published already.
	wishesWithin = 3 * time.Second
	// wishesTold bounds the warnings.
	wishesTold = 1000
)

// wishes warns once about each topic that no subscription wants.
type wishes struct {
	s      *state
	router *medispatcher.Router
	looked time.Time
	told   map[string]bool
	blind  bool // the subscriptions cannot be read: the Redis user of a producer may lack the permission
}

func (s *state) wishes() *wishes { return &wishes{s: s, told: map[string]bool{}} }

// published warns when nobody wants the topic of a message that was just published.
func (w *wishes) published(ctx context.Context, topic string) {
	if w.blind || w.told[topic] || w.router != nil && len(w.router.Route(topic)) > 0 {
		return
	}
	if time.Since(w.looked) > wishesFresh {
		ctx, cancel := context.WithTimeout(ctx, wishesWithin)
		defer cancel()
		subs, err := w.s.registry.Latest(ctx)
		if err != nil {
			w.blind = true
			return
		}
		w.router, w.looked = subs.Router(), time.Now()
	}
	text := operate.Unwanted(w.router, topic)
	if text == "" || len(w.told) > wishesTold {
		return
	}
	if w.told[topic] = true; len(w.told) > wishesTold {
		_, _ = fmt.Fprintln(w.s.stderr, "medispatcher: warning: further topics that no subscription wants are not named; medispatcher unrouted ls lists their messages")
		return
	}
	_, _ = fmt.Fprintf(w.s.stderr, "medispatcher: warning: %s (it is kept; see medispatcher unrouted --help)\n", cli.Clean(text))
}
