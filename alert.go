package medispatcher

import "time"

// Rules that other packages than alert know by name; all rules are in its table.
const (
	RuleMessageFailures = "message_failures"
	RuleBacklog         = "backlog"
	RuleBreaker         = "breaker"
	RuleDispatcherLost  = "dispatcher_lost"
)

// Alert is what a rule found. Value and Threshold are what it compares: messages, failures,
// dispatchers or percent.
type Alert struct {
	Rule         string `json:"rule"`
	Subscription string `json:"subscription,omitempty"` // empty: the rule is of the whole system
	Value        int64  `json:"value"`
	Threshold    int64  `json:"threshold,omitempty"`
	Line         string `json:"line"`           // the first line of its text
	Env          string `json:"env,omitempty"`  // MEDIS_ENV of the dispatcher that found it
	Host         string `json:"host,omitempty"` // and its host
	AlertFacts
}

// Key tells alerts apart: there is one of a rule and subscription at a time.
func (a *Alert) Key() string { return a.Rule + ":" + a.Subscription }

// AlertFacts are what stands in the text beside the value, each where the rule knows it.
type AlertFacts struct {
	Ready        int64     `json:"ready,omitempty"`
	Buried       int64     `json:"buried,omitempty"` // includes retrying
	Retrying     int64     `json:"retrying,omitempty"`
	Oldest       Duration  `json:"oldest,omitempty"`          // age of the oldest message that waits
	OldestLimit  Duration  `json:"oldest_limit,omitempty"`    // of an age that is a threshold as well
	SentPerMin   int64     `json:"sent_per_minute,omitempty"` // delivered within the last minute
	Drain        Duration  `json:"drain,omitempty"`           // until nothing waits, at that rate; 0: never
	Window       Duration  `json:"window,omitempty"`          // in which failures were counted
	Message      string    `json:"message,omitempty"`         // id of a message that fails
	Topic        string    `json:"topic,omitempty"`           // its topic; or that of the newest message nobody wants
	Messages     int64     `json:"messages,omitempty"`        // how many fail that often, as far as they are counted; or how many are kept
	LastError    string    `json:"last_error,omitempty"`      // of its last attempt; or why the newest entry is in the quarantine
	Target       string    `json:"target,omitempty"`          // URL of that attempt, without userinfo
	DeadAt       time.Time `json:"dead_at,omitzero"`          // when it will be dead at the earliest; zero: it is
	Dispatcher   string    `json:"dispatcher,omitempty"`      // that is lost or short, or whose breaker is open
	LostHost     string    `json:"lost_host,omitempty"`       // where it ran
	Alive        int64     `json:"alive,omitempty"`           // dispatchers that still run
	MemoryUsed   int64     `json:"memory_used,omitempty"`     // bytes
	MemoryLimit  int64     `json:"memory_limit,omitempty"`    // bytes
	Short        string    `json:"short,omitempty"`           // what the machine of the dispatcher lacks
	OwnReceivers bool      `json:"own_receivers,omitempty"`   // the subscription has receivers of its own
}

// Kinds of notices.
const (
	NoticeAlert     = "alert"     // a rule began to fire
	NoticeReminder  = "reminder"  // it fires still
	NoticeRecovered = "recovered" // it is over
)

// Notice is one message to the receivers of an alert.
type Notice struct {
	ID      int64     `json:"id"`
	Kind    string    `json:"kind"`
	Since   time.Time `json:"since"` // when the rule began to fire
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome,omitempty"` // what became of it: sent, not sent …; empty: under way
	Alert

	Tries int      `json:"-"` // how often it was taken to be sent, this time included
	Done  []string `json:"-"` // receivers that have it
}

// Firing is an alert that is not over.
type Firing struct {
	Since   time.Time `json:"since"`
	Last    time.Time `json:"last,omitzero"` // when the last notice of its rule was made, this time or before
	Notices int       `json:"notices"`       // so far
	Alert
}

// Alerts is what fires and the last notices, the newest first.
type Alerts struct {
	Firing      []Firing `json:"firing"`
	FiringCount int      `json:"firing_count"` // the list may be cut
	Last        []Notice `json:"last"`
	Waiting     int64    `json:"waiting"` // notices that are not sent yet
}

// Receipt is what became of one notice at one receiver.
type Receipt struct {
	Receiver string `json:"receiver"` // masked
	Sent     bool   `json:"sent"`
	Error    string `json:"error,omitempty"`
}
