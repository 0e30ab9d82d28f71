// Package config is the configuration of both binaries: every variable with its default, limits and help, the
// checks, the masking of secrets, and what the other packages are configured with. It imports them and the
// domain; nothing but cmd imports it.
package config

import (
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/alert"
	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/push/http1"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
)

const (
	// MaxPartitions is the max of MEDIS_PARTITIONS.
	MaxPartitions = 1024
	// RoomyInflight is how many messages of MEDIS_MAX_BODY should fit into MEDIS_MAX_INFLIGHT.
	RoomyInflight = 8
)

// Config is everything that an operator can set. Its tags are the only place that describes a variable: the
// parser, the checks, the listing of `config` and the table in docs/configuration.md all read them.
//
// min and max bound a value, oneof lists the allowed ones. secret:"true" hides a value wherever it is shown,
// secret:"url" hides the password in it, secret:"tokens" all but names and roles, and secret:"receivers" all but where
// alerts go.
type Config struct {
	RedisURL        string `env:"MEDIS_REDIS_URL" envDefault:"redis://127.0.0.1:6379/0" secret:"url" doc:"The Redis to run on: redis://, rediss:// (TLS) or unix://. Cluster: redis://h1:p1,h2:p2 or redis://h1:p1?cluster=true. Sentinel: redis://user:password@s1:26379,s2:26379/0?master_name=NAME, with the user, password and database of the master; those of the sentinels are &sentinel_username= and &sentinel_password=."`
	KeyPrefix       string `env:"MEDIS_KEY_PREFIX" envDefault:"medis" doc:"Every key begins with it, so that several systems can share one Redis."`
	Partitions      int    `env:"MEDIS_PARTITIONS" envDefault:"1" min:"1" max:"1024" doc:"Complete slices of the system, spread over the masters of a Redis Cluster; one machine needs one. New messages are spread over so many; dispatchers work on all that were ever used. Producers and dispatchers must have the same number."`
	RecoverRedisURL string `env:"MEDIS_RECOVER_REDIS_URL" secret:"url" doc:"The Redis with the recover lists, where producers park what they cannot publish, in the form of MEDIS_REDIS_URL. Empty: the main one."`

	Listen     string `env:"MEDIS_LISTEN" envDefault:"127.0.0.1:5601" doc:"host:port of the API, the panel, the metrics and the health routes. An address that is not loopback needs MEDIS_ADMIN_TOKEN or MEDIS_TOKENS."`
	BasePath   string `env:"MEDIS_BASE_PATH" doc:"Path below which a proxy serves the panel and the API, such as /medis. The proxy may cut it off or pass it on."`
	AdminToken string `env:"MEDIS_ADMIN_TOKEN" secret:"true" doc:"Bearer token of the API, the panel and the metrics, 16 characters or more: the one named admin, with the role admin. Make one with: openssl rand -hex 32"`
	Tokens     string `env:"MEDIS_TOKENS" secret:"tokens" doc:"More tokens, as name:role:token, separated by commas or line ends. Roles: admin; operator (changes messages, pauses and resumes, publishes); publisher (publishes only); reader (sees all but bodies and secrets); metrics (reads /metrics)."`

	TLSCert        string   `env:"MEDIS_TLS_CERT" doc:"File with the certificate of the API and the panel, in PEM, and those of its authorities. With it they are served over TLS. Read again when it changes."`
	TLSKey         string   `env:"MEDIS_TLS_KEY" doc:"File with the key of MEDIS_TLS_CERT, in PEM."`
	TrustedProxies []string `env:"MEDIS_TRUSTED_PROXIES" doc:"Addresses and prefixes of proxies, joined by commas, whose X-Forwarded-For or Forwarded says who sent a request. The address stands in the log and the audit trail, and is slowed down after wrong tokens."`

	RedisCA   string `env:"MEDIS_REDIS_CA" doc:"File with the certificates, in PEM, of the authorities that may sign those of Redis (rediss://). Empty: the authorities of the system. Read again when it changes."`
	RedisCert string `env:"MEDIS_REDIS_CERT" doc:"File with the client certificate for Redis, in PEM. Read again when it changes."`
	RedisKey  string `env:"MEDIS_REDIS_KEY" doc:"File with the key of MEDIS_REDIS_CERT, in PEM."`

	PushCA    string `env:"MEDIS_PUSH_CA" doc:"File with the certificates, in PEM, of authorities that may sign those of workers, beside the authorities of the system. Read again when it changes."`
	PushCert  string `env:"MEDIS_PUSH_CERT" doc:"File with the client certificate for workers that ask for one, in PEM. Read again when it changes."`
	PushKey   string `env:"MEDIS_PUSH_KEY" doc:"File with the key of MEDIS_PUSH_CERT, in PEM."`
	PushProxy string `env:"MEDIS_PUSH_PROXY" secret:"url" doc:"Proxy for all pushes, http://host:port or http://user:password@host:port. It gets CONNECT for each worker, also for http:// ones, resolves their names, and has to refuse those that nobody may reach."`

	LogLevel             string `env:"MEDIS_LOG_LEVEL" envDefault:"info" oneof:"debug,info,warn,error" doc:"Lowest level of a line on stderr."`
	LogFormat            string `env:"MEDIS_LOG_FORMAT" envDefault:"auto" oneof:"auto,tint,text,json" doc:"auto is tint (coloured) on a terminal and json elsewhere."`
	DataLog              string `env:"MEDIS_DATA_LOG" envDefault:"-" doc:"File of the DATA log, which holds whole messages that may have to be recovered by hand; - is stdout."`
	SentLog              bool   `env:"MEDIS_SENT_LOG" envDefault:"false" doc:"Also write each delivered message to the DATA log."`
	History              int    `env:"MEDIS_HISTORY" envDefault:"0" min:"0" max:"10000000" doc:"Latest messages of each partition whose story is kept in Redis, for medispatcher message; some 300 bytes for each attempt. 0 keeps none."`
	MetricsSubscriptions int    `env:"MEDIS_METRICS_SUBSCRIPTIONS" envDefault:"10000" min:"1" max:"1000000" doc:"Subscriptions that have series of their own in /metrics. The others share the name ~other, see METRICS.md."`
	Env                  string `env:"MEDIS_ENV" doc:"Reception environment of this dispatcher: it uses worker URLs tagged [T_ENV:…] with this name."`

	FanoutWorkers       int           `env:"MEDIS_FANOUT_WORKERS" envDefault:"1" min:"1" max:"64" doc:"Fan-out workers of a partition. More than one loses the order of messages within a topic."`
	Concurrency         int           `env:"MEDIS_CONCURRENCY" envDefault:"8" min:"1" max:"100000" doc:"Default concurrency of a subscription: pushes at once in each dispatcher."`
	MaxConcurrency      int           `env:"MEDIS_MAX_CONCURRENCY" envDefault:"1500" min:"1" max:"100000" doc:"Highest concurrency that a subscription may ask for."`
	RetryConcurrency    int           `env:"MEDIS_RETRY_CONCURRENCY" envDefault:"2" min:"1" max:"100000" doc:"Default retry_concurrency of a subscription: retries at once, on top of its concurrency."`
	MaxRetryConcurrency int           `env:"MEDIS_MAX_RETRY_CONCURRENCY" envDefault:"60" min:"1" max:"100000" doc:"Highest retry_concurrency that a subscription may ask for."`
	Interval            time.Duration `env:"MEDIS_INTERVAL" envDefault:"0s" min:"0s" max:"1h" doc:"Default interval of a subscription: the pause between two pushes."`
	Timeout             time.Duration `env:"MEDIS_TIMEOUT" envDefault:"5s" min:"1ms" max:"1h" doc:"Default timeout of a subscription: the time that a worker has to answer."`
	MaxTimeout          time.Duration `env:"MEDIS_MAX_TIMEOUT" envDefault:"30s" min:"1ms" max:"1h" doc:"Highest timeout that a subscription may ask for."`
	MaxRetries          int           `env:"MEDIS_MAX_RETRIES" envDefault:"10" min:"0" max:"10000" doc:"Retries of a message before it becomes a dead letter; n retries are n+1 attempts."`
	RetryCoefficient    time.Duration `env:"MEDIS_RETRY_COEFFICIENT" envDefault:"10s" min:"0s" max:"24h" doc:"The wait after failed attempt n is n² times this, plus up to 20 % jitter."`

	MaxBody            medispatcher.Size `env:"MEDIS_MAX_BODY" envDefault:"1MiB" min:"1B" max:"512MiB" doc:"Largest message body that is accepted."`
	MaxInflight        medispatcher.Size `env:"MEDIS_MAX_INFLIGHT" envDefault:"0B" min:"0B" max:"1024GiB" doc:"Bytes of message bodies that a dispatcher holds at once: being read, in flight, not settled yet. 0B: a quarter of the memory limit of its container or of GOMEMLIMIT, 512MiB where there is neither."`
	DeadMaxLen         int64             `env:"MEDIS_DEAD_MAXLEN" envDefault:"0" min:"0" max:"1000000000" doc:"Dead letters kept for a subscription in each partition; the oldest are dropped first; 0 keeps all."`
	UnroutedMaxLen     int64             `env:"MEDIS_UNROUTED_MAXLEN" envDefault:"10000" min:"1" max:"1000000000" doc:"Unrouted messages (no subscription wanted them) kept in each partition; the oldest are dropped first."`
	UnroutedMaxBytes   medispatcher.Size `env:"MEDIS_UNROUTED_MAXBYTES" envDefault:"64MiB" min:"1KiB" max:"1000GiB" doc:"Bytes of unrouted messages kept in each partition. The newest is kept however large it is."`
	QuarantineMaxLen   int64             `env:"MEDIS_QUARANTINE_MAXLEN" envDefault:"10000" min:"1" max:"1000000000" doc:"Quarantined entries (they could not be decoded) kept in each partition; the oldest are dropped first."`
	QuarantineMaxBytes medispatcher.Size `env:"MEDIS_QUARANTINE_MAXBYTES" envDefault:"64MiB" min:"1KiB" max:"1000GiB" doc:"Bytes of quarantined entries kept in each partition. The newest is kept however large it is."`
	Retention          time.Duration     `env:"MEDIS_RETENTION" envDefault:"0s" min:"0s" max:"8760h" doc:"How long the archive keeps each accepted message, for medispatcher replay. 0s: there is no archive. All dispatchers should have the same."`
	RetentionMaxBytes  medispatcher.Size `env:"MEDIS_RETENTION_MAXBYTES" envDefault:"1GiB" min:"1MiB" max:"1000GiB" doc:"Bytes of messages kept in the archive of each partition; the oldest are dropped first."`
	DedupeWindow       time.Duration     `env:"MEDIS_DEDUPE_WINDOW" envDefault:"10m" min:"1ms" max:"720h" doc:"How long the id of a message is remembered, so that a repeated message is taken once."`
	CopyLayout         string            `env:"MEDIS_COPY_LAYOUT" envDefault:"auto" oneof:"auto,1" doc:"Layout of the copies in channels. auto is the newest that every living dispatcher reads. 1 is the one that earlier versions read: set it before going back to one, see OPERATIONS.md."`
	SecretOverlap      time.Duration     `env:"MEDIS_SECRET_OVERLAP" envDefault:"24h" min:"0s" max:"720h" doc:"How long a replaced signing secret signs beside the new one."`

	DevRedisListen  string        `env:"MEDIS_DEV_REDIS_LISTEN" envDefault:"127.0.0.1:6380" doc:"host:port of the embedded Redis of medispatcher dev."`
	ShutdownTimeout time.Duration `env:"MEDIS_SHUTDOWN_TIMEOUT" envDefault:"25s" min:"0s" max:"1h" doc:"Time for pushes in flight to end after SIGTERM. Keep it below the grace period of the container."`
	Heartbeat       time.Duration `env:"MEDIS_HEARTBEAT" envDefault:"2s" min:"10ms" max:"10m" doc:"How often a dispatcher says that it is alive."`
	DeadAfter       time.Duration `env:"MEDIS_DEAD_AFTER" envDefault:"10s" min:"30ms" max:"1h" doc:"Silence after which others take over a dispatcher's messages; at least three heartbeats."`
	DenyCIDRs       []string      `env:"MEDIS_DENY_CIDRS" doc:"Addresses and prefixes that no push may go to, joined by commas: 10.0.0.0/8,::1. Link-local and cloud metadata addresses are always denied."`

	AlertURLs        Receivers `env:"MEDIS_ALERT_URLS" secret:"receivers" doc:"Receivers of alerts of subscriptions that name none, and of alerts that belong to no subscription: smtp://, slack://, teams://, telegram://, discord://, generic+https:// and others, see ALERTS.md. Separated by spaces, or by commas that a scheme follows."`
	AlertTemplates   string    `env:"MEDIS_ALERT_TEMPLATES" doc:"File, or directory of files *.tmpl, with templates that replace the built-in texts of alerts."`
	AlertEnabled     bool      `env:"MEDIS_ALERT_ENABLED" envDefault:"true" doc:"Default of alert.enabled: whether a subscription alerts at all."`
	AlertFailures    int       `env:"MEDIS_ALERT_FAILURES" envDefault:"120" min:"0" max:"1000000000" doc:"Failed attempts of a subscription within the window that raise an alert; 0 none."`
	AlertMsgFailures int       `env:"MEDIS_ALERT_MESSAGE_FAILURES" envDefault:"7" min:"0" max:"10000" doc:"Failed attempts of one message that raise an alert; 0 none."`
	AlertBacklog     int       `env:"MEDIS_ALERT_BACKLOG" envDefault:"5000" min:"0" max:"1000000000" doc:"Messages of a subscription, READY or waiting for a retry, that raise an alert; 0 none."`
	alert.Thresholds
}

