package main

import (
	"fmt"
	"strconv"
	"time"
)

// benchReport is what a load test measured.
type benchReport struct {
	Run         string       `json:"run"`
	Dispatchers []string     `json:"dispatchers"` // those of others
	Own         bool         `json:"own"`         // a dispatcher in this process delivered, too
	Messages    int64        `json:"messages"`    // published
	Expected    int64        `json:"expected"`    // deliveries of them
	Deliveries  int64        `json:"deliveries"`  // that arrived, each once
	Missing     int64        `json:"missing"`
	Duplicates  int64        `json:"duplicates"`
	Failed      int64        `json:"failed_answers"` // by --fail
	Seconds     float64      `json:"seconds"`        // from the first message to the last arrival
	Published   float64      `json:"published_per_second"`
	Delivered   float64      `json:"delivered_per_second"`
	Latency     benchLatency `json:"latency_ms"`
	Where       *benchWhere  `json:"where,omitempty"` // the missing ones are
	Interrupted bool         `json:"interrupted"`
}

// benchLatency is from publishing to the arrival of the attempt that was taken, in ms.
type benchLatency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// report is what was measured since publishing began.
func (b *bench) report(began time.Duration) *benchReport {
	got, written := b.recv.count(), b.publisher.written.Load()
	expected := written * int64(b.flags.subscribers)
	r := &benchReport{
		Run: b.run.Run, Dispatchers: []string{}, Own: b.own != nil,
		Messages: written, Expected: expected, Deliveries: got.arrived, Missing: max(0, expected-got.arrived),
		Duplicates: got.duplicates, Failed: got.failed, Latency: b.recv.quantiles(),
	}
	for _, d := range b.others {
		r.Dispatchers = append(r.Dispatchers, d.ID)
	}
	perSecond := func(n int64, until time.Duration) float64 {
		if until <= began {
			return 0
		}
		return float64(n) / (until - began).Seconds()
	}
	r.Seconds = max(0, (got.last - began).Seconds())
	r.Published, r.Delivered = perSecond(written, time.Duration(b.publisher.last.Load())), perSecond(got.arrived, got.last)
	return r
}

// tell prints the summary.
func (b *bench) tell(r *benchReport) error {
	if b.json {
		return writeJSON(b.stdout, r, "")
	}
	ms := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) + " ms" }
	t := table{header: []string{"LOAD TEST", ">" + b.run.Name()}}
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	t.add("messages", n(r.Messages))
	t.add("deliveries", n(r.Deliveries))
	t.add("seconds", fmt.Sprintf("%.2f", r.Seconds))
	t.add("published/s", fmt.Sprintf("%.0f", r.Published))
	t.add("delivered/s", fmt.Sprintf("%.0f", r.Delivered))
	t.add("latency p50", ms(r.Latency.P50))
	t.add("latency p90", ms(r.Latency.P90))
	t.add("latency p99", ms(r.Latency.P99))
	t.add("latency max", ms(r.Latency.Max))
	t.add("failed answers", n(r.Failed))
	t.add("duplicates", n(r.Duplicates))
	if r.Missing > 0 && !r.Interrupted {
		t.add("missing", n(r.Missing))
	}
	return t.write(b.stdout)
}
