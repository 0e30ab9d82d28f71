package alert

import (
	"time"

	"github.com/solate/medispatcher"
)

// Names of rules that no code outside of this package knows.
const (
	ruleGone    = "gone"
	ruleLogLost = "log_lost"
	ruleTest    = "test"
)

// Rules are all rules, in the order of docs/ALERTS.md.
var Rules = []Rule{
	{
		Name: "failures", About: aSubscription,
		FiresWhen:  "so many attempts failed within `window`",
		Threshold:  "`alert.failures`, `alert.window`",
		Prometheus: "MedispatcherFailing",
		Title:      "{{.Value}} failed attempts within {{span .Window}} (alert at {{.Threshold}})",
		Recovered:  "{{.Value}} failed attempts within {{span .Window}}",
		wanted:     func(s *medispatcher.Subscription) bool { return s.Alert.Failures > 0 },
		check:      checkFailures,
	},
	{
		Name: medispatcher.RuleMessageFailures, About: aSubscription,
		FiresWhen: "one message failed so many times; the text names it, its last error and the time until it is dead",
		Threshold: "`alert.message_failures`",
		Title:     "message {{plain .Message}} failed {{.Value}} times (alert at {{.Threshold}}): {{if .DeadAt.IsZero}}it is dead{{else}}it is dead in {{until .DeadAt .At}} at the earliest{{end}}",
		Recovered: "no message fails that often any more: each was delivered, is dead or was purged",
		More: `Message:     {{plain .Message}} of topic {{plain .Topic}}
Last error:  {{plain .LastError}}
Worker:      {{plain .Target}}
{{if gt .Messages 1}}Failing so often, this one included: {{if ge .Messages 100}}100 or more{{else}}{{.Messages}}{{end}}
{{end}}Look at it:  medispatcher dead ls {{.Subscription}}, once it is dead
`,
		wanted: func(s *medispatcher.Subscription) bool { return s.Alert.MessageFailures > 0 },
		causes: byMessages,
	},
	{
		Name: medispatcher.RuleBacklog, About: aSubscription,
		FiresWhen:  "READY, or waiting for a retry, at or above it; not while it is paused",
		Threshold:  "`alert.backlog`",
		Prometheus: "MedispatcherChannelBacklog",
		Title:      `{{if ge .Ready .Retrying}}{{.Ready}} messages are READY{{else}}{{.Retrying}} messages wait for a retry{{end}} (alert at {{.Threshold}}), the oldest for {{span .Oldest}}; {{template "drain" .}}`,
		Recovered:  "{{.Ready}} messages are READY, {{.Retrying}} wait for a retry",
		More: `READY:       {{.Ready}}
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
		Title:      "its worker fails every message: nothing is pushed but a probe now and then",
		Recovered:  "its worker is back",
		More: `Seen by:     {{.Dispatcher}}
Messages wait; none is lost, and none of their attempts is used up.
`,
		causes: byDispatchers,
	},
	{
		Name: ruleGone, About: aSubscription,
		FiresWhen: "it was paused because its worker answered 410",
		Title:     "paused: its worker answered 410 Gone",
		Recovered: "resumed",
		More: `Messages wait until it is resumed: medispatcher sub resume {{.Subscription}}
`,
		check: checkGone,
	},
	{
		Name: "incoming", About: theWhole,
		FiresWhen:  "messages before their fan-out, or the age of the oldest",
		Threshold:  "`MEDIS_ALERT_INCOMING`, `MEDIS_ALERT_INCOMING_AGE`",
		Prometheus: "MedispatcherIncomingBacklog",
		Title:      `{{.Value}} messages wait for their fan-out{{if .Threshold}} (alert at {{.Threshold}}){{end}}, the oldest for {{span .Oldest}}{{if .OldestLimit}} (alert at {{span .OldestLimit}}){{end}}; {{template "drain" .}}`,
		Recovered:  "{{.Value}} messages wait for their fan-out",
		More: `Taken:       {{.SentPerMin}} in the last minute
Does a dispatcher run? medispatcher status tells.
`,
		check: checkIncoming,
	},
	{
		Name: "total_backlog", About: theWhole,
		FiresWhen: "messages in all channels that are not paused, in flight or not",
		Threshold: "`MEDIS_ALERT_TOTAL_BACKLOG`",
		Title:     `{{.Value}} messages are in all channels together (alert at {{.Threshold}}); {{template "drain" .}}`,
		Recovered: "{{.Value}} messages are in all channels together",
		More: `Delivered:   {{.SentPerMin}} in the last minute
`,
		check: checkTotalBacklog,
	},
	{
		Name: medispatcher.RuleDispatcherLost, About: aDispatcher,
		FiresWhen: "a dispatcher died; one that was stopped did not",
		Threshold: "`MEDIS_ALERT_DISPATCHER_LOST`",
		Title:     "{{.Dispatcher}} on {{plain .LostHost}} is dead; {{.Alive}} still run{{if eq .Alive 1}}s{{end}}",
		Recovered: "{{.Alive}} dispatchers run",
		More: `What it had in flight is given back and goes out again.
`,
		check: checkLost,
	},
	{
		Name: "unrouted", About: theWhole,
		FiresWhen:  "so many messages within the window that no subscription wants; the text names the newest topic",
		Threshold:  "`MEDIS_ALERT_UNROUTED`, `MEDIS_ALERT_WINDOW`",
		Prometheus: "MedispatcherUnrouted",
		Title:      "{{.Value}} message{{if ne .Value 1}}s{{end}} within {{span .Window}} that no subscription wants (alert at {{.Threshold}}){{if .Topic}}, the last of topic {{plain .Topic}}{{end}}",
		Recovered:  "no message came within {{span .Window}} that no subscription wants; {{.Messages}} are kept",
		More: `Kept:        {{.Messages}}, until they are replayed or purged, or newer ones push them out
Look at it:  medispatcher unrouted ls --newest
A topic may be mistyped, or a subscription missing: medispatcher sub ls. Then medispatcher unrouted replay.
`,
		check: checkUnrouted,
	},
	{
		Name: "quarantine", About: theWhole,
		FiresWhen:  "so many entries within the window that cannot be decoded or copied; the text has the newest reason",
		Threshold:  "`MEDIS_ALERT_QUARANTINE`, `MEDIS_ALERT_WINDOW`",
		Prometheus: "MedispatcherQuarantine",
		Title:      "{{.Value}} entr{{if eq .Value 1}}y{{else}}ies{{end}} within {{span .Window}} that cannot be decoded or copied (alert at {{.Threshold}}){{if .LastError}}, the last: {{plain .LastError}}{{end}}",
		Recovered:  "no entry came within {{span .Window}} that cannot be decoded or copied; {{.Messages}} are kept",
		More: `Kept:        {{.Messages}}, until they are replayed or purged, or newer ones push them out
Look at it:  medispatcher quarantine ls --newest
`,
		check: checkQuarantine,
	},
	{
		Name: "memory", About: theWhole,
		FiresWhen: "Redis uses this share of its `maxmemory`; without one the rule is off. Of a cluster, the fullest master",
		Threshold: "`MEDIS_ALERT_MEMORY`",
		Title:     "Redis uses {{.Value}} % of its memory (alert at {{.Threshold}} %): {{bytes .MemoryUsed}} of {{bytes .MemoryLimit}}",
		Recovered: "Redis uses {{.Value}} % of its memory: {{bytes .MemoryUsed}} of {{bytes .MemoryLimit}}",
		More: `At 100 % it takes no messages: raise maxmemory, or deliver or purge what waits.
`,
		check: checkMemory,
	},
	{
		Name: "dispatcher_shortage", About: aDispatcher,
		FiresWhen: "the machine of a dispatcher is short of file descriptors, local ports or memory, so its attempts wait; over a minute after it last was",
		Title:     "the machine of {{plain .Dispatcher}} is short of {{plain .Short}}{{if gt .Value 1}}, and {{.Value}} dispatchers in all are short of something{{end}}: attempts wait, uncounted",
		Recovered: "no dispatcher is short of anything",
		More: `No worker is to blame. The log of that dispatcher says what to raise; medispatcher doctor
compares the limit of open files with the concurrency.
`,
		check: checkShortage,
	},
	{
		Name: ruleLogLost, About: aDispatcher,
		FiresWhen:  "a dispatcher cannot write its log or its DATA log, or lost lines of one; the text says which, why and how many. Cannot be switched off",
		Prometheus: "MedispatcherLogLost",
		Title:      "{{.Dispatcher}} cannot write a log: {{plain .LastError}}; {{.Value}} line{{if ne .Value 1}}s{{end}} lost so far",
		Recovered:  "every dispatcher writes its logs again",
		More: `Deliveries go on. Mend the disk, or what reads the log: no restart is needed. A message of which the line would have been the only copy is a dead letter.
`,
		causes: byDispatchers,
	},
	{
		Name: ruleTest, About: theWhole,
		FiresWhen: "somebody tries the receivers: `medispatcher alert test`",
		Title:     "somebody tries whether alerts arrive here",
	},
}

// Thresholds are those of the rules that are about no subscription; 0 switches a rule off.
type Thresholds struct {
	Incoming       int64         // messages before their fan-out
	IncomingAge    time.Duration // age of the oldest of them
	TotalBacklog   int64         // messages in all channels
	Memory         int64         // percent of the limit of Redis
	DispatcherLost bool
	Unrouted       int64 // messages within Window that no subscription wants
	Quarantine     int64 // entries within Window that cannot be decoded or copied
	Window         time.Duration
	Every          time.Duration // between two notices of one of these rules
}
