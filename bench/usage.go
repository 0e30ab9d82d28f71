package main

import "github.com/solate/medispatcher/bench/internal/proc"

// cost is what a process used for a measurement.
type cost struct {
	CPU  float64 // µs a delivery
	Peak float64 // MB
}

func costBetween(before, after proc.Usage, deliveries int) cost {
	return cost{float64((after.CPU - before.CPU).Microseconds()) / float64(deliveries), float64(after.Peak) / 1e6}
}
