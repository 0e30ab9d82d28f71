package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// rateTable shows rates, ratios and what they cost, for a terminal.
func rateTable(rows []row) string {
	limit := rows[0].cpu()
	head := "system\tratio to the limit\tratio by CPU\tdeliveries/s\tCPU µs a delivery: system\tRedis\treceiver\tpeak MB: system\tRedis\treceiver"
	return table(head, rows, func(r row) string {
		cells := []string{r.Name, ranged(spreadOf(r.Ratios)), fmt.Sprintf("%.2f", limit/r.cpu()), fmt.Sprintf("%.0f", r.of(result.rate).Median)}
		for _, of := range costs {
			cells = append(cells, fmt.Sprintf("%.1f", r.of(of).Median))
		}
		return strings.Join(cells, "\t")
	})
}

// latencyTable shows latencies, for a terminal.
func latencyTable(rows []row, rate int) string {
	return table(fmt.Sprintf("at %d deliveries/s, ms\tp50\tp99", rate), rows, func(r row) string {
		return r.Name + "\t" + ranged(r.of(result.p50)) + "\t" + ranged(r.of(result.p99))
	})
}

func ranged(s spread) string { return fmt.Sprintf("%.2f (%.2f to %.2f)", s.Median, s.Min, s.Max) }

func table(head string, rows []row, line func(row) string) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\n"+head)
	for _, r := range rows {
		_, _ = fmt.Fprintln(w, line(r))
	}
	_ = w.Flush()
	return text.String()
}
