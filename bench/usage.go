package main

import "time"

// usage is what a process has used since its start.
type usage struct {
	cpu  time.Duration
	peak int64 // bytes of memory, resident
}

// cost is what a process used for a measurement.
type cost struct {
	CPU  float64 // µs a delivery
	Peak float64 // MB
}

func (u usage) costSince(before usage, deliveries int) cost {
	return cost{float64((u.cpu - before.cpu).Microseconds()) / float64(deliveries), float64(u.peak) / 1e6}
}