// Streams is the configuration of package streams. id is the name of the consumer, which only a dispatcher uses; log tells of files with
// certificates that change.
func (c *Config) Streams(id string, log *slog.Logger) streams.Config {
	layout, _ := strconv.Atoi(c.CopyLayout) // 0: auto
	secure, roots := c.redisTLS(log)
	return streams.Config{
		URL: c.RedisURL, TLS: secure, Roots: roots, Prefix: c.KeyPrefix, Partitions: c.Partitions, ID: id,
		Retention: c.Retention, ArchiveBytes: int64(c.RetentionMaxBytes),
		DedupeWindow: c.DedupeWindow, DeadMaxLen: c.DeadMaxLen, CopyLayout: layout,
		Unrouted:   streams.Bound{Entries: c.UnroutedMaxLen, Bytes: int64(c.UnroutedMaxBytes)},
		Quarantine: streams.Bound{Entries: c.QuarantineMaxLen, Bytes: int64(c.QuarantineMaxBytes)},
	}
}

// ParkedElsewhere reports whether the recover lists are in a Redis of their own.
func (c *Config) ParkedElsewhere() bool {
	return c.RecoverRedisURL != "" && c.RecoverRedisURL != c.RedisURL
}

// ParkedStreams is Streams for the Redis with the recover lists.
func (c *Config) ParkedStreams(id string, log *slog.Logger) streams.Config {
	cfg := c.Streams(id, log)
	cfg.URL = c.RecoverRedisURL
	return cfg
}

