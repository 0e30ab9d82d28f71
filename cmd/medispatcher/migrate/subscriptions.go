package migrate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/solate/medispatcher"
)

// statusNormal is the status of a subscription in use.
const statusNormal = "0"

// document is a subscription as it is written, in the order of its form.
type document struct {
	Topic            string         `json:"topic"`
	URLs             []string       `json:"urls"`
	Concurrency      int64          `json:"concurrency,omitempty"`
	RetryConcurrency int64          `json:"retry_concurrency,omitempty"`
	Interval         string         `json:"interval,omitempty"`
	Timeout          string         `json:"timeout,omitempty"`
	Encoding         string         `json:"encoding"`
	Bench            bool           `json:"receive_bench,omitempty"`
	Drop             *dropDocument  `json:"drop,omitempty"`
	Alert            map[string]any `json:"alert,omitempty"`
}

type dropDocument struct {
	Threshold int64  `json:"threshold"`
	Action    string `json:"action"`
}

// tables makes the subscriptions of the three tables. s may be nil.
func (r *Result) tables(dir string, s *settings, rules *medispatcher.Rules) error {
	subs, err := readTable(dir, "subscriptions", "subscription_id", "message_class_id", "reception_channel", "status")
	if err != nil {
		return err
	}
	classTable, err := readTable(dir, "message_classes", "class_id", "class_key")
	if err != nil {
		return err
	}
	paramTable, err := readTable(dir, "subscription_params", "subscription_id", "param_name", "param_value")
	if err != nil {
		return err
	}
	for _, t := range []*table{subs, classTable} {
		if len(t.rows) == 0 {
			return fmt.Errorf("%s has no row: check whether its dump failed", t.file)
		}
	}
	if len(paramTable.rows) == 0 {
		r.note(paramTable.file, 1, "has no row, so every subscription gets the defaults: check whether its dump failed")
	}
	classes, params := classTable.byColumn("class_id"), paramTable.byColumn("subscription_id")
	seen := map[string]int{}
	for _, sub := range subs.rows {
		id := sub.values["subscription_id"]
		if first, twice := seen[id]; twice {
			r.lost(subs.file, sub.line, "subscription %s: stands in line %d already; this row is left out", id, first)
			continue
		}
		seen[id] = sub.line
		switch status := sub.values["status"]; status {
		case statusNormal:
		case "":
			r.note(subs.file, sub.line, "subscription %s: is left out: it has no status (NULL or empty), so medispatcher 2 did not serve it either", id)
			continue
		default:
			r.note(subs.file, sub.line, "subscription %s: is left out: its status is %s, which means cancelled", id, status)
			continue
		}
		class := classes[sub.values["message_class_id"]]
		if len(class) == 0 {
			r.note(subs.file, sub.line, "subscription %s: is left out: message_classes has no class_id %s, so medispatcher 2 did not serve it either", id, sub.values["message_class_id"])
			continue
		}
		d := document{Topic: class[0].values["class_key"], Encoding: medispatcher.EncodingForm}
		if err := medispatcher.CheckTopic(d.Topic); err != nil {
			r.lost(classTable.file, class[0].line, "subscription %s: is left out: its topic %v; give it another name, in producers too, and add it with sub put", id, err)
			continue
		}
		d.URLs = lines(sub.values["reception_channel"])
		c := change{r: r, doc: &d, id: id, file: paramTable.file, settings: s}
		for _, p := range params[id] {
			if p.values["param_name"] == "Concurrency" { // the interval depends on it
				c.param(p)
			}
		}
		for _, p := range params[id] {
			if p.values["param_name"] != "Concurrency" {
				c.param(p)
			}
		}
		if ms := s.number("IntervalOfSendingForSendRoutine", 0); ms > 0 && d.Interval == "" && d.Concurrency > 0 {
			d.Interval = each(ms, d.Concurrency) // MEDIS_INTERVAL is for the default number of senders
		}
		r.add(subs.file, sub.line, id, d, rules)
	}
	for _, p := range paramTable.rows {
		if id := p.values["subscription_id"]; seen[id] == 0 {
			r.note(paramTable.file, p.line, "%s: is left out: there is no subscription %s", p.values["param_name"], id)
		}
	}
	slices.SortStableFunc(r.Subscriptions, func(a, b Subscription) int { return strings.Compare(a.ID, b.ID) })
	return nil
}

