package medispatcher

import "time"

// Alert rules that packages other than alert know by name. alert.Rules is the table of all.
const (
	RuleMessageFailures = "message_failures"
	RuleBacklog         = "backlog"
	RuleBreaker         = "breaker"
	RuleDispatcherLost  = "dispatcher_lost"
)

// Alert is what a rule found. Value and Threshold are what the rule compares: messages, failures,
// dispatchers, lines or percent.
type Alert struct {
	Rule         string `json:"rule"`
	Subscription string `json:"subscription,omitempty"` // empty: the rule is not about a subscription
	Value        int64  `json:"value"`
	Threshold    int64  `json:"threshold,omitempty"`
	Line         string `json:"line"`           // the first line of its text
	Env          string `json:"env,omitempty"`  // MEDIS_ENV of the dispatcher that found it
	Host         string `json:"host,omitempty"` // host of that dispatcher
	AlertFacts
}

// Key identifies an alert. A rule has at most one alert at a time for each subscription.
func (a *Alert) Key() string { return a.Rule + ":" + a.Subscription }

// AlertFacts is what the text of an alert may say beside its value. Each rule fills in what it knows.
type AlertFacts struct {
	Ready        int64     `json:"ready,omitempty"`
	Buried       int64     `json:"buried,omitempty"` // includes retrying
	Retrying     int64     `json:"retrying,omitempty"`
	Oldest       Duration  `json:"oldest,omitempty"`          // age of the oldest message
	OldestLimit  Duration  `json:"oldest_limit,omitempty"`    // where the age is a threshold as well
	SentPerMin   int64     `json:"sent_per_minute,omitempty"` // delivered within the last minute
	Drain        Duration  `json:"drain,omitempty"`           // time until nothing waits, at that rate; 0: never
	Window       Duration  `json:"window,omitempty"`          // in which failures were counted
	Message      string    `json:"message,omitempty"`         // id of a message that fails
	Topic        string    `json:"topic,omitempty"`           // its topic, or that of the newest unrouted message
	Messages     int64     `json:"messages,omitempty"`        // how many fail that often, counted up to a hundred; or how many are kept
	LastError    string    `json:"last_error,omitempty"`      // of its last attempt; why the newest entry was quarantined; why the log is lost; or that a proxy holds messages back
	Target       string    `json:"target,omitempty"`          // URL of that attempt, without userinfo
	DeadAt       time.Time `json:"dead_at,omitzero"`          // when it will be dead at the earliest; zero: it is dead
	Dispatcher   string    `json:"dispatcher,omitempty"`      // which is dead or short of something, whose breaker is open or whose log is lost
	LostHost     string    `json:"lost_host,omitempty"`       // where the dead dispatcher ran
	Alive        int64     `json:"alive,omitempty"`           // dispatchers that run
	MemoryUsed   int64     `json:"memory_used,omitempty"`     // bytes
	MemoryLimit  int64     `json:"memory_limit,omitempty"`    // bytes
	Short        string    `json:"short,omitempty"`           // what the machine of the dispatcher is short of
	OwnReceivers bool      `json:"own_receivers,omitempty"`   // the subscription has receivers of its own
}

// Kinds of notices.
const (
	NoticeAlert     = "alert"     // an alert began to fire
	NoticeReminder  = "reminder"  // it still fires
	NoticeRecovered = "recovered" // it is over
)

// Notice is one message to the receivers of an alert.
type Notice struct {
	ID      int64     `json:"id"`
	Kind    string    `json:"kind"`
	Since   time.Time `json:"since"` // when the alert began to fire
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome,omitempty"` // sent, no receivers, or not sent and why; empty: under way
	Alert

	Tries int      `json:"-"` // including this one
	Done  []string `json:"-"` // receivers that have it
}

// Firing is an alert that fires now.
type Firing struct {
	Since   time.Time `json:"since"`
	Last    time.Time `json:"last,omitzero"` // when the last notice of its key was made, maybe before Since
	Notices int       `json:"notices"`       // so far
	Alert
}

// Alerts holds the alerts that fire and the last notices, the newest first.
type Alerts struct {
	Firing      []Firing `json:"firing"`
	FiringCount int      `json:"firing_count"` // all that fire; Firing may hold fewer
	Last        []Notice `json:"last"`
	Waiting     int64    `json:"waiting"` // notices that are not sent yet
}

// Receipt is the result of a test notice at one receiver.
type Receipt struct {
	Receiver string `json:"receiver"` // masked
	Sent     bool   `json:"sent"`
	Error    string `json:"error,omitempty"`
}

// AlertRules are the rules as they are in force, and who is told.
type AlertRules struct {
	Rules     []AlertRule      `json:"rules"`
	Receivers []string         `json:"receivers" doc:"The default ones, masked"`
	Every     Duration         `json:"every" doc:"At most one notice of a rule and subscription in this time, unless the subscription says otherwise"`
	Own       []AlertReceivers `json:"own" doc:"Subscriptions with receivers of their own, the first hundred"`
	OwnCount  int              `json:"own_count" doc:"How many there are"`
	Silent    int              `json:"silent" doc:"Subscriptions whose alerts are switched off"`
}

// AlertRule is a rule and its thresholds.
type AlertRule struct {
	Name       string           `json:"name"`
	About      string           `json:"about" doc:"a subscription, a dispatcher or the whole"`
	FiresWhen  string           `json:"fires_when"`
	Thresholds []AlertThreshold `json:"thresholds" doc:"Of a rule about a subscription, the defaults. None: it is fixed"`
	Off        bool             `json:"off,omitempty" doc:"The thresholds switch it off"`
	Differ     int              `json:"differ,omitempty" doc:"Subscriptions with other thresholds"`
	Prometheus string           `json:"prometheus,omitempty" doc:"The rule in deploy/prometheus that finds the same"`
}

// AlertThreshold is a variable or a field of a subscription, and its value in force.
type AlertThreshold struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// AlertReceivers are the receivers of a subscription's alerts.
type AlertReceivers struct {
	Subscription string   `json:"subscription"`
	Receivers    []string `json:"receivers" doc:"Masked"`
}
