package rdb

// Redis serves a round trip in one go. These limits keep each one short.
const (
	// SweepChunk is the most channels in one round trip.
	SweepChunk = 500
	// BodiesChunk is the most entries in one round trip, whatever their size.
	BodiesChunk = 64
)
