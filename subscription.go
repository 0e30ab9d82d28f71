package medispatcher

import "time"

// Encodings of a push.
const (
	EncodingJSON = "json" // the body's bytes unchanged, Standard Webhooks headers
	EncodingForm = "form" // the protocol of earlier versions

	EncodingCloudEvents = "cloudevents" // the same as EncodingJSON, and the attributes of a CloudEvent
)

// Formats of a batch.
const (
	BatchLines = "ndjson" // a JSON object a line
	BatchArray = "json"   // one JSON array of them
)

// Scopes of the limits of a subscription.
const (
	ScopeDispatcher = "dispatcher" // they hold in each dispatcher
	ScopeCluster    = "cluster"    // they hold in all dispatchers together, which divide them
)

// Actions of a drop policy.
const (
	DropKeep = "keep" // exhausted messages become dead letters
	DropLog  = "log"  // they are written to the DATA log and removed
	DropNow  = "drop" // they are counted and removed
)

// Subscription says who wants a topic and how to push to them, every field in force.
//
// The tags declare all there is to say about a field; fields.go lists what each tag means. The checks
// of a document, the flags of the command line, the OpenAPI document and the form of the panel are
// made from them. What a field needs beyond bounds and choices is a function in rules_check.go.
type Subscription struct {
	ID               string            `json:"id" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" example:"billing" help:"Also names its channel. In a body it may be left out; else it equals the path."`
	Topic            string            `json:"topic" required:"true" max:"255" example:"order.*" group:"Where to" label:"Topic or pattern" flag:"topic=PATTERN" help:"A topic: order.created, or a pattern: order.* (one level), order.> (the rest)."`
	Filter           string            `json:"filter" max:"4096" example:"body.total > 100" group:"Where to" label:"Filter" flag:"filter=EXPRESSION" help:"Only messages for which this CEL expression is true. All others are counted and not copied. It knows topic, sender, key, type, headers and body, which is the decoded JSON. A message at which it fails is delivered."`
	URLs             []string          `json:"urls" required:"true" min:"1" max:"64" example:"http://billing.internal/hook" group:"Where to" label:"Worker URLs" flag:"url=URL" help:"Worker URLs, which share the load. [T_ENV:PUB]http://… is used only by dispatchers whose MEDIS_ENV is PUB. Passwords and the values in a query are masked; a mask, written back, keeps what it stands for."`
	Paused           bool              `json:"paused" default:"false" group:"How fast" label:"Paused" flag:"paused" help:"Keep messages, push none."`
	Concurrency      int               `json:"concurrency" min:"1" maxenv:"MEDIS_MAX_CONCURRENCY" default:"8" env:"MEDIS_CONCURRENCY" group:"How fast" label:"Concurrency" flag:"concurrency=N" help:"Pushes in flight at once, in each dispatcher (see scope)."`
	RetryConcurrency int               `json:"retry_concurrency" min:"1" maxenv:"MEDIS_MAX_RETRY_CONCURRENCY" default:"2" env:"MEDIS_RETRY_CONCURRENCY" group:"How fast" label:"Retry concurrency" flag:"retry-concurrency=N" help:"Retries in flight at once beside them, in each dispatcher (see scope)."`
	Interval         Duration          `json:"interval" min:"0s" max:"1h" default:"0s" env:"MEDIS_INTERVAL" example:"5ms" group:"How fast" label:"Interval" flag:"interval=DURATION" help:"Least time between two pushes, such as 5ms, in each dispatcher (see scope)."`
	Scope            string            `json:"scope" oneof:"dispatcher,cluster" default:"dispatcher" group:"How fast" label:"Limits hold for" flag:"scope=NAME" help:"dispatcher: concurrency, retry concurrency and interval hold in each dispatcher. cluster: in all of them together; those that run divide them."`
	Timeout          Duration          `json:"timeout" min:"1ms" maxenv:"MEDIS_MAX_TIMEOUT" default:"5s" env:"MEDIS_TIMEOUT" example:"5s" group:"How fast" label:"Timeout" flag:"timeout=DURATION" help:"Time that a worker has to answer an attempt, such as 5s."`
	Ordered          bool              `json:"ordered" default:"false" group:"How fast" label:"Ordered" flag:"ordered" help:"Push messages with the same key one after another. The next one starts when the one before is delivered, dead or dropped; those of other keys go on."`
	MaxRetries       int               `json:"max_retries" min:"0" max:"10000" default:"10" env:"MEDIS_MAX_RETRIES" group:"When it fails" label:"Retries" flag:"max-retries=N" help:"Retries before a message is dead; n retries are n + 1 attempts."`
	RetryCoefficient Duration          `json:"retry_coefficient" min:"0s" max:"24h" default:"10s" env:"MEDIS_RETRY_COEFFICIENT" example:"10s" group:"When it fails" label:"Retry coefficient" flag:"retry-coefficient=DURATION" help:"The wait after failed attempt n is n² times this."`
	RetrySchedule    []Duration        `json:"retry_schedule" max:"64" default:"[]" example:"30s" group:"When it fails" label:"Waits before retries" flag:"retry-schedule=DURATION" help:"Waits between attempts, instead of the coefficient. The last one repeats until there are no retries left."`
	Encoding         string            `json:"encoding" oneof:"json,form,cloudevents" default:"json" group:"What is sent" label:"Encoding" flag:"encoding=NAME" help:"json, or cloudevents for CloudEvents 1.0: both send the body unchanged. form is for workers of earlier versions."`
	Secret           string            `json:"secret,omitempty" secret:"true" example:"whsec_********" group:"What is sent" label:"Signing secret" flag:"secret=SECRET" help:"Signs pushes by Standard Webhooks. Give whsec_ and 24 to 64 bytes in base64; empty, nothing is signed. Answers show a mask; written back, it keeps the secret. A changed secret signs beside the old one for MEDIS_SECRET_OVERLAP."`
	Headers          map[string]string `json:"headers" group:"What is sent" label:"Headers" flag:"header='NAME: VALUE'" help:"Headers added to every push. Values of those that carry credentials, by their names, are shown as ********; written back, that keeps them."`
	SecretHeaders    []string          `json:"secret_headers" max:"64" default:"[]" example:"X-Tenant" group:"What is sent" label:"Secret headers" flag:"secret-header=NAME" help:"More headers to mask, beside those whose names say credentials."`
	ReceiveBench     bool              `json:"receive_bench" default:"false" group:"What is sent" label:"Receives load tests" flag:"receive-bench" help:"Have a pattern such as > cover the topics of load tests, bench.<12 hex digits>, too. A pattern that begins with bench. covers them anyway."`
	Batch            BatchPolicy       `json:"batch" help:"Several messages in one push."`
	Drop             DropPolicy        `json:"drop" help:"What becomes of a message that fails too often."`
	Alert            AlertPolicy       `json:"alert" help:"When to alert; 0 switches a rule off."`

	// Matcher is Filter, ready to be used; nil: there is none, or the rules have no filters.
	Matcher Filter `json:"-"`

	// PreviousSecret signs beside Secret until PreviousUntil. Never shown.
	PreviousSecret string    `json:"-"`
	PreviousUntil  time.Time `json:"-"`
}

