package migrate

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// settings is a medispatcher.toml.
type settings struct {
	file   string
	values map[string]any
	lines  map[string]int // of each key; those in a table by "Table.Key"
}

// The defaults of medispatcher 2 that differ from today's, or that it measured subscriptions by.
const (
	oldSenders    = 1
	oldMaxSenders = 10
	oldMaxTimeout = 30000 // ms
)

var (
	tomlTable = regexp.MustCompile(`^\s*\[([A-Za-z0-9_]+)\]`)
	tomlKey   = regexp.MustCompile(`^\s*([A-Za-z0-9_]+)\s*=`)
)

// readSettings reads a medispatcher.toml.
func readSettings(file string, text []byte) (*settings, error) {
	s := &settings{file: file, lines: map[string]int{}}
	if err := toml.Unmarshal(text, &s.values); err != nil {
		if e, ok := err.(*toml.DecodeError); ok { //nolint:errorlint // it is not wrapped
			row, _ := e.Position()
			return nil, fmt.Errorf("%s:%d: is not TOML: %s", file, row, strings.TrimPrefix(err.Error(), "toml: "))
		}
		return nil, fmt.Errorf("%s: is not TOML: %s", file, strings.TrimPrefix(err.Error(), "toml: "))
	}
	table := ""
	for i, line := range bytes.Split(text, []byte("\n")) {
		if m := tomlTable.FindSubmatch(line); m != nil {
			table = string(m[1]) + "."
			s.lines[string(m[1])] = i + 1
		} else if m := tomlKey.FindSubmatch(line); m != nil {
			s.lines[table+string(m[1])] = i + 1
		}
	}
	return s, nil
}

// number is a whole number, or otherwise what medispatcher 2 took: like it, 0 and a wrong type count as absent.
func (s *settings) number(key string, otherwise int64) int64 {
	if s != nil {
		if n, ok := s.values[key].(int64); ok && n > 0 {
			return n
		}
	}
	return otherwise
}

// carried are the keys of medispatcher 2 that a variable takes over, in the order of the file that is written.
var carried = []struct {
	key, variable string
	value         func(v any) (string, bool) // false: the value has another type
	otherwise     string                     // medispatcher 2's default, where today's differs
	comment       string
}{
	{"ListenAddr", "MEDIS_LISTEN", text, "", ""},
	{"RECEPTION_ENV", "MEDIS_ENV", text, "", ""},
	{"SendersPerChannel", "MEDIS_CONCURRENCY", number, "1", ""},
	{"MaxSendersPerChannel", "MEDIS_MAX_CONCURRENCY", number, "", ""},
	{"SendersPerRetryChannel", "MEDIS_RETRY_CONCURRENCY", number, "1", ""},
	{"MaxSendersPerRetryChannel", "MEDIS_MAX_RETRY_CONCURRENCY", number, "", ""},
	{"DefaultMaxMessageProcessTime", "MEDIS_TIMEOUT", in(time.Millisecond), "", ""},
	{"MaxMessageProcessTime", "MEDIS_MAX_TIMEOUT", in(time.Millisecond), "", ""},
	{"MaxRetryTimesOfSendingMessage", "MEDIS_MAX_RETRIES", number, "", ""},
	{"CoeOfIntervalForRetrySendingMsg", "MEDIS_RETRY_COEFFICIENT", in(time.Second), "", ""},
	{"EnableMsgSentLog", "MEDIS_SENT_LOG", boolean, "", ""},
	{"LOG_DIR", "MEDIS_DATA_LOG", logFile, "", "the DATA log; other lines go to stderr"},
	{"GlobalMessageBlockedAlertThreshold", "MEDIS_ALERT_BACKLOG", number, "", ""},
}

// left are the keys that nothing takes over, with the reason.
var left = map[string]string{
	"Database":                             "there is no MySQL any more; subscriptions are in Redis",
	"QueueServerType":                      noBeanstalkd,
	"QueueServerAddr":                      noBeanstalkd,
	"QueueServerPoolCmdConnCount":          noBeanstalkd,
	"QueueServerPoolListenConnCount":       noBeanstalkd,
	"NameOfMainQueue":                      "producers write to the stream <MEDIS_KEY_PREFIX>:{0}:incoming",
	"PrefixOfChannelQueue":                 "channels are named by MEDIS_KEY_PREFIX and the subscription",
	"MedisPerMaxConsumerQueueNum":          noBeanstalkd,
	"ListenersOfMainQueue":                 "one worker of each partition copies messages in batches; MEDIS_FANOUT_WORKERS adds some, and gives up the order within a topic",
	"MsgQueueFaultToleranceListNamePrefix": "producers park messages in lists <MEDIS_KEY_PREFIX>:recover:NAME, as JSON; drain the old lists with the old version",
	"DAEMON_USER":                          "start it as this user, by systemd or the container",
	"PidFile":                              "there is none; systemd or the container keeps the process",
	"InstallDir":                           "it is not needed",
	"DATA_DIR":                             "nothing is kept on disk but the DATA log",
	"DropMessageLogDir":                    "dropped messages go to the DATA log, MEDIS_DATA_LOG",
	"SplitLog":                             "logrotate may rename the DATA log at any time",
	"DebugAddr":                            "profiles are not served; traces go to OTEL_EXPORTER_OTLP_ENDPOINT",
	"StatisticApiAddr":                     "statistics are at MEDIS_LISTEN: /api/v1/stats and the panel",
	"PrometheusApiAddr":                    "metrics are at MEDIS_LISTEN, /metrics",
	"ClientVer":                            "it is not needed",
	"RunAtBench":                           "a load test has topics of its own; see medispatcher bench",
	"AlerterEmail":                         receivers,
	"AlerterSms":                           receivers,
	"AlarmPlatform":                        receivers,
	"DefaultAlarmReceiver":                 receivers,
	"DefaultAlarmChan":                     receivers,
	"GlobalMessageBlockedAlarmInterval":    "set MEDIS_ALERT_EVERY",
}

