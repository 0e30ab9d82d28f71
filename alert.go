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
	LastError    string    `json:"last_error,omitempty"`      // of its last attempt; why the newest entry was quarantined; or why the log is lost
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