// defaults are the values of the fields that a subscription leaves out. They name no receivers of
// alerts, so that everybody can see that the default ones are used.
func (c *Config) defaults() medispatcher.Subscription {
	s := medispatcher.DefaultSubscription()
	s.Concurrency, s.RetryConcurrency = c.Concurrency, c.RetryConcurrency
	s.Interval, s.Timeout = medispatcher.Duration(c.Interval), medispatcher.Duration(c.Timeout)
	s.MaxRetries, s.RetryCoefficient = c.MaxRetries, medispatcher.Duration(c.RetryCoefficient)
	s.Alert.Enabled, s.Alert.Backlog, s.Alert.MessageFailures = c.AlertEnabled, c.AlertBacklog, c.AlertMsgFailures
	s.Alert.Failures, s.Alert.Window = c.AlertFailures, medispatcher.Duration(c.Thresholds.Window)
	s.Alert.Every = medispatcher.Duration(c.Thresholds.Every)
	return s
}

// Rules are what this configuration asks of every subscription.
func (c *Config) Rules() medispatcher.Rules {
	return medispatcher.Rules{
		Defaults: c.defaults(),
		Max: medispatcher.Subscription{
			Concurrency: c.MaxConcurrency, RetryConcurrency: c.MaxRetryConcurrency, Timeout: medispatcher.Duration(c.MaxTimeout),
		},
		SecretOverlap: c.SecretOverlap,
		Denied:        c.Guard().Denied, ToASCII: idna.Lookup.ToASCII, Receiver: alert.CheckURL,
	}
}

