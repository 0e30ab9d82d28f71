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

// keptTexts are what differs between the commands of the two places.
type keptTexts struct {
	short, long, replay, purge string
}

var keptHelp = map[medispatcher.KeptPlace]keptTexts{
	medispatcher.PlaceUnrouted: {
		short: "Look at messages that nobody wanted, replay or purge them",
		long: `Look at unrouted messages: no subscription wanted their topic when they came. They are kept
whole, the newest MEDIS_UNROUTED_MAXLEN of them. Replaying them routes them as if they came now:
to the subscriptions there are by then. What still nobody wants comes back.`,
		replay: `Send unrouted messages through the fan-out again, with their id and time kept. Without IDs,
all that are there when it starts; what still nobody wants comes back. It may be interrupted and
repeated: each message is moved in one step.`,
		purge: "Throw unrouted messages away for good, all of them or some",
	},
	medispatcher.PlaceQuarantine: {
		short: "Look at entries that could not be decoded, replay or purge them",
		long: `Look at the quarantine: entries of the incoming stream that could not be decoded or were too
large, copies for a channel whose key is no stream, and items of recover lists that are no messages.
Each is kept as it came, with the reason. Replay them once the reason is gone: MEDIS_MAX_BODY
raised, the foreign key deleted.`,
		replay: `Try quarantined entries again, with their id and time kept. Without IDs, all that are there
when it starts. A copy for one subscription goes to its channel alone. What would come back at
once is refused and stays, with the reason. It may be interrupted and repeated: no entry is lost
or published twice.`,
		purge: "Throw quarantined entries away for good, all of them or some",
	},
}

func (a *app) keptCommand(place medispatcher.KeptPlace) *cobra.Command {
	name := string(place)
	cmd := &cobra.Command{
		Use:                   name + " COMMAND",
		DisableFlagsInUseLine: true,
		GroupID:               groupOperate,
		Short:                 keptHelp[place].short,
		Long:                  keptHelp[place].long,
		Example: fmt.Sprintf(`  medispatcher %[1]s ls
  medispatcher %[1]s show 0-1700000000000-0
  medispatcher %[1]s replay            all of them
  medispatcher %[1]s purge 0-1700000000000-0`, name),
		Args: noSuchCommand,
		RunE: needsCommand,
	}
	cmd.AddCommand(a.keptListCommand(place), a.keptShowCommand(place), a.keptReplayCommand(place), a.keptPurgeCommand(place))
	return cmd
}

func (a *app) keptListCommand(place medispatcher.KeptPlace) *cobra.Command {
	var limit int
	var newest bool
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List them without their bodies, the oldest first",
		Args:  noArgs,
		RunE: a.withState(func(ctx context.Context, s *state, _ []string) error {
			return s.listKept(ctx, place, newest, limit)
		}),
	}
	a.jsonFlag(cmd, "print one JSON object a line")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many; 0 for all")
	cmd.Flags().BoolVar(&newest, "newest", false, "the newest first")
	return cmd
}

func (s *state) listKept(ctx context.Context, place medispatcher.KeptPlace, newest bool, limit int) error {
	t := table{header: []string{"ID", "KEPT SINCE", "TOPIC", "MESSAGE", ">BYTES", "REASON"}}
	if place == medispatcher.PlaceUnrouted {
		t.header = t.header[:5]
	}
	more, n := false, 0
	err := s.eachKept(ctx, place, newest, func(k medispatcher.Kept) (bool, error) {
		if limit > 0 && n == limit {
			more = true
			return false, nil
		}
		n++
		if s.json {
			return true, writeJSON(s.stdout, operate.ListKept(k), "")
		}
		row := []string{k.ID, k.At.Format(time.DateTime), orDash(shorten(k.Message.Topic)), orDash(shorten(k.Message.ID)), strconv.FormatInt(k.Bytes, 10), shorten(k.Reason)}
		t.add(row[:len(t.header)]...)
		return true, nil
	})
	if err != nil || s.json {
		return keptError(err)
	}
	if n == 0 {
		_, _ = fmt.Fprintln(s.stderr, noneKept[place])
		return nil
	}
	if err := t.write(s.stdout); err != nil {
		return err
	}
	if more {
		_, _ = fmt.Fprintf(s.stderr, "and more; --limit 0 lists all\n")
	}
	return nil
}

var noneKept = map[medispatcher.KeptPlace]string{
	medispatcher.PlaceUnrouted: "no unrouted messages", medispatcher.PlaceQuarantine: "the quarantine is empty",
}

// eachKept calls do for each kept message until it says stop.
func (s *state) eachKept(ctx context.Context, place medispatcher.KeptPlace, newest bool, do func(medispatcher.Kept) (more bool, err error)) error {
	for after := ""; ; {
		page, cancel := context.WithTimeout(ctx, stepWithin)
		list, err := s.store.ListKept(page, place, medispatcher.KeptQuery{After: after, Newest: newest, Limit: deadPage})
		cancel()
		if err != nil {
			return err
		}
		for _, k := range list {
			if more, err := do(k); err != nil || !more {
				return err
			}
		}
		if len(list) < deadPage {
			return nil
		}
		after = list[len(list)-1].ID
	}
}

func (a *app) keptShowCommand(place medispatcher.KeptPlace) *cobra.Command {
	return a.jsonFlag(&cobra.Command{
		Use:   "show ID",
		Short: "Show one whole, as JSON",
		Args:  exactly("ID"),
		RunE: a.withState(func(ctx context.Context, s *state, args []string) error {
			ctx, cancel := context.WithTimeout(ctx, stepWithin)
			defer cancel()
			k, err := s.store.ReadKept(ctx, place, args[0])
			if err != nil {
				return keptError(err)
			}
			return writeJSON(s.stdout, operate.ShowKept(k), "  ")
		}),
	}, "print JSON, as it does in any case")
}

func keptError(err error) error { return deadError(err) }
