// Package report reads what people want to know: counts over time, how long deliveries take, how
// many messages wait where, and the story of one message. The steps of a message write the counts;
// report itself writes only the times and the events.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
//
// It imports the root package, streams and streams/internal. None of them imports it.
package report

import (
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Report reads counts, times and stories. It writes times and events.
type Report struct {
	db   *rdb.DB
	keys rdb.Keys
	cfg  streams.Config
	kept *streams.Store
}

// New makes the Report of a store.
func New(store *streams.Store) *Report {
	db := store.DB()
	return &Report{db, db.Keys, db.Config, store}
}
