package main

import (
	"context"
	"fmt"

	"github.com/solate/medispatcher/cmd/internal/cli"
	"github.com/solate/medispatcher/cmd/medispatcher/loadtest"
	"github.com/solate/medispatcher/cmd/medispatcher/operate"
)

// cleanBenches removes what dead load tests left behind.
func (s *state) cleanBenches(ctx context.Context) error {
	step, cancel := context.WithTimeout(ctx, stepWithin)
	defer cancel()
	runs, err := s.store.Benches(step)
	if err != nil {
		return err
	}
	all := []loadtest.Removed{}
	for _, run := range runs {
		if run.Alive {
			_, _ = fmt.Fprintf(s.stderr, "%s is left alone: it runs on %s, pid %d, or died a moment ago\n", cli.Clean(run.Name()), cli.Clean(run.Host), run.PID)
			continue
		}
		removed, err := loadtest.Remove(ctx, s.store, s.registry, run)
		if err != nil {
			return fmt.Errorf("%s: not all of it is removed; repeat it: %w", cli.Clean(run.Name()), s.explain(err))
		}
		all = append(all, removed)
		for _, id := range removed.Kept {
			_, _ = fmt.Fprintf(s.stderr, "%s is left alone: its topic is not that of the load test any more\n", cli.Clean(id))
		}
		if !s.json {
			_, _ = fmt.Fprintf(s.stdout, "%s: %s\n", cli.Clean(run.Name()), removedText(removed))
		}
	}
	if s.json {
		return cli.WriteJSON(s.stdout, all, "")
	}
	if len(all) == 0 {
		_, err = fmt.Fprintln(s.stdout, "nothing to clean")
	}
	return err
}

func removedText(r loadtest.Removed) string {
	text := cli.Counted(int64(r.Subscriptions), "subscription") + " removed"
	if held := (operate.Held{Ready: r.Ready, Buried: r.Buried, Dead: r.Dead}); !held.Empty() {
		text += ", and with it " + held.String()
	}
	if r.Incoming > 0 {
		text += ", " + cli.Counted(r.Incoming, "message") + " withdrawn before the fan-out"
	}
	return text
}
