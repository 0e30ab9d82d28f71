package alert

import (
	"time"

	"github.com/solate/medispatcher"
)

// The rules that code in this package alone knows by name.
const (
	ruleGone    = "gone"
	ruleLogLost = "log_lost"
	ruleTest    = "test"
)

// Rules are all rules, in the order of docs/ALERTS.md. In each text the title says what is wrong, and the
// first line below it what to do.
var Rules = []Rule{
	{
		Name: "failures", About: aSubscription,
		FiresWhen:  "this many attempts failed within `window`",
		Threshold:  "`alert.failures`, `alert.window`",
		Prometheus: "MedispatcherFailing",
		Title:      "{{.Value}} attempts failed within {{span .Window}} (alert at {{.Threshold}})",
		Recovered:  "{{.Value}} attempts failed within {{span .Window}}",
		More: `Check the worker. Failed messages are tried again; the dead ones: medispatcher dead ls {{.Subscription}}
`,
		wanted: func(s *medispatcher.Subscription) bool { return s.Alert.Failures > 0 },
		check:  checkFailures,
	},
	{
		Name: medispatcher.RuleMessageFailures, About: aSubscription,
		FiresWhen: "one message failed this many times. The text names the message, its last error and when it will be dead",
		Threshold: "`alert.message_failures`",
		Title:     "message {{plain .Message}} failed {{.Value}} times (alert at {{.Threshold}}) and {{if .DeadAt.IsZero}}is dead{{else}}will be dead in {{until .DeadAt .At}} at the earliest{{end}}",
		Recovered: "no message fails that often now: each was delivered, is dead or was purged",
		More: `Check what the worker does with this message. Once it is dead: medispatcher dead ls {{.Subscription}}
Message:     {{plain .Message}} of topic {{plain .Topic}}
Last error:  {{plain .LastError}}
Worker:      {{plain .Target}}
{{if gt .Messages 1}}Messages that fail this often: {{if ge .Messages 100}}100 or more{{else}}{{.Messages}}{{end}}
{{end}}`,
		wanted: func(s *medispatcher.Subscription) bool { return s.Alert.MessageFailures > 0 },
		causes: byMessages,
	},
	{
		Name: medispatcher.RuleBacklog, About: aSubscription,
		FiresWhen:  "this many messages are READY, or this many wait for a retry. Not while the subscription is paused",
		Threshold:  "`alert.backlog`",
		Prometheus: "MedispatcherChannelBacklog",
		Title:      `{{if ge .Ready .Retrying}}{{.Ready}} messages are READY{{else}}{{.Retrying}} messages wait for a retry{{end}} (alert at {{.Threshold}}), the oldest for {{span .Oldest}}; {{template "drain" .}}`,
		Recovered:  "{{.Ready}} messages are READY, {{.Retrying}} wait for a retry",
		More: `Check the worker. If it can do more at once: medispatcher sub set {{.Subscription}} concurrency=N
READY:       {{.Ready}}
BURIED:      {{.Buried}}, {{.Retrying}} of them wait for a retry
Delivered:   {{.SentPerMin}} in the last minute
`,
		wanted: func(s *medispatcher.Subscription) bool { return s.Alert.Backlog > 0 && !s.Paused },
		check:  checkBacklog,
	},
	{
		Name: medispatcher.RuleBreaker, About: aSubscription,
		FiresWhen:  "a dispatcher's breaker opened: the worker fails every message",
		Prometheus: "MedispatcherBreakerOpen",
		Title:      "{{if .LastError}}{{plain .LastError}}{{else}}its worker fails every message{{end}}, so messages wait",
		Recovered:  "{{if .LastError}}the push proxy lets messages through again{{else}}its worker is back{{end}}",
		More: `{{if .LastError}}Repair the proxy, or change MEDIS_PUSH_PROXY{{else}}Repair the worker{{end}}. Delivery goes on by itself once a probe succeeds. No message is lost, and none uses up its attempts.
Seen by:     {{.Dispatcher}}
`,
		causes: byDispatchers,
	},
	{
		Name: ruleGone, About: aSubscription,
		FiresWhen: "the subscription was paused because its worker answered 410",
		Title:     "paused: its worker answered 410 Gone",
		Recovered: "resumed",
		More: `Messages wait until you resume it: medispatcher sub resume {{.Subscription}}
`,
		check: checkGone,
	},
	{
		Name: "incoming", About: theWhole,
		FiresWhen:  "this many messages wait for their fan-out, or the oldest waits this long",
		Threshold:  "`MEDIS_ALERT_INCOMING`, `MEDIS_ALERT_INCOMING_AGE`",
		Prometheus: "MedispatcherIncomingBacklog",
		Title:      `{{.Value}} messages wait for their fan-out{{if .Threshold}} (alert at {{.Threshold}}){{end}}, the oldest for {{span .Oldest}}{{if .OldestLimit}} (alert at {{span .OldestLimit}}){{end}}; {{template "drain" .}}`,
		Recovered:  "{{.Value}} messages wait for their fan-out",
		More: `Check that a dispatcher runs: medispatcher status
Taken:       {{.SentPerMin}} in the last minute
`,
		check: checkIncoming,
	},
	{
		Name: "total_backlog", About: theWhole,
		FiresWhen: "all channels together hold this many messages, in flight or not. Paused subscriptions do not count",
		Threshold: "`MEDIS_ALERT_TOTAL_BACKLOG`",
		Title:     `all channels together hold {{.Value}} messages (alert at {{.Threshold}}); {{template "drain" .}}`,
		Recovered: "all channels together hold {{.Value}} messages",
		More: `See which subscriptions are behind: medispatcher status
Delivered:   {{.SentPerMin}} in the last minute
`,
		check: checkTotalBacklog,
	},
	{
		Name: medispatcher.RuleDispatcherLost, About: aDispatcher,
		FiresWhen: "a dispatcher died. One that was stopped did not",
		Threshold: "`MEDIS_ALERT_DISPATCHER_LOST`",
		Title:     "{{.Dispatcher}} on {{plain .LostHost}} is dead; {{.Alive}} still run{{if eq .Alive 1}}s{{end}}",
		Recovered: "{{.Alive}} dispatcher{{if ne .Alive 1}}s{{end}} run{{if eq .Alive 1}}s{{end}}",
		More: `Start it again if nothing else does. What it had in flight is given back and goes out again.
`,
		check: checkLost,
	},
	{
		Name: "unrouted", About: theWhole,
		FiresWhen:  "no subscription wanted this many messages within the window. The text names the newest topic",
		Threshold:  "`MEDIS_ALERT_UNROUTED`, `MEDIS_ALERT_WINDOW`",
		Prometheus: "MedispatcherUnrouted",
		Title:      "{{.Value}} unrouted message{{if ne .Value 1}}s{{end}} within {{span .Window}} (alert at {{.Threshold}}){{if .Topic}}, the last of topic {{plain .Topic}}{{end}}",
		Recovered:  "{{.Value}} unrouted message{{if ne .Value 1}}s{{end}} within {{span .Window}}; {{.Messages}} are kept",
		More: `Put the missing subscription, or correct the topic in the producer. Then: medispatcher unrouted replay
Look at it:  medispatcher unrouted ls --newest
Kept:        {{.Messages}}, each until it is replayed or purged, or newer ones push it out
`,
		check: checkUnrouted,
	},
	{
		Name: "quarantine", About: theWhole,
		FiresWhen:  "this many entries within the window could not be decoded or copied. The text holds the newest reason",
		Threshold:  "`MEDIS_ALERT_QUARANTINE`, `MEDIS_ALERT_WINDOW`",
		Prometheus: "MedispatcherQuarantine",
		Title:      "{{.Value}} entr{{if eq .Value 1}}y{{else}}ies{{end}} quarantined within {{span .Window}} (alert at {{.Threshold}}){{if .LastError}}, the last: {{plain .LastError}}{{end}}",
		Recovered:  "{{.Value}} entr{{if eq .Value 1}}y{{else}}ies{{end}} quarantined within {{span .Window}}; {{.Messages}} are kept",
		More: `Repair the producer that wrote them. They are not delivered.
Look at it:  medispatcher quarantine ls --newest
Kept:        {{.Messages}}, each until it is replayed or purged, or newer ones push it out
`,
		check: checkQuarantine,
	},
	{
		Name: "memory", About: theWhole,
		FiresWhen: "Redis uses this share of its `maxmemory`, in percent. Without a `maxmemory` the rule is off. Of a cluster, the fullest master counts",
		Threshold: "`MEDIS_ALERT_MEMORY`",
		Title:     "Redis uses {{.Value}} % of its memory (alert at {{.Threshold}} %): {{bytes .MemoryUsed}} of {{bytes .MemoryLimit}}",
		Recovered: "Redis uses {{.Value}} % of its memory: {{bytes .MemoryUsed}} of {{bytes .MemoryLimit}}",
		More: `Raise maxmemory, or deliver or purge what waits. At 100 % Redis takes no messages.
`,
		check: checkMemory,
	},
	{
		Name: "dispatcher_shortage", About: aDispatcher,
		FiresWhen: "the machine of a dispatcher is short of file descriptors, local ports or memory, so its attempts wait. It ends a minute after the last shortage",
		Title:     "the machine of {{plain .Dispatcher}} is short of {{plain .Short}}, so attempts wait{{if gt .Value 1}}; {{.Value}} dispatchers are short of something{{end}}",
		Recovered: "no dispatcher is short of anything",
		More: `The log of that dispatcher says what to raise. The workers are not to blame, and no message uses up its attempts.
Look at it:  medispatcher doctor compares the limit of open files with the concurrency
`,
		check: checkShortage,
	},
	{
		Name: ruleLogLost, About: aDispatcher,
		FiresWhen:  "a dispatcher cannot write its log or its DATA log, or lost lines of one. The text says which, why and how many. This rule cannot be switched off",
		Prometheus: "MedispatcherLogLost",
		Title:      "{{.Dispatcher}} cannot write a log: {{plain .LastError}}; {{.Value}} line{{if ne .Value 1}}s{{end}} lost so far",
		Recovered:  "every dispatcher writes its logs again",
		More: `Repair the disk, or what reads the log; no restart is needed. Delivery goes on. A message whose only copy the lost line would have been is a dead letter.
`,
		causes: byDispatchers,
	},
	{
		Name: ruleTest, About: theWhole,
		FiresWhen: "somebody tries the receivers with `medispatcher alert test` or on the page of alerts",
		Title:     "this is a test; nothing is wrong",
	},
}

