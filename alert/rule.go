package alert

import (
	"context"

	"github.com/solate/medispatcher"
)

// Rule is a row of the table Rules. Whatever differs between two rules stands there: the texts, the
// list in docs/ALERTS.md and what the Monitor does follow from it.
type Rule struct {
	// Name is the rule in the API, in the first line of a text and in the label of
	// medispatcher_alerts_firing.
	Name  string
	About About

	// FiresWhen and Threshold are its row in docs/ALERTS.md. Threshold names the fields of a
	// subscription or the variables that set it; empty: nothing does.
	FiresWhen, Threshold string
	// Prometheus is the rule in deploy/prometheus that finds the same, if there is one.
	Prometheus string

	// Title is the first line of an alert behind the colon, Recovered the same once it is over, More
	// the lines below Title. All three are templates.
	Title, Recovered, More string

	// wanted reports whether a subscription whose alerts are enabled wants this rule; nil: each does.
	wanted func(*medispatcher.Subscription) bool
	// check evaluates the rule in a round of the Monitor; nil: Events raise it, and its causes end it.
	check func(ctx context.Context, r *round, rule *Rule) ([]finding, error)
	// causes keep an alert firing that has no value to look at.
	causes causes
}

// About is what one alert of a rule is about. Each subscription has alerts of its own.
type About string

const (
	aSubscription About = "a subscription"
	aDispatcher   About = "a dispatcher"
	theWhole      About = "the whole"
)

// causes are what the ledger counts of an alert: it is over when none is left.
type causes int

const (
	noCauses      causes = iota
	byMessages           // each until it is delivered, dead or purged
	byDispatchers        // each for as long as it says so
)

// ruleNamed is a row of the table. Of a name that only another version of medispatcher knows nothing
// is known but that.
func ruleNamed(name string) *Rule {
	for i := range Rules {
		if Rules[i].Name == name {
			return &Rules[i]
		}
	}
	return &Rule{Name: name}
}

// names are those of all rules.
func names() []string {
	list := make([]string, len(Rules))
	for i := range Rules {
		list[i] = Rules[i].Name
	}
	return list
}

// wantedBy reports whether a subscription wants to hear of the rule.
func (r *Rule) wantedBy(sub *medispatcher.Subscription) bool {
	return sub.Alert.Enabled && (r.wanted == nil || r.wanted(sub))
}

// finding is what a round says of one alert.
type finding struct {
	alert medispatcher.Alert
	level level
}

// level is where a value stands.
type level int

const (
	off   level = iota // nobody wants to know: switched off, paused, removed
	calm               // over, if it stays so
	still              // over only if it did not fire
	fires
)

// calmShare: a rule is over when its value is at most so many percent of the threshold, and stayed
// there for calmFor. Between that and the threshold a value may tremble as it likes.
const calmShare = 80

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
