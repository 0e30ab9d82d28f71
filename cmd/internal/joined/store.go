// Package joined puts together what is kept in one Redis, for the parts of the programs that
// ask for more than one of its rooms. It imports streams and the rooms beneath it.
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
