// Package ledger keeps the state of alerts that all dispatchers share: which dispatcher evaluates
// the rules, which alerts fire and why, and the notices that wait to be sent.
//
// It is not for other programs, and may change with every release; packages publish and verify are for them.
//
// It imports the root package, streams (for its Config) and streams/internal.
package ledger

import (
	"time"

	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/internal/rdb"
)

// The state lies under <prefix>:alerts:{alerts}: and is bounded by the number of subscriptions and
// by the limits below.
//
//	leader    string, expiring   the dispatcher that evaluates the rules, and until when, ms
//	counter   string             counts changes; a notice's id is its count
//	firing    hash               <rule>:<subscription> → "<since ms> <notices> <id of the last notice> <alert as JSON>"
//	sent      hash               <rule>:<subscription> → when its last notice was made, ms; stays when the alert ends
//	seen      zset               events that raised an alert and must not do so again → when, ms
//	causes:<rule>:<subscription> zset    causes of an alert → when each was last seen, ms
//	outbox    hash               id → a notice that is not sent yet: "<kind> <since ms> <at ms> <id it comes after> <alert as JSON>"
//	due       zset               id → when a dispatcher may take the notice, ms
//	claims    hash               id → "<dispatcher that took it> <tries> <receivers that have it, joined by commas>"
//	history   list               the last notices, newest first: "<id> " and then as in outbox
//	outcomes  hash               id → outcome of a notice of the history
const (
	maxOutbox   = 10_000 // notices; further ones are only logged
	maxHistory  = 100
	maxListed   = 1000 // firing alerts in one answer
	maxCauses   = 100  // of one alert; further ones are not remembered
	seenFor     = time.Hour
	sentKept    = 8 * 24 * time.Hour // longer than the longest alert.every
	causeSettle = 5 * time.Second    // a failing message is a cause shortly before it has its failure record
	causeHeld   = 15 * time.Second   // the cause of a dispatcher ends if it is not renewed for this long
)

// Ledger is the alert state in Redis.
type Ledger struct {
	db   *rdb.DB
	keys rdb.Keys
	cfg  streams.Config
}

// New makes the ledger of a Redis.
func New(db *rdb.DB) *Ledger { return &Ledger{db, db.Keys, db.Config} }
