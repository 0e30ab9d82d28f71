package daemon

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/amender"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
)

const (
	// kickFailLines bounds the lines of one round of healing. The next round goes on.
	kickFailLines = 1000
	// kickFailMost bounds the entries that are remembered. Entries beyond that have no line.
	kickFailMost = 100_000
	// kickFailEvery spaces the looks.
	kickFailEvery = 5 * time.Second
)

// kickFails writes KICKFAIL lines for the messages that healing cannot give back, one for each.
type kickFails struct {
	store   *streams.Store
	dataLog *dataLog
	log     *slog.Logger

	told map[medispatcher.Channel]map[string]bool // entries of channels that are stuck
	n    int
	next time.Time // no look before: healing that fails is repeated soon
}

// tell looks at the channels whose healing failed. While Redis is away it writes no line: nobody
// knows then what is stuck, and healing is repeated.
func (k *kickFails) tell(ctx context.Context, rows []amender.Row, healed bool) {
	if healed {
		k.told, k.n, k.next = nil, 0, time.Time{}
	}
	if healed || time.Now().Before(k.next) {
		return
	}
	owners := map[medispatcher.Channel][]string{}
	reasons := map[medispatcher.Channel]error{}
	for _, row := range rows {
		if row.Error == "" || row.Subscription == "" {
			continue
		}
		c := medispatcher.Channel{Partition: row.Partition, Subscription: row.Subscription}
		if err := k.cause(ctx, c, row.Owner); errors.Is(err, medispatcher.ErrGone) {
			reasons[c] = err
			owners[c] = append(owners[c], row.Owner)
		}
	}
	if len(owners) == 0 {
		return
	}
	k.next = time.Now().Add(kickFailEvery)
	left := kickFailLines
	for c, list := range owners {
		// A step that fails half way leaves its entry with ~buried.
		for _, owner := range append(list, medispatcher.OwnerBuried) {
			if owner == "" {
				continue // it is in the list as ~buried
			}
			err := k.store.EachPending(ctx, c, owner, func(entryID string) bool {
				return left > 0 && k.n < kickFailMost && !k.told[c][entryID]
			}, func(m medispatcher.Delivery) bool {
				left--
				k.write(&m, owner, reasons[c])
				return left > 0 && k.n < kickFailMost
			})
			if err != nil && !errors.Is(err, medispatcher.ErrGone) { // a key of a wrong type holds no messages
				k.log.Warn("messages that cannot be given back cannot be read either", "partition", c.Partition, "subscription", c.Subscription, "error", err)
			}
		}
	}
}

// cause repeats a step that failed, for its error: the report has only the text.
func (k *kickFails) cause(ctx context.Context, c medispatcher.Channel, owner string) error {
	if owner == "" {
		_, err := k.store.Orphans(ctx, c, false, false)
		return err
	}
	_, _, err := k.store.GiveBack(ctx, c, owner, 1)
	return err
}

func (k *kickFails) write(m *medispatcher.Delivery, owner string, reason error) {
	if k.told == nil {
		k.told = map[medispatcher.Channel]map[string]bool{}
	}
	if k.told[m.Channel] == nil {
		k.told[m.Channel] = map[string]bool{}
	}
	k.told[m.Channel][m.EntryID] = true
	if k.n++; k.n == kickFailMost {
		k.log.Error("too many messages cannot be given back: the others have no line in the DATA log", "lines", k.n)
	}
	k.log.Warn("a message cannot be given back", "partition", m.Partition, "subscription", m.Subscription,
		"id", m.Message.ID, "entry", m.EntryID, "owner", owner, "error", reason)
	k.dataLog.put(rescue.Line{
		Code: rescue.KickFail, Error: reason.Error(), Partition: m.Partition, Subscription: m.Subscription,
		Attempt: m.Attempt, Entry: m.EntryID, Message: rescue.MessageOf(&m.Message),
	})
}