const (
	noBeanstalkd = "there is no beanstalkd any more; messages are in Redis"
	receivers    = "write the receivers of alerts into MEDIS_ALERT_URLS, such as smtp://user:password@host:587/?from=…&to=…; see ALERTS.md"
)

// variables makes the environment file.
func (r *Result) variables(s *settings) {
	r.redis(s)
	for _, c := range carried {
		v, given := s.values[c.key]
		line := s.lines[c.key]
		if !given {
			if c.otherwise != "" {
				r.Variables = append(r.Variables, Variable{c.variable, c.otherwise, "the default of medispatcher 2"})
			}
			continue
		}
		value, ok := c.value(v)
		if !ok {
			r.note(s.file, line, "%s = %v: is of another type than medispatcher 2 reads; %s is left at its default", c.key, v, c.variable)
		} else if value != "" {
			r.Variables = append(r.Variables, Variable{c.variable, value, c.comment})
		}
	}
	r.interval(s)
	if host, _ := s.values["ListenAddr"].(string); host != "" && !strings.HasPrefix(host, "127.") && !strings.HasPrefix(host, "localhost:") {
		r.note(s.file, s.lines["ListenAddr"], "ListenAddr = %q: this address is not a loopback, so MEDIS_ADMIN_TOKEN must be set: openssl rand -hex 32; and it is free only once the old version has ended", host)
	}
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		if reason, ok := left[key]; ok {
			r.note(s.file, s.lines[key], "%s: is left out: %s", key, reason)
		} else if !known(key) {
			r.note(s.file, s.lines[key], "%s: is left out: medispatcher 2 has no such setting either", key)
		}
	}
}

func known(key string) bool {
	if key == "Redis" || key == "IntervalOfSendingForSendRoutine" {
		return true
	}
	for _, c := range carried {
		if c.key == key {
			return true
		}
	}
	return false
}

// redis is the old Redis, which held the recover lists alone.
func (r *Result) redis(s *settings) {
	table, _ := s.values["Redis"].(map[string]any)
	addr, _ := table["Addr"].(string)
	if addr == "" {
		r.note(s.file, s.lines["Redis"], "Redis.Addr: is missing; MEDIS_REDIS_URL is left at its default")
		return
	}
	u := url.URL{Scheme: "redis", Host: addr, Path: "/0"}
	if db, ok := table["DbIndex"].(int64); ok {
		u.Path = "/" + strconv.FormatInt(db, 10)
	}
	if password, ok := table["Password"].(string); ok && password != "" {
		u.User = url.UserPassword("", password)
	}
	r.Variables = append(r.Variables, Variable{"MEDIS_REDIS_URL", u.String(), "the old version kept recover lists there; now it holds every message"})
	r.note(s.file, s.lines["Redis.Addr"], "Redis.Addr = %q: this Redis now holds every message: it must be 6.2 or later, with appendonly and maxmemory-policy noeviction; medispatcher doctor checks it", addr)
}

// Origins says which settings the variables in a text come from; "" if it names none.
func (r *Result) Origins(text string) string {
	var from []string
	for _, c := range carried {
		switch {
		case r.settings == nil || !slices.Contains(variableName.FindAllString(text, -1), c.variable):
		case r.settings.lines[c.key] > 0:
			from = append(from, fmt.Sprintf("%s is %s in line %d", c.variable, c.key, r.settings.lines[c.key]))
		default:
			from = append(from, fmt.Sprintf("%s is %s, which is missing there", c.variable, c.key))
		}
	}
	return strings.Join(from, "; ")
}

var variableName = regexp.MustCompile("MEDIS_[A-Z_]+")

// interval: each of N senders paused for so long. Now it is the least time between two pushes of a
// subscription, so N of them fit into the old pause.
func (r *Result) interval(s *settings) {
	if ms := s.number("IntervalOfSendingForSendRoutine", 0); ms > 0 {
		n := s.number("SendersPerChannel", oldSenders)
		r.Variables = append(r.Variables, Variable{"MEDIS_INTERVAL", each(ms, n), fmt.Sprintf("%d ms for each of %d senders", ms, n)})
	}
}

// each is the pause between two pushes when n senders pause for ms each.
func each(ms, n int64) string {
	pause, ok := span(ms, time.Millisecond)
	if !ok {
		return fmt.Sprintf("%dms", ms)
	}
	return (pause / time.Duration(max(n, 1))).String()
}

func text(v any) (string, bool) { s, ok := v.(string); return s, ok }

func number(v any) (string, bool) {
	n, ok := v.(int64)
	if ok && n <= 0 {
		return "", true // its default
	}
	return strconv.FormatInt(n, 10), ok
}

func boolean(v any) (string, bool) { b, ok := v.(bool); return strconv.FormatBool(b), ok }

func in(unit time.Duration) func(v any) (string, bool) {
	return func(v any) (string, bool) {
		n, ok := v.(int64)
		if ok && n <= 0 {
			return "", true
		}
		if d, fits := span(n, unit); fits {
			return d.String(), ok
		}
		return strconv.FormatInt(n, 10) + strings.TrimLeft(unit.String(), "1"), ok // the check of the settings refuses it
	}
}

// span is n units, if a duration can hold that.
func span(n int64, unit time.Duration) (d time.Duration, ok bool) {
	d = time.Duration(n) * unit
	return d, int64(d/unit) == n
}

func logFile(v any) (string, bool) {
	dir, ok := v.(string)
	if dir == "" {
		return "", ok
	}
	return filepath.Join(dir, "data.log"), ok
}
