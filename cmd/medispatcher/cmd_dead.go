package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

func (a *app) deadCommand() *cobra.Command {
	return a.placeCommand(&placeTexts{
		name: "dead", what: "dead letter", scope: "SUB",
		short: "Look at dead letters, replay or purge them",
		long: `Look at dead letters: messages whose attempts are exhausted, kept whole with a record of
how they failed. A replayed one is delivered as if it were new, with the same webhook-id.`,
		list: "List dead letters", listJSON: "print one JSON object a line, bodies included",
		show:   "Show a dead letter whole, as JSON",
		replay: "Deliver dead letters again, all of them or some",
		replayed: `Deliver dead letters again: attempt 1, the same webhook-id, the record cleared. Without IDs,
all that are there when it starts. It may be interrupted and repeated: each letter is moved in one step.`,
		purge:  "Remove dead letters for good, all of them or some",
		header: []string{"ID", "DIED", "TOPIC", "MESSAGE", ">ATTEMPTS", "LAST ERROR"},
		none:   func(sub string) string { return fmt.Sprintf("no dead letters of %q", sub) },
		all:    func(sub string) string { return fmt.Sprintf("Purge all dead letters of %q?", sub) },
		where:  func(sub string) string { return sub },
		open: func(ctx context.Context, s *state, sub string) (place, error) {
			return deadLetters{s, sub}, s.known(ctx, sub)
		},
	})
}

// deadLetters are those of a subscription.
type deadLetters struct {
	*state
	sub string
}

func (p deadLetters) list(ctx context.Context, q medispatcher.Search) (list []waiting, next string, err error) {
	page, err := p.store.SearchDead(ctx, p.sub, q, pageSize, aWhile())
	list = make([]waiting, len(page.Letters))
	for i, l := range page.Letters {
		attempts, last := "-", "-"
		if l.Failure != nil {
			attempts, last = strconv.Itoa(l.Failure.Attempts), l.Failure.LastError
		}
		row := []string{l.ID, l.Died.Format(time.DateTime), l.Message.Topic, l.Message.ID, attempts, cli.Shorten(last)}
		list[i] = waiting{l.ID, row, operate.Show(l)}
	}
	return list, page.Next, err
}

func (p deadLetters) count(ctx context.Context, q medispatcher.Search) (medispatcher.MatchCount, error) {
	return p.store.CountDead(ctx, p.sub, q, aWhile())
}

func (p deadLetters) replayMatching(ctx context.Context, q medispatcher.Search) (o outcome, next string, err error) {
	done, err := p.store.ReplayMatching(ctx, p.sub, q, aWhile())
	return outcome{done: done.Done}, done.Next, err
}

func (p deadLetters) purgeMatching(ctx context.Context, q medispatcher.Search) (o outcome, next string, err error) {
	done, err := p.store.PurgeMatching(ctx, p.sub, q, aWhile())
	return outcome{done: done.Done}, done.Next, err
}

func (p deadLetters) show(ctx context.Context, id string) (any, error) {
	l, err := p.store.DeadLetter(ctx, p.sub, id)
	return operate.Show(l), err
}

func (p deadLetters) replay(ctx context.Context, ids []string, more progressFunc) (outcome, error) {
	return someOrAll("replayed", ids, more,
		func(ids []string) (int, error) { return p.store.Replay(ctx, p.sub, ids) },
		func(more progressFunc) (done, left int64, err error) { return p.store.ReplayAll(ctx, p.sub, more) })
}

func (p deadLetters) purge(ctx context.Context, ids []string, more progressFunc) (outcome, error) {
	return someOrAll("purged", ids, more,
		func(ids []string) (int, error) { return p.store.PurgeDead(ctx, p.sub, ids) },
		func(more progressFunc) (done, left int64, err error) { return p.store.PurgeAllDead(ctx, p.sub, more) })
}
