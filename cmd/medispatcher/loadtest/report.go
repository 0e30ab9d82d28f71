package loadtest

import "time"

// Report is what a load test measured.
type Report struct {
	Run         string   `json:"run"`
	Dispatchers []string `json:"dispatchers"` // of others
	Own         bool     `json:"own"`         // a dispatcher in this process delivered, too
	Messages    int64    `json:"messages"`    // published
	Expected    int64    `json:"expected"`    // deliveries of them
	Deliveries  int64    `json:"deliveries"`  // that arrived, each counted once
	Missing     int64    `json:"missing"`
	Duplicates  int64    `json:"duplicates"`
	Failed      int64    `json:"failed_answers"` // that the plan asked for
	Seconds     float64  `json:"seconds"`        // from the first message to the last arrival
	Published   float64  `json:"published_per_second"`
	Delivered   float64  `json:"delivered_per_second"`
	Latency     Latency  `json:"latency_ms"`
	Where       *Where   `json:"where,omitempty"` // the missing ones are
	Interrupted bool     `json:"interrupted"`
}

// Report is what was measured since publishing began, a time after the start of the run. Who dispatched is left
// to the caller.
func (t *Test) Report(began time.Duration) *Report {
	got, written := t.Receiver.Count(), t.Publisher.Written()
	expected := written * int64(t.Plan.Subscribers)
	perSecond := func(n int64, until time.Duration) float64 {
		if until <= began {
			return 0
		}
		return float64(n) / (until - began).Seconds()
	}
	return &Report{
		Run: t.Run.Run, Dispatchers: []string{},
		Messages: written, Expected: expected, Deliveries: got.Arrived, Missing: max(0, expected-got.Arrived),
		Duplicates: got.Duplicates, Failed: got.Failed, Latency: t.Receiver.Latency(),
		Seconds:   max(0, (got.Last - began).Seconds()),
		Published: perSecond(written, t.Publisher.Last()), Delivered: perSecond(got.Arrived, got.Last),
	}
}
