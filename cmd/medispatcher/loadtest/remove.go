package loadtest

import (
	"context"
	"errors"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/joined"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
	"github.com/solate/medispatcher/streams"
)

const (
	// removeWithin bounds cleaning up: whoever pressed Ctrl-C waits for it.
	removeWithin = 30 * time.Second
	// settleWithin is how long removing waits for pushes under way.
	settleWithin = 5 * time.Second
)

// Removed is what a load test had in Redis.
type Removed struct {
	Run           string   `json:"run"`
	Subscriptions int      `json:"subscriptions"`
	Incoming      int64    `json:"incoming"`
	Ready         int64    `json:"ready"`
	Buried        int64    `json:"buried"`
	Dead          int64    `json:"dead"`
	Kept          []string `json:"kept,omitempty"` // subscriptions whose topic somebody changed
}

// Remove takes everything of a run out of Redis. Its publishers must have stopped.
//
// A message that came to a channel after its removal, or found no subscription, would be logged
// by dispatchers, one by one. So Remove first pauses the subscriptions, withdraws what is not
// fanned out and waits for the pushes under way.
func Remove(ctx context.Context, store *joined.Store, registry *streams.Registry, run medispatcher.BenchRun) (removed Removed, err error) {
	ctx, cancel := context.WithTimeout(ctx, removeWithin)
	defer cancel()
	removed.Run = run.Run
	var ids []string
	for _, id := range run.IDs() {
		sub, _, err := registry.Get(ctx, id)
		switch {
		case errors.Is(err, medispatcher.ErrNotFound): // its messages may be left
			ids = append(ids, id)
			continue
		case err != nil:
			return removed, err
		case sub.Topic != run.Topic():
			removed.Kept = append(removed.Kept, id)
			continue
		}
		if _, _, err := registry.Patch(ctx, id, []byte(`{"paused":true}`), ""); err != nil {
			return removed, err
		}
		ids = append(ids, id)
	}
	if removed.Incoming, err = store.Withdraw(ctx, run.Topic(), run.Started); err != nil {
		return removed, err
	}
	if err := awaitSettled(ctx, store, ids); err != nil {
		return removed, err
	}
	for _, id := range ids {
		held, err := operate.Remove(ctx, registry, store, id, "", true)
		switch {
		case errors.Is(err, medispatcher.ErrNotFound):
			continue
		case err != nil:
			return removed, err
		}
		removed.Subscriptions++
		removed.Ready, removed.Buried, removed.Dead = removed.Ready+held.Ready, removed.Buried+held.Buried, removed.Dead+held.Dead
	}
	return removed, store.ForgetBench(ctx, run.Run)
}

// awaitSettled waits, for a while, until no push of these subscriptions is under way.
func awaitSettled(ctx context.Context, store *joined.Store, ids []string) error {
	for until := time.Now().Add(settleWithin); time.Now().Before(until); {
		channels, err := store.ChannelStatus(ctx, ids)
		if err != nil {
			return err
		}
		underWay := int64(0)
		for _, c := range channels {
			underWay += c.Buried - c.Retrying
		}
		if underWay == 0 {
			return nil
		}
		medispatcher.Sleep(ctx, look)
	}
	return nil
}
