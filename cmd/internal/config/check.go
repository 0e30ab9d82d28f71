package config

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/solate/medispatcher/cmd/internal/access"
	"github.com/solate/medispatcher/push/http1"
	"github.com/solate/medispatcher/streams"
)

// basePath is a path of plain segments, which is the same escaped.
var basePath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// envName is what a [T_ENV:…] tag can hold.
var envName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// Needs says what a command uses, and so which problems stop it. The address of the panel does not matter to a
// command that publishes.
type Needs int

// What a command may need beside values that are right in themselves.
const (
	NeedsRedis  Needs = 1 << iota // MEDIS_REDIS_URL and MEDIS_RECOVER_REDIS_URL
	NeedsListen                   // MEDIS_LISTEN, MEDIS_DEV_REDIS_LISTEN and the token
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Seen string // what is wrong: NAME=value, secrets masked
	Do   string // why, or what would be right; may be empty
}

func (p Problem) Error() string {
	if p.Do == "" {
		return p.Seen
	}
	return p.Seen + ": " + p.Do
}

// Problems are all problems of a configuration. The text has a line for each.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

type checker struct {
	cfg      *Config
	settings *Settings
	bad      map[string]bool // these are reported already, and conflict with nothing
	problems Problems
}

// values checks each variable for itself.
func (c *checker) values() {
	fields := reflect.ValueOf(c.cfg).Elem()
	for _, v := range variables() {
		if c.bad[v.name] || !v.within(fields.FieldByIndex(v.index).Interface()) {
			c.report(v, "give "+v.want())
		}
	}
	c.cfg.LogLevel, c.cfg.LogFormat = strings.ToLower(c.cfg.LogLevel), strings.ToLower(c.cfg.LogFormat)
	c.test("MEDIS_KEY_PREFIX", streams.CheckPrefix(c.cfg.KeyPrefix))
	if c.cfg.Env != "" && !envName.MatchString(c.cfg.Env) {
		c.test("MEDIS_ENV", fmt.Errorf("give at most 64 of A-Z a-z 0-9 . _ -"))
	}
	if c.cfg.BasePath != "" && !basePath.MatchString(c.cfg.BasePath) {
		c.test("MEDIS_BASE_PATH", fmt.Errorf("give a path that begins with a slash and does not end with one, such as /medis"))
	}
	c.alerts()
	c.prefixes("MEDIS_DENY_CIDRS", &c.cfg.DenyCIDRs)
	c.prefixes("MEDIS_TRUSTED_PROXIES", &c.cfg.TrustedProxies)
}

// prefixes checks a list of addresses and prefixes.
func (c *checker) prefixes(name string, list *[]string) {
	_, err := http1.ParsePrefixes(trimmed(*list))
	for _, err := range unjoin(err) {
		c.test(name, err)
		*list, c.settings.unparsed[name] = nil, true // as with other values that do not parse
	}
}

// conflicts checks variables against each other.
func (c *checker) conflicts(n Needs) {
	cfg := c.cfg
	for _, pair := range []struct {
		def, limit string
		above      bool
	}{
		{"MEDIS_CONCURRENCY", "MEDIS_MAX_CONCURRENCY", cfg.Concurrency > cfg.MaxConcurrency},
		{"MEDIS_RETRY_CONCURRENCY", "MEDIS_MAX_RETRY_CONCURRENCY", cfg.RetryConcurrency > cfg.MaxRetryConcurrency},
		{"MEDIS_TIMEOUT", "MEDIS_MAX_TIMEOUT", cfg.Timeout > cfg.MaxTimeout},
	} {
		if pair.above {
			c.conflict(pair.def, pair.limit, "is above", "lower the first or raise the second")
		}
	}
	if cfg.DeadAfter < 3*cfg.Heartbeat {
		c.conflict("MEDIS_DEAD_AFTER", "MEDIS_HEARTBEAT", "is less than three times",
			fmt.Sprintf("one lost heartbeat would look like a crash; give the first at least %s", 3*cfg.Heartbeat))
	}
	if n&NeedsListen == 0 {
		return
	}
	loopback, err := CheckListen(cfg.Listen)
	c.test("MEDIS_LISTEN", err)
	_, err = CheckListen(cfg.DevRedisListen)
	c.test("MEDIS_DEV_REDIS_LISTEN", err)
	c.tokens(loopback)
}

// redis checks the URLs of Redis.
func (c *checker) redis(n Needs) {
	if n&NeedsRedis == 0 {
		return
	}
	c.test("MEDIS_REDIS_URL", streams.CheckURL(c.cfg.RedisURL))
	if c.cfg.RecoverRedisURL != "" {
		c.test("MEDIS_RECOVER_REDIS_URL", streams.CheckURL(c.cfg.RecoverRedisURL))
	}
}

// tokens checks who may use the API. loopback is whether nobody else can reach it.
func (c *checker) tokens(loopback bool) {
	cfg := c.cfg
	if cfg.AdminToken == "" && cfg.Tokens == "" && !loopback && !c.bad["MEDIS_LISTEN"] {
		c.report(c.find("MEDIS_LISTEN"), "it can be reached from other machines: set MEDIS_ADMIN_TOKEN ("+access.MakeOne+"), or listen on 127.0.0.1")
	}
	if cfg.AdminToken != "" {
		c.test("MEDIS_ADMIN_TOKEN", access.Check(cfg.AdminToken))
	}
	list, problems := access.Parse(cfg.Tokens)
	if len(problems) == 0 {
		problems = access.Duplicates(cfg.AccessTokens())
	}
	if cfg.Tokens != "" && len(list)+len(problems) == 0 {
		problems = []error{fmt.Errorf("has no entry; give name:role:token")}
	}
	for _, problem := range problems {
		c.test("MEDIS_TOKENS", problem)
	}
}

// test reports what is wrong with a variable, if anything.
func (c *checker) test(name string, err error) {
	if err != nil {
		c.report(c.find(name), err.Error())
	}
}

func (c *checker) conflict(a, b, relation, advice string) {
	if !c.bad[a] && !c.bad[b] {
		c.problems = append(c.problems, Problem{fmt.Sprintf("%s %s %s", c.assigned(c.find(a)), relation, c.assigned(c.find(b))), advice})
	}
}

func (c *checker) report(v variable, problem string) {
	where := ""
	if c.settings.Source(v.name) == FromFile {
		where = " (in " + c.settings.file + ")"
	}
	c.problems = append(c.problems, Problem{c.assigned(v) + where, problem})
	c.bad[v.name] = true
}

// assigned is NAME=value, the value as it was written.
func (c *checker) assigned(v variable) string {
	value, ok := c.settings.values[v.name]
	if !ok {
		value = v.def
	}
	shown := v.show(value)
	if shown == "" || strings.ContainsFunc(shown, func(r rune) bool { return r == ' ' || !strconv.IsPrint(r) }) {
		shown = strconv.Quote(shown)
	}
	return v.name + "=" + shown
}

func (c *checker) find(name string) variable {
	for _, v := range variables() {
		if v.name == name {
			return v
		}
	}
	panic("no variable " + name)
}

// CheckListen says what is wrong with an address to listen on, and whether only this machine
// can reach it. A name counts as reachable by others, except "localhost".
func CheckListen(addr string) (loopback bool, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return false, fmt.Errorf("give host:port, such as 127.0.0.1:5601, [::1]:5601, or :5601 for all addresses")
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback(), nil
	}
	return strings.EqualFold(host, "localhost"), nil
}

// unjoin takes joined errors apart.
func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
