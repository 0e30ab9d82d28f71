package alert

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/solate/medispatcher"
)

// ownShown is how many subscriptions with receivers of their own are named.
const ownShown = 100

// InForce are the rules with their thresholds, and who gets the notices. defaults are those of a subscription, urls the default
// receivers. subs are asked for what they have of their own.
func InForce(t Thresholds, defaults medispatcher.AlertPolicy, urls []string, subs *medispatcher.Subscriptions) medispatcher.AlertRules {
	out := medispatcher.AlertRules{Receivers: shownReceivers(urls), Own: []medispatcher.AlertReceivers{}, Every: defaults.Every}
	variables, fields := tagged(t, "env"), tagged(defaults, "json")
	var byField [][]string // of each rule, the fields that set its thresholds
	for _, r := range Rules {
		if r.Name == ruleTest {
			continue
		}
		rule := medispatcher.AlertRule{
			Name: r.Name, About: string(r.About), FiresWhen: strings.ReplaceAll(r.FiresWhen, "`", ""), Prometheus: r.Prometheus, Thresholds: []medispatcher.AlertThreshold{},
		}
		var of []string
		rule.Off = r.Threshold != ""
		for _, name := range thresholdNames(r.Threshold) {
			value := variables[name]
			if field, is := strings.CutPrefix(name, "alert."); is {
				value = fields[field]
				of = append(of, field)
			}
			if !strings.HasSuffix(strings.ToLower(name), "window") && !value.IsZero() {
				rule.Off = false
			}
			rule.Thresholds = append(rule.Thresholds, medispatcher.AlertThreshold{Name: name, Value: fmt.Sprint(value.Interface())})
		}
		out.Rules, byField = append(out.Rules, rule), append(byField, of)
	}
	for s := range subs.All() {
		own := tagged(s.Alert, "json")
		for i, of := range byField {
			if slices.ContainsFunc(of, func(field string) bool { return !own[field].Equal(fields[field]) }) {
				out.Rules[i].Differ++
			}
		}
		if !s.Alert.Enabled {
			out.Silent++
		}
		if len(s.Alert.URLs) > 0 {
			out.OwnCount++
			if len(out.Own) < ownShown {
				out.Own = append(out.Own, medispatcher.AlertReceivers{Subscription: s.ID, Receivers: shownReceivers(s.Alert.URLs)})
			}
		}
	}
	return out
}

// shownReceivers are the receivers that URLs name, without their secrets.
func shownReceivers(urls []string) []string {
	shown := []string{}
	for _, r := range receivers(urls) {
		shown = append(shown, r.show())
	}
	return shown
}

var quotedName = regexp.MustCompile("`([^`]+)`")

// thresholdNames are the variables and fields in Rule.Threshold.
func thresholdNames(markdown string) (names []string) {
	for _, m := range quotedName.FindAllStringSubmatch(markdown, -1) {
		names = append(names, m[1])
	}
	return names
}

// tagged are the fields of a struct by the values of a tag.
func tagged(v any, tag string) map[string]reflect.Value {
	of := reflect.ValueOf(v)
	fields := make(map[string]reflect.Value, of.NumField())
	for i := range of.NumField() {
		fields[of.Type().Field(i).Tag.Get(tag)] = of.Field(i)
	}
	return fields
}
