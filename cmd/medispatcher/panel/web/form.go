package web

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/solate/medispatcher"
)

// Kinds of fields: how one is shown and how its text becomes JSON.
const (
	kindText    = "text"
	kindSecret  = "secret"
	kindNumber  = "number"
	kindLines   = "lines"   // a list of strings, one a line
	kindHeaders = "headers" // an object of strings, Name: value a line
	kindCheck   = "check"
	kindChoice  = "choice"
)

// field is a parameter of a subscription in the form. A value that is the default is shown as
// the placeholder of an empty field: what is left empty follows the default, also when the
// operator changes it.
type field struct {
	Name, Label, Kind, Help string
	Value, Default          string
	Min, Max                string // of a number
	Choices                 []string
	Required                bool
}

// ID is the id of the element.
func (f field) ID() string { return "f-" + strings.ReplaceAll(f.Name, ".", "-") }

type fieldGroup struct {
	Title  string
	Open   bool
	Fields []field
}

// fields are the parameters of a subscription as a form.
func (p *pages) fields(s *medispatcher.Subscription) []fieldGroup {
	d, rules := &p.cfg.Rules.Defaults, &p.cfg.Rules
	text := func(name, label, value, def, help string) field {
		f := field{Name: name, Label: label, Kind: kindText, Help: help, Value: value, Default: def}
		if value == def {
			f.Value = ""
		}
		return f
	}
	num := func(name, label string, value, def, low, high int, help string) field {
		f := text(name, label, strconv.Itoa(value), strconv.Itoa(def), help)
		f.Kind, f.Min = kindNumber, strconv.Itoa(low)
		if high > 0 {
			f.Max = strconv.Itoa(high)
		}
		return f
	}
	dur := func(name, label string, value, def medispatcher.Duration, help string) field {
		return text(name, label, value.String(), def.String(), help)
	}
	check := func(name, label string, value, def bool, help string) field {
		return field{Name: name, Label: label, Kind: kindCheck, Help: help, Value: strconv.FormatBool(value), Default: strconv.FormatBool(def)}
	}
	choice := func(name, label, value, def, help string, choices ...string) field {
		return field{Name: name, Label: label, Kind: kindChoice, Help: help, Value: value, Default: def, Choices: choices}
	}
	topic := text("topic", "Topic or pattern", s.Topic, "", "* stands for one level, a last > for one or more: order.*, order.>")
	topic.Required = true
	urls := field{Name: "urls", Label: "Worker URLs", Kind: kindLines, Required: true, Value: strings.Join(s.URLs, "\n"),
		Help: "One a line; they share the load. [T_ENV:PUB]http://… is used only by dispatchers whose MEDIS_ENV is PUB. A masked password keeps what it stands for."}
	secret := field{Name: "secret", Label: "Signing secret", Kind: kindSecret, Value: s.Secret,
		Help: "whsec_ and 24 to 64 bytes in base64. Empty: not signed. A new one signs beside the old one for " + words(rules.SecretOverlap) + "."}
	headers := field{Name: "headers", Label: "Headers", Kind: kindHeaders, Value: headerLines(s.Headers), Help: "Name: value, one a line. Added to every push. A credential is shown as ********, which keeps it."}
	receivers := field{Name: "alert.urls", Label: "Receivers", Kind: kindLines, Value: strings.Join(s.Alert.URLs, "\n"), Help: "Notification URLs, one a line. None: those of MEDIS_ALERT_URLS."}
	return []fieldGroup{
		{"Where to", true, []field{topic, urls}},
		{"How fast", true, []field{
			num("concurrency", "Concurrency", s.Concurrency, d.Concurrency, 1, rules.Max.Concurrency, "Pushes in flight at once, in each dispatcher."),
			num("retry_concurrency", "Retry concurrency", s.RetryConcurrency, d.RetryConcurrency, 1, rules.Max.RetryConcurrency, "The same for repeated attempts, beside it."),
			dur("interval", "Interval", s.Interval, d.Interval, "Least time between the starts of two pushes: 5ms."),
			dur("timeout", "Timeout", s.Timeout, d.Timeout, fmt.Sprintf("Of one attempt, at most %s.", rules.Max.Timeout)),
			check("paused", "Paused", s.Paused, d.Paused, "Nothing is pushed; messages wait."),
		}},
		{"When it fails", true, []field{
			num("max_retries", "Retries", s.MaxRetries, d.MaxRetries, 0, 0, "n retries are n + 1 attempts; then the message is a dead letter."),
			dur("retry_coefficient", "Retry coefficient", s.RetryCoefficient, d.RetryCoefficient, "The wait before attempt n + 1 is n² times this."),
			num("drop.threshold", "Drop after", s.Drop.Threshold, d.Drop.Threshold, 0, 0, "Failed attempts after which the message is settled as below; 0 leaves it to the retries."),
			choice("drop.action", "What becomes of it", s.Drop.Action, d.Drop.Action, "keep: a dead letter. log: to the DATA log, removed. drop: counted, removed.",
				medispatcher.DropKeep, medispatcher.DropLog, medispatcher.DropNow),
		}},
		{"What is sent", false, []field{
			choice("encoding", "Encoding", s.Encoding, d.Encoding, "json: the body unchanged. form: the protocol of earlier versions.", medispatcher.EncodingJSON, medispatcher.EncodingForm),
			secret, headers,
			check("receive_bench", "Receives load tests", s.ReceiveBench, d.ReceiveBench, "The topics of medispatcher bench, which reach a pattern such as > only so."),
		}},
		{"Alerts", false, []field{
			check("alert.enabled", "Alerts on", s.Alert.Enabled, d.Alert.Enabled, ""),
			receivers,
			num("alert.failures", "Failures", s.Alert.Failures, d.Alert.Failures, 0, 0, "Failed attempts within the window; 0 switches the rule off."),
			dur("alert.window", "Window", s.Alert.Window, d.Alert.Window, ""),
			num("alert.message_failures", "Failures of one message", s.Alert.MessageFailures, d.Alert.MessageFailures, 0, 0, "0 switches the rule off."),
			num("alert.backlog", "Backlog", s.Alert.Backlog, d.Alert.Backlog, 0, 0, "Messages READY or retrying; 0 switches the rule off."),
			dur("alert.every", "At most one in", s.Alert.Every, d.Alert.Every, ""),
		}},
	}
}

func headerLines(headers map[string]string) string {
	lines := make([]string, 0, len(headers))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		lines = append(lines, name+": "+headers[name])
	}
	return strings.Join(lines, "\n")
}
