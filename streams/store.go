package streams

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// Config says which Redis to use, and how the state in it is laid out.
type Config = rdb.Config

// Bound is how many messages, and bytes of them, a partition keeps in the quarantine or unrouted.
type Bound = rdb.Bound

// CheckURL says what is wrong with a Redis URL. It never quotes the URL.
func CheckURL(rawURL string) error { return rdb.CheckURL(rawURL) }

// CheckPrefix says what is wrong with a key prefix.
func CheckPrefix(prefix string) error { return rdb.CheckPrefix(prefix) }

// Store is medispatcher's state in Redis. Its methods are safe for concurrent use.
type Store struct {
	db         *rdb.DB
	keys       rdb.Keys
	cfg        Config
	vanished   vanishings
	introduced introduction
	layout     copyLayout
	active     activeTrust
	lines      lineTrust
	next       func(p int, subs []string) // see OnNext
	peers      peers
	shared     sharedReads
	folds      folds
	reads      smaller     // of new messages
	dues       smaller     // of due messages, in bytes
	parked     smaller     // of what producers parked, in bytes
	deaf       atomic.Bool // this user may not listen to a doorbell of its own
}

// Open makes a Store. It connects on first use, so that a dispatcher can start while
// Redis cannot be reached.
func Open(cfg Config) (*Store, error) {
	db, err := rdb.Open(cfg)
	if err != nil {
		return nil, err
	}
	return &Store{db: db, keys: db.Keys, cfg: db.Config, layout: copyLayout{fixed: db.Config.CopyLayout, calm: calm}}, nil
}

// DB is the Redis client, for the packages ledger, report and doctor.
func (s *Store) DB() *rdb.DB { return s.db }

// Close ends every connection.
func (s *Store) Close() error { return s.db.Close() }

// Partitions is how many partitions there are, as far as this process knows.
func (s *Store) Partitions() int { return s.db.Partitions() }

// ID is this process's consumer name.
func (s *Store) ID() string { return s.cfg.ID }

// ClockAhead is how far the shared clock is ahead of Redis's clock.
func (s *Store) ClockAhead() time.Duration { return s.db.ClockAhead() }

// Ping checks that Redis answers.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Probe checks that Redis accepts writes.
func (s *Store) Probe(ctx context.Context) error { return s.db.Probe(ctx) }