// BatchPolicy says how many messages go into one push. With a Size of 1 each goes by itself, and nothing else here counts.
type BatchPolicy struct {
	Size   int      `json:"size" min:"1" max:"1000" default:"1" group:"Batches" label:"Messages in one push" flag:"batch-size=N" help:"Most messages in one push; 1 pushes each by itself. A worker may answer 2xx and still list those that failed."`
	Wait   Duration `json:"wait" min:"0s" max:"1m" default:"50ms" example:"50ms" group:"Batches" label:"Wait for a batch" flag:"batch-wait=DURATION" help:"How long a message waits for others to share its batch, at most the timeout. 0s sends what is there."`
	Bytes  Size     `json:"bytes" min:"1KiB" max:"64MiB" default:"1MiB" example:"1MiB" group:"Batches" label:"Bytes of a batch" flag:"batch-bytes=SIZE" help:"Most bytes in the body of a batch, such as 1MiB. A message that is larger goes alone."`
	Format string   `json:"format" oneof:"ndjson,json" default:"ndjson" group:"Batches" label:"Format of a batch" flag:"batch-format=NAME" help:"ndjson sends a JSON object a line, json one array of them."`
}

// DropPolicy says what becomes of a message whose attempts are exhausted: after
// max_retries, or when Threshold is not 0, once it failed so many times.
type DropPolicy struct {
	Threshold int    `json:"threshold" min:"0" max:"10000" default:"0" group:"When it fails" label:"Drop after" flag:"drop-threshold=N" help:"Failed attempts after which drop.action holds; 0 leaves it to max_retries."`
	Action    string `json:"action" oneof:"keep,log,drop" default:"keep" group:"When it fails" label:"What becomes of it" flag:"drop-action=ACTION" help:"keep makes a dead letter, log moves to the DATA log, drop only counts. This holds for a message that failed for good."`
}

