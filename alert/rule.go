package alert

import (
	"context"

	"github.com/solate/medispatcher"
)

// Rule is a row of the table Rules. It holds whatever differs between two rules: the texts, the table in
// docs/ALERTS.md and the work of the Monitor follow from it.
type Rule struct {
	// Name is the rule in the API, in the first line of a text and in the label of
	// medispatcher_alerts_firing.
	Name  string
	About About

	// FiresWhen and Threshold are Markdown for docs/ALERTS.md. Threshold names the subscription's fields or
	// the variables that set the threshold; empty: it is fixed.
	FiresWhen, Threshold string
	// Prometheus names the rule in deploy/prometheus that finds the same, if there is one.
	Prometheus string

	// Title follows the colon in the first line of an alert, Recovered does so once the alert is over.
	// More is the text below Title. All three are templates.
	Title, Recovered, More string

	// wanted reports whether a subscription with enabled alerts wants this rule; nil: all of them do.
	wanted func(*medispatcher.Subscription) bool
	// check evaluates the rule in a round of the Monitor; nil: Events raises the alert, and it is over
	// when it has no cause left.
	check func(ctx context.Context, r *round, rule *Rule) ([]finding, error)
	// causes keep an alert firing that has no value to compare.
	causes causes
}

// About says what an alert of the rule is about. Each subscription has alerts of its own.
type About string

const (
	aSubscription About = "a subscription"
	aDispatcher   About = "a dispatcher"
	theWhole      About = "the whole"
)

// causes says what the store counts for an alert, which is over when the count is 0.
type causes int

const (
	noCauses      causes = iota
	byMessages           // each counts until it is delivered, dead or purged
	byDispatchers        // each counts as long as it repeats that it is a cause
)

// ruleNamed finds a row. A dispatcher of another version may have raised an alert of a rule that this one
// does not have: then the row holds the name alone.
func ruleNamed(name string) *Rule {
	for i := range Rules {
		if Rules[i].Name == name {
			return &Rules[i]
		}
	}
	return &Rule{Name: name}
}

// names lists the names of all rules.
func names() []string {
	list := make([]string, len(Rules))
	for i := range Rules {
		list[i] = Rules[i].Name
	}
	return list
}

// wantedBy reports whether a subscription, nil for one that is gone, wants alerts of the rule.
func (r *Rule) wantedBy(sub *medispatcher.Subscription) bool {
	if sub == nil {
		return false
	}
	return sub.Alert.Enabled && (r.wanted == nil || r.wanted(sub))
}

// finding is the result of a round for one alert.
type finding struct {
	alert medispatcher.Alert
	level level
}

// level is where a value stands.
type level int

const (
	off   level = iota // switched off, paused or removed: an alert ends without a notice
	calm               // an alert is over if the value stays here
	still              // an alert that fires goes on; one that does not fire stays so
	fires
)

// calmShare is the percentage of the threshold at or below which a value is calm. A value that moves
// between it and the threshold neither raises an alert nor ends one.
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
