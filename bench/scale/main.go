// Command scale measures what grows with the size of an installation: subscriptions, partitions, dispatchers, and the
// way to Redis. Each row has a goal; a row that misses it makes the command fail.
//
//	go run ./bench/scale
//	go run ./bench/scale -only idle,far            # some rows
//	go run ./bench/scale -dispatcher OLD           # a build, for the figures before a change
//
// It needs redis-server. Everything it starts listens on the loopback interface and ends with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

// rows are the measurements, one file each.
var rows = []row{cost, memory, spread, idle, idleWide, down, changes, dispatchers, far5, far50, farCold, ordered}

// row is one measurement.
type row struct {
	name, about string
	run         func(ctx context.Context, s *site) ([]figure, error)
}

// figure is one result. At most one of the goals is set.
type figure struct {
	what        string
	value       float64
	unit        string
	most, least float64 // goals; 0: none
}

func (f figure) goal() string {
	switch {
	case f.most != 0:
		return fmt.Sprintf("≤ %g", f.most)
	case f.least != 0:
		return fmt.Sprintf("≥ %g", f.least)
	}
	return ""
}

func (f figure) missed() bool { return f.most != 0 && f.value > f.most || f.value < f.least }

func main() {
	only := flag.String("only", "", "`NAME`s of the rows to measure, separated by commas; empty: all")
	dispatcher := flag.String("dispatcher", "", "`PATH` of a medispatcher binary; built if empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, *only, *dispatcher); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1) //nolint:gocritic // stop only resets signals
	}
}

func run(ctx context.Context, only, dispatcher string) (err error) {
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "medispatcher-scale")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dispatcher == "" {
		dispatcher = filepath.Join(dir, "medispatcher")
		build := exec.CommandContext(ctx, "go", "build", "-o", dispatcher, "./cmd/medispatcher")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build the dispatcher: %w", err)
		}
	}
	var missed []string
	for _, r := range chosen {
		fmt.Printf("%s: %s\n", r.name, r.about)
		s := &site{dir: dir, dispatcher: dispatcher}
		figures, err := r.run(ctx, s)
		s.stop()
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if show(figures) {
			missed = append(missed, r.name)
		}
	}
	if len(missed) > 0 {
		return fmt.Errorf("goals missed: %s", strings.Join(missed, ", "))
	}
	return nil
}

func choose(only string) ([]row, error) {
	if only == "" {
		return rows, nil
	}
	var chosen []row
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(rows, func(r row) bool { return r.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no row %q", name)
		}
		chosen = append(chosen, rows[i])
	}
	return chosen, nil
}

// show prints the figures of a row, and reports whether one misses its goal.
func show(figures []figure) (missed bool) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, f := range figures {
		verdict := ""
		if f.missed() {
			missed, verdict = true, "missed"
		}
		fmt.Fprintf(w, "  %s\t%.4g %s\t%s\t%s\n", f.what, f.value, f.unit, f.goal(), verdict)
	}
	_ = w.Flush()
	return missed
}
