package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// keptTexts are those that both commands share.
func keptTexts(name medispatcher.KeptPlace) *placeTexts {
	return &placeTexts{
		name: string(name), what: "message",
		list: "List them without their bodies", listJSON: "print one JSON object a line",
		show:   "Show one whole, as JSON",
		replay: "Try them again, all of them or some",
		header: []string{"ID", "KEPT SINCE", "TOPIC", "MESSAGE", ">BYTES", "REASON"},
		all:    func(string) string { return fmt.Sprintf("Purge all messages in %s?", name) },
		where:  func(string) string { return string(name) },
		open:   func(_ context.Context, s *state, _ string) (place, error) { return keptMessages{s, name}, nil },
	}
}

// keptMessages are those of the quarantine, or the unrouted.
type keptMessages struct {
	*state
	name medispatcher.KeptPlace
}

func (p keptMessages) list(ctx context.Context, q medispatcher.Search) (list []waiting, next string, err error) {
	page, err := p.store.SearchKept(ctx, p.name, q, pageSize, aWhile())
	list = make([]waiting, len(page.Messages))
	for i, k := range page.Messages {
		row := []string{k.ID, k.At.Format(time.DateTime), cmp.Or(cli.Shorten(k.Message.Topic), "-"), cmp.Or(cli.Shorten(k.Message.ID), "-"), strconv.FormatInt(k.Bytes, 10)}
		if p.name == medispatcher.PlaceQuarantine {
			row = append(row, cli.Shorten(k.Reason))
		}
		list[i] = waiting{k.ID, row, operate.ListKept(k)}
	}
	return list, page.Next, err
}

func (p keptMessages) count(ctx context.Context, q medispatcher.Search) (medispatcher.MatchCount, error) {
	return p.store.CountKept(ctx, p.name, q, aWhile())
}

func (p keptMessages) replayMatching(ctx context.Context, q medispatcher.Search) (o outcome, next string, err error) {
	if err := p.mayPublish(); err != nil {
		return o, "", err
	}
	subs, err := p.registry.Latest(ctx)
	if err != nil {
		return o, "", err
	}
	done, err := p.store.ReplayMatchingKept(ctx, p.name, q, p.cfg.KeptRules(subs), aWhile())
	return outcome{done: done.Replayed, unwanted: done.Unwanted, missing: done.Missing, refused: done.Refused, refusals: done.Refusals}, done.Next, err
}

func (p keptMessages) purgeMatching(ctx context.Context, q medispatcher.Search) (o outcome, next string, err error) {
	done, err := p.store.PurgeMatchingKept(ctx, p.name, q, aWhile())
	return outcome{done: done.Done}, done.Next, err
}

func (p keptMessages) show(ctx context.Context, id string) (any, error) {
	k, err := p.store.ReadKept(ctx, p.name, id)
	return operate.ShowKept(k), err
}

// replay uses the subscriptions that are stored now.
func (p keptMessages) replay(ctx context.Context, ids []string, more progressFunc) (outcome, error) {
	if err := p.mayPublish(); err != nil {
		return outcome{}, err
	}
	subs, err := p.registry.Latest(ctx)
	if err != nil {
		return outcome{}, err
	}
	if p.name == medispatcher.PlaceUnrouted {
		if err := p.warnUnwanted(ctx, subs.Router(), ids); err != nil {
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
	return outcome{done: done.Replayed, missing: done.Missing, refused: done.Refused, refusals: done.Refusals, json: about}, err
}

func (p keptMessages) purge(ctx context.Context, ids []string, more progressFunc) (outcome, error) {
	return someOrAll("purged", ids, more,
		func(ids []string) (int, error) { return p.store.PurgeKept(ctx, p.name, ids) },
		func(more progressFunc) (done, left int64, err error) { return p.store.PurgeAllKept(ctx, p.name, more) })
}
