package rdb

// What keeps a round trip from being felt: Redis serves all of it in one go.
const (
	// SweepChunk is the most channels asked for in one round trip.
	SweepChunk = 500
	// BodiesChunk is the most entries of one, whatever their size.
	BodiesChunk = 64
)
