package rdb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher/internal/redisclient"
)

const (
	// poolSize is the number of connections. Blocked reads have their own.
	poolSize = 10
	// MaxPartitions is the most partitions that there can be.
	MaxPartitions = 1024
	// SharedStreams is the most streams of one blocked read. It brings one entry of each, which may have a megabyte each.
	SharedStreams = 16
	// BlockFor bounds a blocked read, because cancelling its context does not interrupt it.
	BlockFor    = time.Second
	dialTimeout = 3 * time.Second
	// ReplyTimeout is how long an answer may take.
	ReplyTimeout = 5 * time.Second
)

// Config names the Redis and the layout of the state in it.
type Config struct {
	URL          string        // redis://, rediss://, unix://; several hosts, ?cluster=true, ?master_name=
	TLS          *tls.Config   // of connections to a rediss:// URL; nil: the authorities of the system. Each node is checked by its own name
	Roots        Roots         // of connections with TLS above; nil: those in it
	Prefix       string        // of every key
	Partitions   int           // ≥ 1; this process works on the first so many
	Spread       int           // partitions over which new messages are spread, the first so many; 0: Partitions
	ID           string        // this process's consumer name in every group
	DedupeWindow time.Duration // how long a producer's id is remembered
	DeadMaxLen   int64         // dead letters kept for a subscription and partition; 0: all
	Unrouted     Bound         // for messages that no subscription wanted
	Quarantine   Bound         // for entries that could not be decoded
	Retention    time.Duration // how long the archive keeps messages; 0: there is none
	ArchiveBytes int64         // most bytes of messages in the archive of a partition; 0: 1 GiB
	CopyLayout   int           // in which the fan-out writes copies; 0: the newest that every living dispatcher reads
	Readers      int           // blocked reads of the incoming stream in each partition
}

// Roots are the authorities that may sign certificates of Redis, asked for each connection: they may change.
type Roots = func() *x509.CertPool

// Bound is how many messages that reached no channel a partition keeps. The oldest are deleted first,
// and counted. The newest stays, however large it is.
type Bound struct {
	Entries int64 // 0: 10,000
	Bytes   int64 // of fields and values; 0: 64 MiB
}

func (b Bound) orDefault() Bound {
	if b.Entries == 0 {
		b.Entries = 10_000
	}
	if b.Bytes == 0 {
		b.Bytes = 64 << 20
	}
	return b
}

// DB is one Redis, and the names of its keys.
type DB struct {
	Config Config
	Keys   Keys
	Clock  *Clock

	partitions atomic.Int64 // as Redis knows them; see Partitions

	client   redis.UniversalClient
	blocking redis.UniversalClient // one connection for each blocked read
}

// CheckPrefix says what is wrong with a key prefix.
func CheckPrefix(prefix string) error { return redisclient.CheckPrefix(prefix) }

// CheckURL says what is wrong with a Redis URL.
func CheckURL(rawURL string) error {
	_, err := options(rawURL)
	return err
}

// options are those of a URL, with the limits of a dispatcher.
func options(rawURL string) (*redis.UniversalOptions, error) {
	opt, err := redisclient.Options(rawURL)
	if err != nil {
		return nil, err
	}
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout = dialTimeout, ReplyTimeout, ReplyTimeout
	opt.PoolSize, opt.PoolTimeout = poolSize, ReplyTimeout
	return opt, nil
}

// Open makes a DB. It connects on first use, so that a dispatcher can start without Redis.
func Open(cfg Config) (*DB, error) {
	quiet.Do(func() { redis.SetLogger(silence{}) })
	opt, err := options(cfg.URL)
	if err != nil {
		return nil, err
	}
	if opt.TLSConfig != nil && cfg.TLS != nil {
		base := cfg.TLS.Clone()
		base.ServerName = opt.TLSConfig.ServerName
		base.InsecureSkipVerify = opt.TLSConfig.InsecureSkipVerify //nolint:gosec // only if the URL says so
		opt.TLSConfig = base
	}
	if err := CheckPrefix(cfg.Prefix); err != nil {
		return nil, err
	}
	if cfg.Partitions < 1 || cfg.Readers < 0 {
		return nil, fmt.Errorf("partitions must be at least 1 and readers at least 0")
	}
	if cfg.Spread == 0 {
		cfg.Spread = cfg.Partitions
	}
	cfg.Unrouted, cfg.Quarantine = cfg.Unrouted.orDefault(), cfg.Quarantine.orDefault()
	if cfg.ArchiveBytes == 0 {
		cfg.ArchiveBytes = 1 << 30
	}
	blocking := *opt
	blocking.ReadTimeout = BlockFor + ReplyTimeout
	blocking.PoolSize = max(1, cfg.Readers*cfg.Partitions) + 1 + cfg.Partitions/SharedStreams
	return &DB{
		Config:   cfg,
		Keys:     Keys{cfg.Prefix},
		client:   newClient(opt, cfg.Roots),
		blocking: newClient(&blocking, cfg.Roots),
		Clock:    NewClock(),
	}, nil
}

func newClient(opt *redis.UniversalOptions, roots Roots) redis.UniversalClient {
	own := *opt
	own.Dialer = dialer(opt.TLSConfig, roots)
	client := redisclient.New(&own)
	if cluster, ok := client.(*redis.ClusterClient); ok {
		learnSlots(cluster)
	}
	return client
}

// quiet keeps go-redis from writing its own lines to stderr. Every error reaches the caller, who
// logs it once.
var quiet sync.Once

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// Partitions is how many partitions there are, as far as this process knows: those that it works on, and those that others
// have used.
func (db *DB) Partitions() int { return max(db.Config.Partitions, int(db.partitions.Load())) }

// NotePartitions takes the number that is noted in Redis. What is no possible number is ignored.
func (db *DB) NotePartitions(n int) {
	if n <= MaxPartitions {
		db.partitions.Store(int64(n))
	}
}

// Close closes every connection.
func (db *DB) Close() error {
	return errors.Join(db.client.Close(), db.blocking.Close())
}

// AddHook adds a hook around every command. Tests inject faults with it.
func (db *DB) AddHook(h redis.Hook) {
	db.client.AddHook(h)
	db.blocking.AddHook(h)
}
