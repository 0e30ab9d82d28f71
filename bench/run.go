package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "medis-bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	chosen, err := o.build(ctx, dir)
	if err != nil {
		return err
	}
	s := setting{options: o, method: o.method, dir: dir}
	if o.report {
		return writeReport(ctx, s, chosen)
	}
	rows, err := inTurn(ctx, s, chosen)
	if err != nil {
		return err
	}
	fmt.Println(rateTable(rows))
	if o.latencyFor > 0 {
		rows, err := latencies(ctx, s, chosen)
		if err != nil {
			return err
		}
		fmt.Println(latencyTable(rows, o.rate*o.subscribers))
	}
	return nil
}

// build chooses systems, and builds the binaries that they need.
func (o options) build(ctx context.Context, dir string) ([]system, error) {
	b := binaries{dispatchers: o.dispatchers, peers: filepath.Join(dir, "peers")}
	built := len(b.dispatchers) == 0
	if built {
		b.dispatchers = []string{filepath.Join(dir, "medispatcher")}
	}
	chosen, err := choose(systems(b), o.only)
	if err != nil {
		return nil, err
	}
	if built && slices.ContainsFunc(chosen, func(s system) bool { return s.product }) {
		if err := goBuild(ctx, ".", b.dispatchers[0], "./cmd/medispatcher"); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(chosen, func(s system) bool { return s.queue && !s.product }) {
		if err := goBuild(ctx, "bench/peers", b.peers, "."); err != nil {
			return nil, fmt.Errorf("%w-only %s,%s does without", err, limitName, dispatcherName)
		}
	}
	return chosen, nil
}

// goBuild builds a package of the module in this directory.
func goBuild(ctx context.Context, module, path, pkg string) error {
	build := exec.CommandContext(ctx, "go", "-C", module, "build", "-o", path, pkg)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s in %s: %w\n%s", pkg, module, err, out)
	}
	return nil
}

// inTurn measures the rate of each system in each round, and the limit before and after each.
func inTurn(ctx context.Context, s setting, systems []system) ([]row, error) {
	rows := []row{{Name: limitName, Label: limit.label, Limit: true}}
	for _, sys := range systems {
		if sys.name != limitName {
			rows = append(rows, row{Name: sys.name, Label: sys.label, Product: sys.product})
		}
	}
	of := map[string]*system{limitName: &limit}
	for i := range systems {
		of[systems[i].name] = &systems[i]
	}
	for round := range s.rounds {
		before, err := throughput(ctx, s, &limit)
		if err != nil {
			return nil, err
		}
		rows[0].add(before, 1, round)
		for i := range inOrder(len(rows)-1, round) {
			r := &rows[i+1]
			got, err := throughput(ctx, s, of[r.Name])
			if err != nil {
				return nil, err
			}
			after, err := throughput(ctx, s, &limit)
			if err != nil {
				return nil, err
			}
			r.add(got, ratio(got.Rate, before.Rate, after.Rate), round)
			rows[0].add(after, 1, round)
			before = after
		}
	}
	return rows, nil
}

// inOrder counts to n, forwards and backwards in turn: on some machines a system has a tenth more or less from its place alone.
func inOrder(n, round int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if round%2 == 1 {
				i = n - 1 - i
			}
			if !yield(i) {
				return
			}
		}
	}
}

// latencies measures the latency of each system in each round.
func latencies(ctx context.Context, s setting, systems []system) ([]row, error) {
	rows := make([]row, len(systems))
	for round := range s.rounds {
		for i := range inOrder(len(systems), round) {
			got, err := latency(ctx, s, &systems[i])
			if err != nil {
				return nil, err
			}
			rows[i].Name, rows[i].Label, rows[i].Product = systems[i].name, systems[i].label, systems[i].product
			rows[i].Results = append(rows[i].Results, got)
			fmt.Fprintf(os.Stderr, "round %d  %-24s p50 %6.2f ms  p99 %6.2f ms\n", round+1, rows[i].Name, got.P50, got.P99)
		}
	}
	return rows, nil
}

// add notes what a round found, and tells it at once.
func (r *row) add(got result, ratio float64, round int) {
	r.Results, r.Ratios = append(r.Results, got), append(r.Ratios, ratio)
	fmt.Fprintf(os.Stderr, "round %d  %-24s %7.0f/s  ratio %.2f  CPU %5.1f + Redis %4.1f + receiver %4.1f µs\n",
		round+1, r.Name, got.Rate, ratio, got.System.CPU, got.Redis.CPU, got.Receiver.CPU)
	if got.Twice > 0 {
		fmt.Fprintf(os.Stderr, "%d deliveries came twice\n", got.Twice)
	}
}
