package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

func (a *app) unroutedCommand() *cobra.Command {
	t := keptTexts(medispatcher.PlaceUnrouted)
	t.short = "Look at messages that nobody wanted, replay or purge them"
	t.long = `Look at unrouted messages: no subscription wanted their topic when they came. They are kept
whole, the newest MEDIS_UNROUTED_MAXLEN of them. Replaying them routes them as if they came now:
to the subscriptions that exist by then. What nobody wants even then comes back.`
	t.replayed = `Send unrouted messages through the fan-out again, with their id and time kept. Without IDs,
all that are there when it starts; what nobody wants even then comes back. It may be interrupted
and repeated: each message is moved in one step.`
	t.purge = "Remove unrouted messages for good, all of them or some"
	t.none = func(string) string { return "no unrouted messages" }
	t.header = t.header[:5] // the reason is the same for all
	return a.placeCommand(t)
}

// unwantedLooked bounds the messages that warnUnwanted looks at.
const unwantedLooked = 20_000

// warnUnwanted says how many of the messages that are to be replayed will come back.
func (p keptMessages) warnUnwanted(ctx context.Context, router *medispatcher.Router, ids []string) error {
	topics, looked, err := p.store.KeptTopics(ctx, p.name, unwantedLooked, ids...)
	if err != nil {
		return err
	}
	var unwanted []medispatcher.TopicCount
	back := int64(0)
	for _, t := range topics {
		if len(router.Route(t.Topic)) == 0 {
			unwanted = append(unwanted, t)
			back += t.Count
		}
	}
	if back > 0 {
		_, _ = fmt.Fprintf(p.stderr, "medispatcher: no subscription wants %s, which will come back: %s\n",
			cli.Some(back, int64(looked), "message"), cli.Clean(operate.NameTopics(router, unwanted)))
	}
	return nil
}