// KeptRules are the rules of a replay of kept messages, by these subscriptions.
func (c *Config) KeptRules(subs *streams.Snapshot) streams.KeptRules {
	return streams.KeptRules{
		MaxBody: int64(c.MaxBody), DecodeItem: rescue.DecodeItem,
		Wanted: func(topic string) bool { return len(subs.Router().Route(topic)) > 0 },
		Exists: subs.Exists,
	}
}

// AccessTokens are the tokens that the API and the panel take. There are none if the API is open.
func (c *Config) AccessTokens() []access.Token {
	tokens, _ := access.Parse(c.Tokens)
	if c.AdminToken != "" {
		tokens = append([]access.Token{{Name: access.AdminName, Role: access.Admin, Secret: c.AdminToken}}, tokens...)
	}
	return tokens
}

// Proxies are the proxies that say truly who sent a request.
func (c *Config) Proxies() []netip.Prefix {
	prefixes, _ := http1.ParsePrefixes(trimmed(c.TrustedProxies)) // checked
	return prefixes
}

// Guard refuses pushes to denied addresses.
func (c *Config) Guard() *http1.Guard {
	prefixes, err := http1.ParsePrefixes(trimmed(c.DenyCIDRs))
	if err != nil {
		panic("MEDIS_DENY_CIDRS was not checked: " + err.Error())
	}
	return http1.NewGuard(prefixes)
}

// trimmed is a list without the blanks that a trailing comma leaves.
func trimmed(from []string) []string {
	var list []string
	for _, s := range from {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}
