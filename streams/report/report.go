// Package report says what is and what was: counts over time, how long deliveries take, how
// much waits where, and the story of one message. It writes only what no step of a message
// writes, the times and the events.
//
// It imports streams, which counts what its steps do, and never the other way round.
package report

import (
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Report reads counts, times and stories, and writes those that no step of a message writes.
type Report struct {
	db   *rdb.DB
	keys rdb.Keys
	cfg  streams.Config
	kept *streams.Store
}

// New makes the reports of a store.
func New(store *streams.Store) *Report {
	db := store.DB()
	return &Report{db, db.Keys, db.Config, store}
}
