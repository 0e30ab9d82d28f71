package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

const (
	// benchCleanWithin bounds cleaning up: who pressed Ctrl-C waits.
	benchCleanWithin = 30 * time.Second
	// benchSettleWithin is how long pushes under way are waited for.
	benchSettleWithin = 5 * time.Second
)

// benchRemoved is what a load test had in Redis.
type benchRemoved struct {
	Run           string   `json:"run"`
	Subscriptions int      `json:"subscriptions"`
	Incoming      int64    `json:"incoming"`
	Ready         int64    `json:"ready"`
	Buried        int64    `json:"buried"`
	Dead          int64    `json:"dead"`
	Kept          []string `json:"kept,omitempty"` // somebody made something else of them
}

// removeBench takes everything of a load test out of Redis whose publishers have stopped:
// nothing may come to a channel that was removed, nor be routed to nobody, which dispatchers
// would log message by message. So it stops the pushing, withdraws what is not fanned out,
// lets what is under way end, and then removes.
func (s *state) removeBench(ctx context.Context, run medispatcher.BenchRun) (removed benchRemoved, err error) {
	ctx, cancel := context.WithTimeout(ctx, benchCleanWithin)
	defer cancel()
	removed.Run = run.Run
	var ids []string
	for _, id := range run.IDs() {
		sub, _, err := s.registry.Get(ctx, id)
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
		if _, _, err := s.registry.Patch(ctx, id, []byte(`{"paused":true}`), ""); err != nil {
			return removed, err
		}
		ids = append(ids, id)
	}
	if removed.Incoming, err = s.store.Withdraw(ctx, run.Topic(), run.Started); err != nil {
		return removed, err
	}
	if err := s.awaitSettled(ctx, ids); err != nil {
		return removed, err
	}
	for _, id := range ids {
		held, err := operate.Remove(ctx, s.registry, s.store, id, "", true)
		switch {
		case errors.Is(err, medispatcher.ErrNotFound):
			continue
		case err != nil:
			return removed, err
		}
		removed.Subscriptions++
		removed.Ready, removed.Buried, removed.Dead = removed.Ready+held.Ready, removed.Buried+held.Buried, removed.Dead+held.Dead
	}
	return removed, s.store.ForgetBench(ctx, run.Run)
}

// awaitSettled waits, for a while, until no push of subscriptions is under way.
func (s *state) awaitSettled(ctx context.Context, ids []string) error {
	for until := time.Now().Add(benchSettleWithin); time.Now().Before(until); {
		channels, err := s.store.ChannelStatus(ctx, ids)
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
		medispatcher.Sleep(ctx, 20*time.Millisecond)
	}
	return nil
}

// cleanBenches removes what load tests left that are dead.
func (s *state) cleanBenches(ctx context.Context) error {
	step, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	runs, err := s.store.Benches(step)
	if err != nil {
		return err
	}
	all := []benchRemoved{}
	for _, run := range runs {
		if run.Alive {
			_, _ = fmt.Fprintf(s.stderr, "%s is left alone: it runs on %s, pid %d, or died a moment ago\n", clean(run.Name()), clean(run.Host), run.PID)
			continue
		}
		removed, err := s.removeBench(ctx, run)
		if err != nil {
			return fmt.Errorf("%s: not all of it is removed; repeat it: %w", clean(run.Name()), s.explain(err))
		}
		all = append(all, removed)
		for _, id := range removed.Kept {
			_, _ = fmt.Fprintf(s.stderr, "%s is left alone: its topic is not that of the load test any more\n", clean(id))
		}
		if !s.json {
			_, _ = fmt.Fprintf(s.stdout, "%s: %s\n", clean(run.Name()), removed)
		}
	}
	if s.json {
		return writeJSON(s.stdout, all, "")
	}
	if len(all) == 0 {
		_, err = fmt.Fprintln(s.stdout, "nothing to clean")
	}
	return err
}

func (r benchRemoved) String() string {
	text := counted(int64(r.Subscriptions), "subscription") + " removed"
	if held := (operate.Held{Ready: r.Ready, Buried: r.Buried, Dead: r.Dead}); !held.Empty() {
		text += ", and with it " + held.String()
	}
	if r.Incoming > 0 {
		text += ", " + counted(r.Incoming, "message") + " withdrawn before the fan-out"
	}
	return text
}

// benchDocument is a subscription of a load test.
func (s *state) benchDocument(run medispatcher.BenchRun, f benchFlags, url string) []byte {
	limit := s.cfg.MaxTimeout
	doc, err := json.Marshal(map[string]any{
		"topic": run.Topic(), "urls": []string{url}, "interval": "0s",
		"concurrency": f.concurrency, "retry_concurrency": min(f.concurrency, s.cfg.MaxRetryConcurrency),
		"timeout":     min(max(s.cfg.Timeout, f.delay+5*time.Second), limit).String(),
		"max_retries": benchRetries, "retry_coefficient": benchCoefficient.String(),
		"alert": map[string]any{"enabled": false},
	})
	if err != nil {
		panic(err) // strings and numbers
	}
	return doc
}

// A message that fails is tried again soon, and given up within half a minute.
const (
	benchRetries     = 20
	benchCoefficient = 10 * time.Millisecond
)
