package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// report is what docs/BENCHMARKS.md says.
type report struct {
	Facts                                                facts
	Messages, Subscribers, Concurrency, InFlight, Rounds int
	Size, LatencyRate                                    int
	LatencyFor                                           string
	Rates, TLS, Latencies                                []row // the limit first
}

// writeReport measures everything and writes the document and its picture.
func writeReport(ctx context.Context, s setting, all []system) error {
	r := report{
		Messages: s.messages, Subscribers: s.subscribers, Concurrency: s.concurrency, InFlight: s.subscribers * s.concurrency,
		Rounds: s.rounds, Size: s.size, LatencyRate: s.rate * s.subscribers, LatencyFor: s.latencyFor.String(),
	}
	var err error
	if r.Facts, err = factsOf(ctx, all); err != nil {
		return err
	}
	if r.Rates, err = inTurn(ctx, s, all); err != nil {
		return err
	}
	safe, err := s.withCert()
	if err != nil {
		return err
	}
	ours := slices.IndexFunc(all, func(s system) bool { return s.product })
	if r.TLS, err = inTurn(ctx, safe, all[ours:ours+1]); err != nil {
		return fmt.Errorf("over TLS: %w", err)
	}
	if r.Latencies, err = latencies(ctx, s, all); err != nil {
		return err
	}
	text, err := r.markdown()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.docs, "images"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.docs, "images", "benchmarks.svg"), []byte(plot(r.bars())), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.docs, "BENCHMARKS.md"), []byte(text), 0o644)
}

//go:embed report.md.tmpl
var document string

func (r *report) markdown() (string, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"ratios":    func(r row) string { return ranged(spreadOf(r.Ratios)) },
		"byCPU":     func(rows []row, r row) string { return fmt.Sprintf("%.2f", rows[0].cpu()/r.cpu()) },
		"rate":      func(r row) string { return thousands(r.of(result.rate).Median) },
		"p50":       func(r row) string { return ranged(r.of(result.p50)) },
		"p99":       func(r row) string { return ranged(r.of(result.p99)) },
		"thousands": func(n int) string { return thousands(float64(n)) },
		"join":      strings.Join,
		"cost":      func(r row) string { return sum(r, "%.1f", costs[:3]) },
		"peak":      func(r row) string { return sum(r, "%.0f", costs[3:]) },
	}).Parse(document)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = t.Execute(&text, r)
	return text.String(), err
}

// sum is figures of the system, Redis and the receiver.
func sum(r row, form string, of []func(result) float64) string {
	var all []string
	for _, one := range of {
		all = append(all, fmt.Sprintf(form, r.of(one).Median))
	}
	return strings.Join(all, " + ")
}

// thousands is a number, rounded to hundreds where it has five digits or more.
func thousands(v float64) string {
	n := int(v + 0.5)
	if n >= 10_000 {
		n = (n + 50) / 100 * 100
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// bars are the ratios of all systems.
func (r *report) bars() (bars []bar) {
	for _, one := range r.Rates {
		bars = append(bars, bar{one.Label, spreadOf(one.Ratios), one.Product})
	}
	for _, one := range r.TLS[1:] {
		bars = append(bars, bar{one.Label + " over TLS, beside the limit over TLS", spreadOf(one.Ratios), one.Product})
	}
	return bars
}
