// Package joined opens streams, report and ledger on one Redis as one store, for the parts of both
// programs that need more than one of them. It imports only those.
package joined

import (
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/ledger"
	"github.com/solate/medispatcher/streams/report"
)

// Store is the messages, what is known of them, and the state of alerts.
type Store struct {
	*streams.Store
	*report.Report
	*ledger.Ledger
}

// Open opens it. It connects on first use.
func Open(cfg streams.Config) (*Store, error) {
	s, err := streams.Open(cfg)
	if err != nil {
		return nil, err
	}
	return &Store{s, report.New(s), ledger.New(s.DB())}, nil
}