// AlertPolicy holds the alert thresholds of a subscription; 0 switches a rule off.
type AlertPolicy struct {
	Enabled         bool     `json:"enabled" default:"true" env:"MEDIS_ALERT_ENABLED" group:"Alerts" label:"Alerts on" flag:"alert" help:"Send alerts of this subscription; false sends none."`
	URLs            []string `json:"urls" max:"16" default:"[]" group:"Alerts" label:"Receivers" flag:"alert-url=URL" help:"Notification URLs of the receivers of its alerts. None: those of MEDIS_ALERT_URLS."`
	Window          Duration `json:"window" min:"1s" max:"24h" default:"3m" env:"MEDIS_ALERT_WINDOW" example:"3m" group:"Alerts" label:"Window" flag:"alert-window=DURATION" help:"Time in which failures are counted."`
	Failures        int      `json:"failures" min:"0" default:"120" env:"MEDIS_ALERT_FAILURES" group:"Alerts" label:"Failures" flag:"alert-failures=N" help:"Failed attempts within the window that raise an alert; 0 switches the rule off."`
	MessageFailures int      `json:"message_failures" min:"0" default:"7" env:"MEDIS_ALERT_MESSAGE_FAILURES" group:"Alerts" label:"Failures of one message" flag:"alert-message-failures=N" help:"Failed attempts of one message that raise an alert; 0 switches the rule off."`
	Backlog         int      `json:"backlog" min:"0" default:"5000" env:"MEDIS_ALERT_BACKLOG" group:"Alerts" label:"Backlog" flag:"alert-backlog=N" help:"Messages READY or retrying that raise an alert; 0 switches the rule off."`
	Every           Duration `json:"every" min:"1s" max:"168h" default:"3m" env:"MEDIS_ALERT_EVERY" example:"3m" group:"Alerts" label:"At most one in" flag:"alert-every=DURATION" help:"At most one notice of a rule in this time."`
}

// DefaultSubscription has the defaults of every field, as they are where no MEDIS_… variable is set.
func DefaultSubscription() Subscription {
	s := Subscription{URLs: []string{}, Headers: map[string]string{}}
	for _, f := range fields {
		f.setDefault(&s)
	}
	return s
}

// Divided reports whether the limits hold in all dispatchers together.
func (s *Subscription) Divided() bool { return s.Scope == ScopeCluster }

// AtOnce is how many requests a dispatcher has in flight at most for the subscription.
func (s *Subscription) AtOnce() int {
	if s.Paused {
		return 0
	}
	return s.Concurrency + s.RetryConcurrency
}

// Masked is the subscription as it may be shown, without its secret, the passwords and the values of queries in its worker
// URLs, the values of headers that carry credentials, and of its alert URLs all but where they go. Written
// back, each mask keeps what it stands for.
func (s Subscription) Masked() Subscription {
	if s.Secret != "" {
		s.Secret = SecretMask
	}
	s.URLs, s.Alert.URLs = maskAll(s.URLs, maskURL), maskAll(s.Alert.URLs, MaskAlertURL)
	s.Headers = maskHeaders(s.Headers, s.SecretHeaders)
	return s
}
