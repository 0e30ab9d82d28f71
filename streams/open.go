package streams

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/solate/medispatcher"
)

const (
	// poolSize is the number of connections shared by everything but blocked reads.
	poolSize = 10
	// blockFor bounds a blocked read: cancelling its context does not interrupt it.
	blockFor     = time.Second
	dialTimeout  = 3 * time.Second
	replyTimeout = 5 * time.Second
)

// Config says which Redis, and how the state in it is laid out.
type Config struct {
	URL          string        // redis://, rediss://, unix://; several hosts, ?cluster=true, ?master_name=
	Prefix       string        // of every key
	Partitions   int           // ≥ 1; the same for everybody who shares the Redis
	ID           string        // this process's consumer name in every group
	DedupeWindow time.Duration // how long a producer's id is remembered
	DeadMaxLen   int64         // dead letters kept for a subscription and partition; 0: all
	Unrouted     Bound         // of the messages that no subscription wanted
	Quarantine   Bound         // of the entries that could not be decoded
	Readers      int           // blocked reads of the incoming stream in each partition
}

// Store is medispatcher's state in Redis. Its methods are safe for concurrent use.
type Store struct {
	cfg      Config
	keys     keys
	client   redis.UniversalClient
	blocking redis.UniversalClient // has a connection for each blocked read

	clock      *clock
	vanished   vanishings
	introduced introduction
}

// CheckURL says what is wrong with a Redis URL.
func CheckURL(rawURL string) error {
	_, err := parseURL(rawURL)
	return err
}

// CheckPrefix says what is wrong with a key prefix.
func CheckPrefix(prefix string) error {
	if !validPrefix(prefix) {
		return fmt.Errorf("%q must not be empty nor hold spaces, braces or any of * ? [ ]", prefix)
	}
	return nil
}

// Open makes a Store. It connects on first use: a Redis that is away does not
// stop a dispatcher from starting.
func Open(cfg Config) (*Store, error) {
	quiet.Do(func() { redis.SetLogger(silence{}) })
	opt, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if err := CheckPrefix(cfg.Prefix); err != nil {
		return nil, err
	}
	if cfg.Partitions < 1 || cfg.Readers < 0 {
		return nil, fmt.Errorf("partitions must be at least 1 and readers at least 0")
	}
	cfg.Unrouted, cfg.Quarantine = cfg.Unrouted.orDefault(), cfg.Quarantine.orDefault()
	blocking := *opt
	blocking.PoolSize = max(1, cfg.Readers*cfg.Partitions)
	return &Store{
		cfg:      cfg,
		keys:     keys{cfg.Prefix},
		client:   newClient(opt),
		blocking: newClient(&blocking),
		clock:    newClock(),
	}, nil
}

func newClient(opt *redis.UniversalOptions) redis.UniversalClient {
	client := redis.NewUniversalClient(opt)
	if cluster, ok := client.(*redis.ClusterClient); ok {
		cluster.AddHook(runOnce{})
		learnSlots(cluster)
	}
	return client
}

// quiet keeps go-redis from writing lines of its own to stderr: every error reaches
// its caller, who logs it once.
var quiet sync.Once

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// Close ends every connection.
func (s *Store) Close() error {
	return errors.Join(s.client.Close(), s.blocking.Close())
}

// Partitions is the number of partitions.
func (s *Store) Partitions() int { return s.cfg.Partitions }

// ID is this process's consumer name.
func (s *Store) ID() string { return s.cfg.ID }

// errURL is what can be said of a URL without quoting it.
var errURL = errors.New("is not a Redis URL; write redis://user:password@host:6379/0, rediss:// or unix:///path, and / ? # % in a password as %2F %3F %23 %25")

