package alert

import (
	"time"

	"github.com/solate/medispatcher"
)

const (
	// calmShare: a rule is over when its value is at most so many percent of the threshold…
	calmShare = 80
	// calmFor: …and stayed there so long. Between the two a value may tremble as it likes.
	calmFor = 10 * time.Second
	// lossRemembered: so long after a dispatcher was lost, fewer of them are the new normal.
	lossRemembered = 15 * time.Minute
)

// Thresholds of the rules that belong to no subscription; 0 switches a rule off.
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

// finding is what a round says of one alert.
type finding struct {
	alert medispatcher.Alert
	every time.Duration
	level level
}

// level is where a value stands.
type level int

const (
	off   level = iota // nobody wants to know: switched off, paused, removed
	calm               // it is over, if it stays so
	still              // over only if it did not fire
	fires
)

// levelOf compares a value with a threshold.
func levelOf(value, threshold int64) level {
	switch {
	case threshold <= 0:
		return off
	case value >= threshold:
		return fires
	case value*100 > threshold*calmShare:
		return still
	}
	return calm
}

// backlogOf is the number that the rule of a channel's backlog compares.
func backlogOf(c *medispatcher.ChannelStatus) int64 { return max(c.Ready, c.Retrying) }

// wants reports whether a subscription wants to hear of a rule at all.
func wants(sub *medispatcher.Subscription, rule string) bool {
	if !sub.Alert.Enabled {
		return false
	}
	switch rule {
	case medispatcher.RuleFailures:
		return sub.Alert.Failures > 0
	case medispatcher.RuleMessageFailures:
		return sub.Alert.MessageFailures > 0
	case medispatcher.RuleBacklog:
		return sub.Alert.Backlog > 0 && !sub.Paused
	}
	return true
}

// drain is how long n messages take at the rate of the last minute; 0: for ever.
func drain(n, sentPerMinute int64, growing bool) medispatcher.Duration {
	if sentPerMinute <= 0 || growing {
		return 0
	}
	return medispatcher.Duration(max(time.Second, (time.Duration(n) * time.Minute / time.Duration(sentPerMinute)).Round(time.Second)))
}
