// Package ledger is what all dispatchers know of alerts together: which of them evaluates
// the rules, what fires and why, and the notices that wait to be sent.
//
// It stands on the Redis beneath streams, and on no message. It imports the root package and
// streams/internal.
package ledger

import (
	"time"

	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// What all dispatchers know of alerts together lies under <prefix>:alerts:{alerts}: and is bounded
// by the number of subscriptions and by the limits below.
//
//	leader    string, expiring   the dispatcher that evaluates the rules, and until when, ms
//	counter   string             counts changes; a notice's id is its count
//	firing    hash               <rule>:<subscription> → "<since ms> <notices> <id of the last notice> <alert as JSON>"
//	sent      hash               <rule>:<subscription> → when its last notice was made, ms; outlives firing
//	seen      zset               events that raised an alert and must not do so again → when, ms
//	causes:<rule>:<subscription> zset    what keeps an alert firing → when that was last seen, ms
//	outbox    hash               id → a notice that is not sent yet: "<kind> <since ms> <at ms> <id it comes after> <alert as JSON>"
//	due       zset               id → when it may be taken to be sent, ms
//	claims    hash               id → "<who took it> <tries> <receivers that have it, joined by commas>"
//	history   list               the last notices, as in outbox with "<id> " before, the newest first
//	outcomes  hash               id → what became of a notice of the history
const (
	maxOutbox   = 10_000 // notices; what comes past that is logged alone
	maxHistory  = 100
	maxListed   = 1000 // alerts that fire, in an answer
	maxCauses   = 100  // of an alert: others that keep it firing are not remembered
	seenFor     = time.Hour
	sentKept    = 8 * 24 * time.Hour // longer than the longest alert.every
	causeSettle = 5 * time.Second    // a message that fails is known here a little before it is in its channel's failures
	causeHeld   = 15 * time.Second   // a dispatcher that says nothing for so long holds nothing
)

// Ledger is the alert state in Redis.
type Ledger struct {
	db   *rdb.DB
	keys rdb.Keys
	cfg  streams.Config
}

// New makes the ledger of a Redis.
func New(db *rdb.DB) *Ledger { return &Ledger{db, db.Keys, db.Config} }
