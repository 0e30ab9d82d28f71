package main

import "slices"

// spread is the median of some values and their range.
type spread struct{ Median, Min, Max float64 }

// spreadOf is that of one value or more.
func spreadOf(values []float64) spread {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return spread{(s[(n-1)/2] + s[n/2]) / 2, s[0], s[n-1]}
}

// row is a system's results, one a round.
type row struct {
	Name    string
	Label   string
	Product bool // it is a medispatcher
	Limit   bool // it is the one to which the others are compared
	Results []result
	Ratios  []float64 // to the mean of the limit before and after
}

// of is the spread of a figure.
func (r *row) of(figure func(result) float64) spread {
	var values []float64
	for _, one := range r.Results {
		values = append(values, figure(one))
	}
	return spreadOf(values)
}

// ratio is what a rate is of the limit, measured before and after it.
func ratio(rate, before, after float64) float64 { return rate / ((before + after) / 2) }

func (r result) rate() float64 { return r.Rate }
func (r result) p50() float64  { return r.P50 }
func (r result) p99() float64  { return r.P99 }

// costs are CPU µs a delivery and peak MB, each of the system, Redis and the receiver.
var costs = []func(result) float64{
	func(r result) float64 { return r.System.CPU }, func(r result) float64 { return r.Redis.CPU }, func(r result) float64 { return r.Receiver.CPU },
	func(r result) float64 { return r.System.Peak }, func(r result) float64 { return r.Redis.Peak }, func(r result) float64 { return r.Receiver.Peak },
}

// cpu is the CPU µs of a delivery in all processes. On a machine that is busy with it alone, rates are
// in proportion to it; and where others use the machine too, it varies less than they do.
func (r *row) cpu() float64 {
	return r.of(func(r result) float64 { return r.System.CPU + r.Redis.CPU + r.Receiver.CPU }).Median
}
