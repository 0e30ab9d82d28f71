package streamstest

import (
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/ledger"
	"github.com/solate/medispatcher/streams/report"
)

// All is a store, its report and its ledger in one, as the programs join them.
type All struct {
	*streams.Store
	*report.Report
	*ledger.Ledger
}

// AllOf joins them.
func AllOf(s *streams.Store) *All { return &All{s, report.New(s), ledger.New(s.DB())} }
