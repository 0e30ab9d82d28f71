package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/bench/internal/proc"
)

var update = flag.Bool("update", false, "write the golden files")

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{2}, spread{2, 2, 2}},
		{[]float64{3, 1, 2}, spread{2, 1, 3}},
		{[]float64{4, 1, 2, 3}, spread{2.5, 1, 4}},
	} {
		before := slices.Clone(c.values)
		if got := spreadOf(c.values); got != c.want || !slices.Equal(c.values, before) {
			t.Errorf("%v: %v, want %v", before, got, c.want)
		}
	}
}

// TestRatio: a system is compared with the limit on both sides of it, so a machine that slows down
// evenly changes nothing.
func TestRatio(t *testing.T) {
	t.Parallel()
	if got := ratio(30_000, 50_000, 30_000); got != 0.75 {
		t.Error(got)
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	before, after := proc.Usage{CPU: time.Second}, proc.Usage{CPU: 3 * time.Second, Peak: 50_000_000}
	if got := costBetween(before, after, 100_000); got != (cost{CPU: 20, Peak: 50}) {
		t.Errorf("%+v", got)
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{7: "7", 999.6: "1,000", 1500: "1,500", 9999: "9,999", 45_678: "45,700", 99_960: "100,000"} {
		if got := thousands(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := systems(binaries{dispatchers: []string{"a/old", "b/new"}})
	for only, want := range map[string][]string{
		"limit,medispatcher": {"limit", "old", "new"},
		"new":                {"new"},
		"medispatcher-idle":  {"medispatcher-idle"},

		"medispatcher-batch-100": {"medispatcher-batch-100"},
		"medispatcher-archive":   {"medispatcher-archive"},
		"all":                    names(all),
	} {
		if got, err := choose(all, list(only)); err != nil || !slices.Equal(names(got), want) {
			t.Errorf("%s: %v, %v", only, names(got), err)
		}
	}
	if _, err := choose(all, []string{"kafka"}); err == nil || !strings.Contains(err.Error(), "asynq") {
		t.Errorf("%v", err)
	}
}

func TestDispatcherNames(t *testing.T) {
	t.Parallel()
	for paths, want := range map[string]string{"x/y": dispatcherName, "a/old,b/new": "old,new", "a/m,b/m": "a/m,b/m"} {
		if got := strings.Join(dispatcherNames(list(paths)), ","); got != want {
			t.Errorf("%s: %s, want %s", paths, got, want)
		}
	}
}

func TestQuickLeavesWhatIsSet(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-quick", "-messages", "7"})
	if err != nil || o.messages != 7 || o.rounds != 1 || o.latencyFor != 2*time.Second {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-report", "-method", "whole"}, {"-report", "-dispatcher", "a,b"}, {"-method", "other"}, {"-size", "1"}, {"-rounds", "0"}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	costs := func(system, redis, receiver float64) result {
		return result{System: cost{system, 10 * system}, Redis: cost{redis, 10 * redis}, Receiver: cost{receiver, 10 * receiver}}
	}
	results := func(r result, rates ...float64) (all []result) {
		for _, rate := range rates {
			r.Rate, r.P50, r.P99 = rate, 1000/rate, 5000/rate
			all = append(all, r)
		}
		return all
	}
	limit := row{Name: "limit", Label: "the limit", Limit: true, Results: results(costs(30, 0, 20), 30_000, 31_234, 40_000), Ratios: []float64{1, 1, 1}}
	ours := row{Name: "medispatcher", Label: "medispatcher", Product: true, Results: results(costs(14, 10, 16), 42_000, 43_000), Ratios: []float64{1.3, 1.4}}
	other := row{Name: "other", Label: "queue & <loop>", Results: results(costs(100, 50, 50), 800), Ratios: []float64{0.25}}
	r := report{
		Facts: facts{
			CPU: "a processor", Kernel: "Linux 6.1 amd64", Go: "1.26", Redis: "7.0.15", Fsync: "everysec", Commit: "abc1234", Date: "2026-01-02",
			Cores: 2, Peers: []string{"asynq v1", "fasthttp v2"},
		},
		Messages: 20_000, Subscribers: 3, Concurrency: 32, InFlight: 96, Rounds: 3, Size: 256, LatencyRate: 1500, LatencyFor: "5s",
		Rates: []row{limit, ours, other}, TLS: []row{limit, ours}, Latencies: []row{limit, ours, other},
	}
	text, err := r.markdown()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.md", text)
	golden(t, "plot.svg", plot(r.bars()))
	golden(t, "tables.txt", rateTable(r.Rates)+latencyTable(r.Latencies, 1500))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; if that is right: go test ./bench -update\n%s", name, got)
	}
}

// TestPublisherIsInterrupted: an interrupt that comes before the publisher runs ends it, too.
func TestPublisherIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sys := peer("asynq", "asynq", "/bin/sh", true)
	if err := sys.publish(ctx, &rig{}, span{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestInOrder: each system comes before each other one in every second round.
func TestInOrder(t *testing.T) {
	for round, want := range [][]int{{0, 1, 2}, {2, 1, 0}, {0, 1, 2}} {
		if got := slices.Collect(inOrder(3, round)); !slices.Equal(got, want) {
			t.Errorf("round %d: %v, want %v", round, got, want)
		}
	}
}
