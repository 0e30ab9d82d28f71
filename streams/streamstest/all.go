package streamstest

import (
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/ledger"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/trail"
)

// All is a store, its report, its ledger and its trail in one, as the programs join them.
type All struct {
	*streams.Store
	*report.Report
	*ledger.Ledger
	*trail.Trail
}

// AllOf joins them.
func AllOf(s *streams.Store) *All { return &All{s, report.New(s), ledger.New(s.DB()), trail.New(s)} }