// add adds a subscription that the rules take.
func (r *Result) add(file string, line int, id string, d document, rules *medispatcher.Rules) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(d)
	if err == nil {
		_, _, err = rules.Replace(id, nil, text.Bytes(), time.Now())
	}
	if err != nil {
		r.lost(file, line, "subscription %s: is left out: %s", id, medispatcher.OneLine(err))
		return
	}
	r.Subscriptions = append(r.Subscriptions, Subscription{id, text.Bytes()})
}

// lines are the worker URLs in a text, one a line. Empty lines do not count.
func lines(text string) []string {
	urls := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(urls, line) {
			urls = append(urls, line)
		}
	}
	return urls
}

// change applies the parameters of a subscription.
type change struct {
	r        *Result
	doc      *document
	id, file string
	settings *settings
}

// param applies one. As in medispatcher 2, 0 means the default.
func (c *change) param(p row) {
	name, value := p.values["param_name"], strings.TrimSpace(p.values["param_value"])
	switch name {
	case "ReceptionUri":
		if urls := lines(value); len(urls) > 0 {
			c.doc.URLs = urls
		}
	case "AlerterEnabled":
		c.alert("enabled", isTrue(value))
	case "ReceiveBenchMsgs":
		c.doc.Bench = isTrue(value)
	case "AlerterEmails", "AlerterPhoneNumbers", "AlerterReceiver":
		if value != "" {
			c.note(p, "%s = %q: is left out: write the receivers into alert.urls of the subscription, or MEDIS_ALERT_URLS; see ALERTS.md", name, value)
		}
	default:
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case !isNumeric(name):
			c.note(p, "%s = %q: is left out: medispatcher 2 has no such parameter either", name, value)
		case err != nil || n < 0:
			c.note(p, "%s = %q: is left out: it is not a whole number", name, value)
		case n > 0:
			c.number(p, name, n)
		}
	}
}

func isNumeric(name string) bool {
	return slices.Contains([]string{
		"Concurrency", "ConcurrencyOfRetry", "IntervalOfSending", "ProcessTimeout", "DropMessageThreshold", "AlarmInterval",
		"IntervalOfErrorMonitorAlert", "MessageFailureAlertThreshold", "SubscriptionTotalFailureAlertThreshold", "MessageBlockedAlertThreshold",
	}, name)
}

func (c *change) number(p row, name string, n int64) {
	switch name {
	case "Concurrency":
		c.doc.Concurrency = c.atMost(p, n, "MaxSendersPerChannel", oldMaxSenders)
	case "ConcurrencyOfRetry":
		c.doc.RetryConcurrency = c.atMost(p, n, "MaxSendersPerRetryChannel", oldMaxSenders)
	case "ProcessTimeout":
		c.doc.Timeout = (time.Duration(c.atMost(p, n, "MaxMessageProcessTime", oldMaxTimeout)) * time.Millisecond).String()
	case "IntervalOfSending":
		senders := c.settings.number("SendersPerChannel", oldSenders)
		if c.doc.Concurrency > 0 {
			senders = c.doc.Concurrency
		}
		c.doc.Interval = each(n, senders)
	case "DropMessageThreshold":
		c.doc.Drop = &dropDocument{n, medispatcher.DropLog}
	case "AlarmInterval":
		c.alert("every", seconds(n))
	case "IntervalOfErrorMonitorAlert":
		c.alert("window", seconds(n))
	case "MessageFailureAlertThreshold":
		c.alert("message_failures", n)
	case "SubscriptionTotalFailureAlertThreshold":
		c.alert("failures", n)
	case "MessageBlockedAlertThreshold":
		c.alert("backlog", n)
	}
}

// atMost is what the old version made of a value over its maximum.
func (c *change) atMost(p row, n int64, key string, otherwise int64) int64 {
	if most := c.settings.number(key, otherwise); n > most {
		c.note(p, "%s = %d: becomes %d, which %s held it at", p.values["param_name"], n, most, key)
		return most
	}
	return n
}

func (c *change) alert(field string, value any) {
	if c.doc.Alert == nil {
		c.doc.Alert = map[string]any{}
	}
	c.doc.Alert[field] = value
}

func (c *change) note(p row, format string, args ...any) {
	c.r.note(c.file, p.line, "subscription %s: "+format, append([]any{c.id}, args...)...)
}

func seconds(n int64) string { return fmt.Sprintf("%ds", n) }