// Thresholds is the part of the configuration that the rules need. 0 switches a rule off. The tags are those
// of Config in cmd/internal/config, which holds these fields; Window and Every are also the defaults of a
// subscription.
type Thresholds struct {
	Window         time.Duration `env:"MEDIS_ALERT_WINDOW" envDefault:"3m" min:"1s" max:"24h" doc:"The window in which failed attempts, unrouted messages and quarantined entries are counted."`
	Every          time.Duration `env:"MEDIS_ALERT_EVERY" envDefault:"3m" min:"1s" max:"168h" doc:"Least time between two notices of a rule and subscription."`
	Incoming       int64         `env:"MEDIS_ALERT_INCOMING" envDefault:"5000" min:"0" max:"1000000000" doc:"Messages before their fan-out that raise an alert; 0: no alert."`
	IncomingAge    time.Duration `env:"MEDIS_ALERT_INCOMING_AGE" envDefault:"1m" min:"0s" max:"24h" doc:"Age of the oldest message before its fan-out that raises an alert; 0s: no alert."`
	TotalBacklog   int64         `env:"MEDIS_ALERT_TOTAL_BACKLOG" envDefault:"50000" min:"0" max:"1000000000" doc:"Messages in all channels together that raise an alert; 0: no alert."`
	Memory         int64         `env:"MEDIS_ALERT_MEMORY" envDefault:"80" min:"0" max:"100" doc:"Percent of its maxmemory that Redis uses and that raise an alert; 0: no alert. Without a maxmemory there is none either."`
	Unrouted       int64         `env:"MEDIS_ALERT_UNROUTED" envDefault:"1" min:"0" max:"1000000000" doc:"Unrouted messages within MEDIS_ALERT_WINDOW that raise an alert; 0: no alert."`
	Quarantine     int64         `env:"MEDIS_ALERT_QUARANTINE" envDefault:"1" min:"0" max:"1000000000" doc:"Entries quarantined within MEDIS_ALERT_WINDOW that raise an alert; 0: no alert."`
	DispatcherLost bool          `env:"MEDIS_ALERT_DISPATCHER_LOST" envDefault:"true" doc:"Whether a dispatcher that died raises an alert."`
}
