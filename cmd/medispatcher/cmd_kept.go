package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
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
	t.purge = "Throw unrouted messages away for good, all of them or some"
	t.none = func(string) string { return "no unrouted messages" }
	t.header = t.header[:5] // the reason is the same for all
	return a.placeCommand(t)
}

func (a *app) quarantineCommand() *cobra.Command {
	t := keptTexts(medispatcher.PlaceQuarantine)
	t.short = "Look at entries that could not be decoded, replay or purge them"
	t.long = `Look at the quarantine: entries of the incoming stream that could not be decoded or were too
large, copies for a channel whose key is not a stream, and items of recover lists that are not messages.
Each is kept as it came, with the reason. Replay them once the reason is gone, for example after
MEDIS_MAX_BODY was raised, or the foreign key deleted.`
	t.replayed = `Try quarantined entries again, with their id and time kept. Without IDs, all that are there
when it starts. A copy for one subscription goes to its channel alone. What would come back at
once is refused and stays, with the reason. It may be interrupted and repeated: no entry is lost
or published twice.`
	t.purge = "Throw quarantined entries away for good, all of them or some"
	t.none = func(string) string { return "the quarantine is empty" }
	return a.placeCommand(t)
}

// keptTexts are those that both commands share.
func keptTexts(name medispatcher.KeptPlace) *placeTexts {
	return &placeTexts{
		name: string(name), what: "message",
		list: "List them without their bodies, the oldest first", listJSON: "print one JSON object a line", newest: true,
		show:   "Show one whole, as JSON",
		replay: "Try them again, all of them or some",
		header: []string{"ID", "KEPT SINCE", "TOPIC", "MESSAGE", ">BYTES", "REASON"},
		all:    func(string) string { return fmt.Sprintf("Throw away all messages in %s?", name) },
		where:  func(string) string { return string(name) },
		open:   func(s *state, _ string) (place, error) { return keptMessages{s, name}, nil },
	}
}

// keptMessages are those of the quarantine, or the unrouted.
type keptMessages struct {
	*state
	name medispatcher.KeptPlace
}

func (p keptMessages) list(ctx context.Context, after string, newest bool) ([]waiting, error) {
	kept, err := p.store.ListKept(ctx, p.name, medispatcher.KeptQuery{After: after, Newest: newest, Limit: pageSize})
	list := make([]waiting, len(kept))
	for i, k := range kept {
		row := []string{k.ID, k.At.Format(time.DateTime), orDash(shorten(k.Message.Topic)), orDash(shorten(k.Message.ID)), strconv.FormatInt(k.Bytes, 10)}
		if p.name == medispatcher.PlaceQuarantine {
			row = append(row, shorten(k.Reason))
		}
		list[i] = waiting{k.ID, row, operate.ListKept(k)}
	}
	return list, err
}

func (p keptMessages) show(ctx context.Context, id string) (any, error) {
	k, err := p.store.ReadKept(ctx, p.name, id)
	return operate.ShowKept(k), err
}

// replay decides by the subscriptions that are stored now.
func (p keptMessages) replay(ctx context.Context, ids []string, more progressFunc) (outcome, error) {
	subs, err := p.registry.Latest(ctx)
	if err != nil {
		return outcome{}, err
	}
	if p.name == medispatcher.PlaceUnrouted {
		if err := p.warnUnwanted(ctx, subs.Router, ids); err != nil {
			return outcome{}, err
		}
	}
	var done medispatcher.KeptDone
	if len(ids) > 0 {
		done, err = p.store.ReplayKept(ctx, p.name, ids, p.cfg.KeptRules(subs))
	} else {
		done, err = p.store.ReplayAllKept(ctx, p.name, p.cfg.KeptRules(subs), more)
	}
	about := map[string]any{"replayed": done.Replayed, "unwanted": done.Unwanted, "missing": done.Missing, "refused": done.Refused}
	if done.Refused > 0 {
		about["refusals"] = done.Refusals
	}
	return outcome{done.Replayed, done.Missing, done.Refused, done.Refusals, about}, err
}

func (p keptMessages) purge(ctx context.Context, ids []string, more progressFunc) (outcome, error) {
	return someOrAll("purged", ids, more,
		func(ids []string) (int, error) { return p.store.PurgeKept(ctx, p.name, ids) },
		func(more progressFunc) (done, left int64, err error) { return p.store.PurgeAllKept(ctx, p.name, more) })
}

// unwantedLooked bounds the messages that are looked at before all are replayed.
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
		_, _ = fmt.Fprintf(p.stderr, "medispatcher: no subscription wants %d of %s, which will come back: %s\n",
			back, counted(int64(looked), "message"), clean(operate.NameTopics(router, unwanted)))
	}
	return nil
}