// parseURL reads a Redis URL. Its errors never hold the URL, which has a password in it.
func parseURL(rawURL string) (*redis.UniversalOptions, error) {
	start, end := hostSpan(rawURL)
	hosts := strings.Split(rawURL[start:end], ",")
	u, err := url.Parse(rawURL[:start] + hosts[0] + rawURL[end:])
	// A scheme that net/url reads otherwise is followed by a path in which a password may stand.
	if err != nil || start == 0 || u.Fragment != "" || !strings.HasPrefix(strings.ToLower(rawURL), u.Scheme+"://") {
		return nil, errURL
	}
	q := u.Query()
	cluster, master := q.Get("cluster") == "true", q.Get("master_name")
	if v := q.Get("cluster"); v != "" && v != "true" && v != "false" {
		return nil, errors.New("has a cluster that is neither true nor false")
	}
	sentinelUser, sentinelPassword := q.Get("sentinel_username"), q.Get("sentinel_password")
	for _, name := range []string{"cluster", "master_name", "sentinel_username", "sentinel_password"} {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	one, err := redis.ParseURL(u.String())
	if err != nil {
		// go-redis quotes path and query, url.Error all of it. Behind an @ that stands
		// there, the URL ended early, inside the password.
		var urlErr *url.Error
		if errors.As(err, &urlErr) || strings.Contains(rawURL[end:], "@") {
			return nil, errURL
		}
		return nil, fmt.Errorf("%s; write redis://user:password@host:6379/0, rediss:// or unix:///path", strings.TrimPrefix(err.Error(), "redis: "))
	}
	addrs := []string{one.Addr}
	if len(hosts) > 1 {
		addrs = hosts
		for i, h := range hosts {
			if addrs[i], err = hostPort(h); err != nil {
				return nil, err
			}
		}
	}
	if master != "" && cluster {
		return nil, errors.New("has cluster=true and master_name; choose one")
	}
	if (cluster || len(addrs) > 1 && master == "") && one.DB != 0 {
		return nil, errors.New("names a database; a Redis Cluster has only database 0")
	}
	if one.TLSConfig != nil && (cluster || master != "" || len(addrs) > 1) {
		one.TLSConfig.ServerName = "" // each node, and each sentinel, by the address it is dialed at
	}
	opt := &redis.UniversalOptions{
		Addrs: addrs, DB: one.DB, Username: one.Username, Password: one.Password, TLSConfig: one.TLSConfig,
		MasterName: master, SentinelUsername: sentinelUser, SentinelPassword: sentinelPassword,
		IsClusterMode: cluster, Protocol: 2, MaxRetries: -1, ContextTimeoutEnabled: true,
		DialTimeout: dialTimeout, ReadTimeout: replyTimeout, WriteTimeout: replyTimeout,
		DialerRetries: 1, PoolSize: poolSize, PoolTimeout: replyTimeout,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if one.Network == "unix" {
		opt.Addrs = []string{one.Addr} // an absolute path, which go-redis dials as a unix socket
	}
	return opt, nil
}

// hostSpan is where the hosts stand: between the userinfo and the path of a URL.
func hostSpan(rawURL string) (start, end int) {
	start = strings.Index(rawURL, "://")
	if start < 0 {
		return 0, 0
	}
	start, end = start+len("://"), len(rawURL)
	if i := strings.IndexAny(rawURL[start:], "/?#"); i >= 0 {
		end = start + i
	}
	return start + strings.LastIndex(rawURL[start:end], "@") + 1, end
}

// hostPort is one of several hosts as it is dialed.
func hostPort(host string) (string, error) {
	u, err := url.Parse("redis://" + host)
	switch {
	case err != nil:
		return "", errURL
	case u.Hostname() == "":
		return "", errors.New("has an empty host between its commas; write redis://host1:6379,host2:6379")
	case u.Port() == "":
		return net.JoinHostPort(u.Hostname(), "6379"), nil
	}
	return u.Host, nil
}

// failed names the step that an error of Redis stopped.
func failed(step string, err error) error {
	if err == nil || errors.Is(err, redis.Nil) {
		return nil
	}
	if isNoGroup(err) || isWrongType(err) {
		return fmt.Errorf("redis: %s: %w: %w", step, medispatcher.ErrGone, err)
	}
	return fmt.Errorf("redis: %s: %w", step, err)
}

func isNoGroup(err error) bool {
	return err != nil && strings.Contains(err.Error(), "NOGROUP") // scripts put words before it
}

func isBusyGroup(err error) bool {
	return err != nil && strings.Contains(err.Error(), "BUSYGROUP")
}

func isWrongType(err error) bool {
	return err != nil && strings.Contains(err.Error(), "WRONGTYPE")
}

// AddHook puts a hook around every command: tests inject faults with it.
func (s *Store) AddHook(h redis.Hook) {
	s.client.AddHook(h)
	s.blocking.AddHook(h)
}
