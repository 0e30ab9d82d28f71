package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/solate/medispatcher/bench/internal/proc"
)

var (
	idle = row{"idle", "10,000 subscriptions in 16 partitions, and nothing to do", func(ctx context.Context, s *site) ([]figure, error) {
		return measureIdle(ctx, s, 10_000, 16, []figure{{most: 2}, {most: 100}, {}, {most: 200}})
	}}
	idleWide = row{"idle-100k", "100,000 subscriptions in one partition, and nothing to do", func(ctx context.Context, s *site) ([]figure, error) {
		return measureIdle(ctx, s, 100_000, 1, []figure{{}, {}, {most: 300}, {}})
	}}
)

const (
	settleFor  = 20 * time.Second // after the start of a dispatcher
	idleFor    = 65 * time.Second // healing comes once a minute
	statusRuns = 5
)

// measureIdle measures a dispatcher without work. The goals are for CPU, commands, memory and the time of status, in this order.
func measureIdle(ctx context.Context, s *site, subs, partitions int, goals []figure) ([]figure, error) {
	if err := s.startRedis(ctx); err != nil {
		return nil, err
	}
	store, err := s.open(partitions)
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	if err := s.subscribe(ctx, store, subs, "http://127.0.0.1:9/", 8); err != nil {
		return nil, err
	}
	p, err := s.serve(ctx, s.addr, partitions)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, settleFor); err != nil {
		return nil, err
	}
	before, had, err := s.spent(ctx, p)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, idleFor); err != nil {
		return nil, err
	}
	after, has, err := s.spent(ctx, p)
	if err != nil {
		return nil, err
	}
	memory, err := p.Used()
	if err != nil {
		return nil, err
	}
	took, err := s.status(ctx, partitions)
	if err != nil {
		return nil, err
	}
	tellCommands(had, has)
	out := []figure{
		{what: "CPU of dispatcher and Redis", value: 100 * (after - before).Seconds() / idleFor.Seconds(), unit: "% of a core"},
		{what: "commands", value: float64(total(has)-total(had)) / idleFor.Seconds(), unit: "/s"},
		{what: "memory of the dispatcher", value: float64(memory.Now) / 1e6, unit: "MB"},
		{what: "medispatcher status", value: float64(took.Milliseconds()), unit: "ms"},
	}
	for i := range out {
		out[i].most = goals[i].most
	}
	return out, nil
}

// spent is the CPU time of a dispatcher and of Redis, and the commands that Redis has run.
func (s *site) spent(ctx context.Context, p *proc.Process) (cpu time.Duration, by map[string]int64, err error) {
	for _, one := range []*proc.Process{p, s.redis} {
		u, err := one.Used()
		if err != nil {
			return 0, nil, err
		}
		cpu += u.CPU
	}
	by, err = s.commands(ctx)
	return cpu, by, err
}

// status is how long the command takes, the median of some runs.
func (s *site) status(ctx context.Context, partitions int) (time.Duration, error) {
	var took []time.Duration
	for range statusRuns {
		began := time.Now()
		if out, err := s.command(ctx, s.addr, partitions, "status").CombinedOutput(); err != nil {
			return 0, fmt.Errorf("status: %w: %.200s", err, out)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func total(by map[string]int64) (n int64) {
	for _, calls := range by {
		n += calls
	}
	return n
}

// tellCommands writes which commands there were most of, to stderr.
func tellCommands(before, after map[string]int64) {
	names := slices.SortedFunc(maps.Keys(after), func(a, b string) int { return cmp.Compare(after[b]-before[b], after[a]-before[a]) })
	for _, name := range names[:min(12, len(names))] {
		fmt.Fprintf(os.Stderr, "    %-20s %.1f/s\n", name, float64(after[name]-before[name])/idleFor.Seconds())
	}
}
