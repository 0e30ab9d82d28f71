package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/cmd/internal/cli"
)

func (a *app) partitionsCommand() *cobra.Command {
	cmd := a.jsonFlag(&cobra.Command{
		Use:     "partitions",
		GroupID: groupOperate,
		Short:   "Show what each partition holds",
		Long: `Show what each partition holds, and over how many the dispatchers spread new messages.
Dispatchers work on all partitions that were ever used. Those that a lowered MEDIS_PARTITIONS
left behind are worked on until they are forgotten.`,
		Args: cli.NoArgs,
		RunE: a.withState(func(ctx context.Context, s *state, _ []string) error { return s.showPartitions(ctx) }),
	}, "print JSON")
	cmd.AddCommand(a.jsonFlag(&cobra.Command{
		Use:   "forget",
		Short: "Forget the partitions above MEDIS_PARTITIONS that are empty",
		Long: `Forget the partitions above MEDIS_PARTITIONS that are empty, the highest first. Dispatchers that
are started from then on do not work on them. Before that, set the lower number in all producers and
all dispatchers, and wait until partitions shows nothing in the higher ones.`,
		Args: cli.NoArgs,
		RunE: a.withState(func(ctx context.Context, s *state, _ []string) error { return s.forgetPartitions(ctx) }),
	}, "print JSON"))
	return cmd
}

// partitions is what commands say about them.
type partitions struct {
	Spread     int                          `json:"spread"` // new messages go to the first so many
	Partitions []medispatcher.PartitionHeld `json:"partitions"`
}

// partitions counts what all partitions hold.
func (s *state) partitions(ctx context.Context) (p partitions, err error) {
	ids, err := s.store.SubscriptionIDs(ctx)
	if err != nil {
		return p, err
	}
	all, err := s.store.Dispatchers(ctx)
	if err != nil {
		return p, err
	}
	p.Spread = s.store.Spread()
	if spreads := medispatcher.Spreads(all); len(spreads) > 0 {
		p.Spread = slices.Max(slices.Collect(maps.Keys(spreads)))
	}
	for n := range s.store.Partitions() {
		held, err := s.store.PartitionHeld(ctx, n, ids)
		if err != nil {
			return p, err
		}
		p.Partitions = append(p.Partitions, held)
	}
	return p, nil
}

func (s *state) showPartitions(ctx context.Context) error {
	p, err := s.partitions(ctx)
	if err != nil {
		return err
	}
	if s.json {
		return cli.WriteJSON(s.stdout, p, "  ")
	}
	table := cli.Table{Header: []string{">PARTITION", "NEW MESSAGES", ">INCOMING", ">DELAYED", ">IN CHANNELS", ">DEAD", ">UNROUTED", ">QUARANTINE"}}
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	for _, h := range p.Partitions {
		takes := "yes"
		if h.Partition >= p.Spread {
			takes = "no"
		}
		table.Add(strconv.Itoa(h.Partition), takes, n(h.Incoming), n(h.Delayed), n(h.Messages), n(h.Dead), n(h.Unrouted), n(h.Quarantine))
	}
	if err := table.Write(s.stdout); err != nil {
		return err
	}
	if keep := p.keep(); keep < len(p.Partitions) {
		_, err = fmt.Fprintf(s.stdout, "%s above are empty: medispatcher partitions forget\n", cli.Counted(int64(len(p.Partitions)-keep), "partition"))
	}
	return err
}

// keep is how many partitions cannot be forgotten.
func (p *partitions) keep() int {
	keep := len(p.Partitions)
	for keep > p.Spread && p.Partitions[keep-1].Empty() {
		keep--
	}
	return keep
}

func (s *state) forgetPartitions(ctx context.Context) error {
	all, err := s.store.Dispatchers(ctx)
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.Alive && d.Spread == 0 {
			return fmt.Errorf("the dispatcher %s is of an earlier version and does not say which partitions it uses: update it first", d.ID)
		}
	}
	p, err := s.partitions(ctx)
	if err != nil {
		return err
	}
	before, keep := len(p.Partitions), p.keep()
	if keep == before {
		reason := fmt.Sprintf("new messages are spread over %d", p.Spread)
		if before > p.Spread {
			reason = fmt.Sprintf("partition %d still holds messages; medispatcher partitions shows them", before-1)
		}
		return fmt.Errorf("no partition of %d can be forgotten: %s", before, reason)
	}
	if err := s.store.ForgetPartitions(ctx, before, keep); err != nil {
		return err
	}
	s.note(ctx, medispatcher.Deed{What: medispatcher.DeedForget, Counts: map[string]int64{"forgotten": int64(before - keep)}}, nil)
	return s.tell(map[string]int{"before": before, "partitions": keep},
		"%s of %d forgotten; dispatchers that are started from now on work on %d", cli.Counted(int64(before-keep), "partition"), before, keep)
}
