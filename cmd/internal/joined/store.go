// Package joined opens streams, report, ledger and trail on one Redis as one store, for the parts of both
// programs that need more than one of them. It imports only those.
package joined

import (
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/ledger"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/trail"
)

// Store is the messages, what is known of them, the state of alerts, and the audit trail.
type Store struct {
	*streams.Store
	*report.Report
	*ledger.Ledger
	*trail.Trail
}

// Open opens it. It connects on first use.
func Open(cfg streams.Config) (*Store, error) {
	s, err := streams.Open(cfg)
	if err != nil {
		return nil, err
	}
	return &Store{s, report.New(s), ledger.New(s.DB()), trail.New(s)}, nil
}
