package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

const token = "3f9c0e5b7a1d4826"

func load(t *testing.T, n Needs, file string, env ...string) (Config, error) {
	t.Helper()
	cfg, _, err := Load(env, file, n)
	return cfg, err
}

func TestDefaults(t *testing.T) {
	cfg, err := load(t, NeedsRedis|NeedsListen, "")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.RedisURL != "redis://127.0.0.1:6379/0" || cfg.KeyPrefix != "medis" || cfg.MaxBody != 1<<20 || cfg.RetryCoefficient != 10*time.Second {
		t.Errorf("%+v", cfg)
	}
	r := cfg.Rules()
	if !reflect.DeepEqual(r.Defaults, medispatcher.DefaultSubscription()) || time.Duration(r.Max.Timeout) != 30*time.Second {
		t.Errorf("%+v", r)
	}
	if !r.Denied(netip.MustParseAddr("169.254.169.254")) || r.Denied(netip.MustParseAddr("10.0.0.1")) {
		t.Error("metadata addresses, and only those, are denied")
	}
}

// TestDefaultsOfSubscriptions: the variables that a field of a subscription names are its default and
// its maximum, and the field may be all that they may be.
func TestDefaultsOfSubscriptions(t *testing.T) {
	shown := func(v any) string {
		if d, ok := v.(medispatcher.Duration); ok {
			return medispatcher.ShortDuration(time.Duration(d))
		}
		return fmt.Sprint(v)
	}
	for _, f := range medispatcher.Fields() {
		if f.Env == "" {
			continue
		}
		i := slices.IndexFunc(variables(), func(v variable) bool { return v.name == f.Env })
		if i < 0 {
			t.Errorf("%s: there is no variable %s", f.Name, f.Env)
			continue
		}
		values := []string{variables()[i].min, variables()[i].max}
		if f.Kind == medispatcher.KindBool {
			values = []string{"false", "true"}
		}
		for _, value := range values {
			env := []string{f.Env + "=" + value}
			if f.MaxEnv != "" {
				env = append(env, f.MaxEnv+"="+value)
			}
			cfg, err := load(t, 0, "", env...)
			if err != nil {
				t.Errorf("%s: %v", env, err)
				continue
			}
			r := cfg.Rules()
			_, sub, err := r.Replace("x", nil, []byte(`{"topic":"a","urls":["http://h/"]}`), time.Now())
			if err != nil || shown(f.Value(&sub)) != value || f.MaxEnv != "" && shown(f.Value(&r.Max)) != value {
				t.Errorf("%s: %s is %v, at most %v: %v", env, f.Name, f.Value(&sub), f.Value(&r.Max), err)
			}
		}
	}
}

// Every wrong value of every variable, and every conflict.
func TestWrongVariables(t *testing.T) {
	for _, c := range []struct {
		env  string // space between variables
		want []string
	}{
		{"MEDIS_REDIS_URL=http://x", []string{"MEDIS_REDIS_URL=http://x: has the scheme http"}},
		{"MEDIS_REDIS_URL=redis://u:hush@h:1/x", []string{"MEDIS_REDIS_URL=redis://u:********@h:1/x: cannot be used: invalid database number"}},
		{"MEDIS_REDIS_URL=redis://h1:1,h2:2/3", []string{"a Redis Cluster has only database 0"}},
		{"MEDIS_REDIS_URL=redis://h?master_name=m&cluster=true", []string{"choose one"}},
		{"MEDIS_KEY_PREFIX=a{b", []string{"MEDIS_KEY_PREFIX=a{b: "}},
		{"MEDIS_PARTITIONS=0", []string{"MEDIS_PARTITIONS=0: give a whole number from 1 to 1024"}},
		{"MEDIS_PARTITIONS=1025", []string{"from 1 to 1024"}},
		{"MEDIS_PARTITIONS=99999999999999999999", []string{"from 1 to 1024"}},
		{"MEDIS_LISTEN=nonsense", []string{"MEDIS_LISTEN=nonsense: give host:port, such as 127.0.0.1:5601"}},
		{"MEDIS_LISTEN=127.0.0.1:99999", []string{"give host:port"}},
		{"MEDIS_LISTEN=:5601", []string{"MEDIS_LISTEN=:5601: it can be reached from other machines: set MEDIS_ADMIN_TOKEN"}},
		{"MEDIS_LISTEN=0.0.0.0:5601", []string{"set MEDIS_ADMIN_TOKEN"}},
		{"MEDIS_LISTEN=[::]:5601", []string{"set MEDIS_ADMIN_TOKEN"}},
		{"MEDIS_LISTEN=example.com:5601", []string{"set MEDIS_ADMIN_TOKEN"}},
		{"MEDIS_LISTEN=[::1]:5601", nil},
		{"MEDIS_LISTEN=localhost:0", nil},
		{"MEDIS_LISTEN=0.0.0.0:5601 MEDIS_ADMIN_TOKEN=" + token, nil},
		{"MEDIS_ADMIN_TOKEN=hush", []string{"MEDIS_ADMIN_TOKEN=********: has 4 characters; give 16 or more"}},
		{"MEDIS_ADMIN_TOKEN=0123456789abcdeü", []string{"MEDIS_ADMIN_TOKEN=********: has a space"}},
		{"MEDIS_ADMIN_TOKEN=changeme-changeme", []string{"MEDIS_ADMIN_TOKEN=********: can be guessed; make one at random: openssl rand -hex 32"}},
		{"MEDIS_LISTEN=0.0.0.0:5601 MEDIS_TOKENS=ann:reader:" + token, nil},
		{"MEDIS_TOKENS=hush,ann:chief:" + token + ",bob:admin:hush", []string{"MEDIS_TOKENS=********: entry 1 is not name:role:token", "entry 2 (ann) has no known role", "entry 3 (bob) has 4 characters"}},
		{"MEDIS_TOKENS=admin:admin:0" + token + " MEDIS_ADMIN_TOKEN=" + token, []string{"MEDIS_TOKENS=admin:admin:********: has two tokens with the name admin"}},
		{"MEDIS_TOKENS=ann:reader:" + token + " MEDIS_ADMIN_TOKEN=" + token, []string{"MEDIS_TOKENS=ann:reader:********: has one token for admin and ann"}},
		{"MEDIS_TOKENS=,", []string{"MEDIS_TOKENS=********: has no entry; give name:role:token"}},
		{"MEDIS_LOG_LEVEL=loud", []string{"MEDIS_LOG_LEVEL=loud: give one of debug, info, warn, error"}},
		{"MEDIS_LOG_LEVEL=WARN", nil},
		{"MEDIS_LOG_FORMAT=xml", []string{"give one of auto, tint, text, json"}},
		{"MEDIS_SENT_LOG=maybe", []string{"MEDIS_SENT_LOG=maybe: give true or false"}},
		{"MEDIS_ENV=a/b", []string{"MEDIS_ENV=a/b: give at most 64 of"}},
		{"MEDIS_FANOUT_WORKERS=65", []string{"from 1 to 64"}},
		{"MEDIS_CONCURRENCY=0", []string{"MEDIS_CONCURRENCY=0: give a whole number"}},
		{"MEDIS_CONCURRENCY=abc MEDIS_MAX_CONCURRENCY=4", []string{"MEDIS_CONCURRENCY=abc: give a whole number"}},
		{"MEDIS_CONCURRENCY=20 MEDIS_MAX_CONCURRENCY=10", []string{"MEDIS_CONCURRENCY=20 is above MEDIS_MAX_CONCURRENCY=10: lower the first or raise the second"}},
		{"MEDIS_MAX_CONCURRENCY=4", []string{"MEDIS_CONCURRENCY=8 is above MEDIS_MAX_CONCURRENCY=4"}},
		{"MEDIS_RETRY_CONCURRENCY=61", []string{"MEDIS_RETRY_CONCURRENCY=61 is above MEDIS_MAX_RETRY_CONCURRENCY=60"}},
		{"MEDIS_RETRY_CONCURRENCY=-1", []string{"MEDIS_RETRY_CONCURRENCY=-1: give"}},
		{"MEDIS_MAX_RETRY_CONCURRENCY=x", []string{"MEDIS_MAX_RETRY_CONCURRENCY=x: give"}},
		{"MEDIS_INTERVAL=-1s", []string{"MEDIS_INTERVAL=-1s: give a duration from 0s to 1h"}},
		{"MEDIS_TIMEOUT=5", []string{"MEDIS_TIMEOUT=5: give a duration from 1ms to 1h, such as 500ms or 1m30s"}},
		{"MEDIS_TIMEOUT=31s", []string{"MEDIS_TIMEOUT=31s is above MEDIS_MAX_TIMEOUT=30s"}},
		{"MEDIS_MAX_TIMEOUT=2h", []string{"MEDIS_MAX_TIMEOUT=2h: give"}},
		{"MEDIS_MAX_RETRIES=-1", []string{"MEDIS_MAX_RETRIES=-1: give"}},
		{"MEDIS_RETRY_COEFFICIENT=25h", []string{"MEDIS_RETRY_COEFFICIENT=25h: give"}},
		{"MEDIS_MAX_BODY=0", []string{"MEDIS_MAX_BODY=0: give a size from 1B to 512MiB, such as 1048576, 512KiB or 1MiB"}},
		{"MEDIS_MAX_BODY=-5", []string{"give a size"}},
		{"MEDIS_MAX_BODY=1XB", []string{"give a size"}},
		{"MEDIS_MAX_BODY=1GiB", []string{"give a size"}},
		{"MEDIS_DEAD_MAXLEN=-1", []string{"MEDIS_DEAD_MAXLEN=-1: give"}},
		{"MEDIS_DEDUPE_WINDOW=0s", []string{"MEDIS_DEDUPE_WINDOW=0s: give a duration from 1ms"}},
		{"MEDIS_SECRET_OVERLAP=soon", []string{"MEDIS_SECRET_OVERLAP=soon: give"}},
		{"MEDIS_DEV_REDIS_LISTEN=6380", []string{"MEDIS_DEV_REDIS_LISTEN=6380: give host:port"}},
		{"MEDIS_SHUTDOWN_TIMEOUT=-1s", []string{"MEDIS_SHUTDOWN_TIMEOUT=-1s: give"}},
		{"MEDIS_HEARTBEAT=1ms", []string{"MEDIS_HEARTBEAT=1ms: give"}},
		{"MEDIS_HEARTBEAT=4s", []string{"MEDIS_DEAD_AFTER=10s is less than three times MEDIS_HEARTBEAT=4s: one lost heartbeat would look like a crash; give the first at least 12s"}},
		{"MEDIS_DEAD_AFTER=never", []string{"MEDIS_DEAD_AFTER=never: give"}},
		{"MEDIS_DENY_CIDRS=10.0.0.0/8,,nope,1.2.3.4/99,", []string{`"nope": write an address`, `"1.2.3.4/99": write an address`}},
		{"MEDIS_DENY_CIDRS=10.0.0.0/8,::1", nil},
		{"MEDIS_PARTITIONS=x MEDIS_TIMEOUT=x MEDIS_KEY_PREFIX={ MEDIS_HEARTBEAT=5s", []string{"MEDIS_PARTITIONS", "MEDIS_TIMEOUT", "MEDIS_KEY_PREFIX", "MEDIS_DEAD_AFTER"}},
	} {
		_, err := load(t, NeedsRedis|NeedsListen, "", strings.Fields(c.env)...)
		if err == nil {
			if c.want != nil {
				t.Errorf("%s is let pass", c.env)
			}
			continue
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: a secret is shown: %v", c.env, err)
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(c.want) {
			t.Errorf("%s: %d problems, want %d:\n%v", c.env, len(lines), len(c.want), err)
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s: %q is not in %q", c.env, want, lines[i])
			}
		}
	}
}

// A command asks only for what it uses.
func TestNeeds(t *testing.T) {
	if _, err := load(t, NeedsRedis, "", "MEDIS_LISTEN=0.0.0.0:1"); err != nil {
		t.Errorf("a command that does not listen: %v", err)
	}
	if _, err := load(t, NeedsListen, "", "MEDIS_REDIS_URL=http://x"); err != nil {
		t.Errorf("dev, which has a Redis of its own: %v", err)
	}
}

// Each variable has what the table and the checks need, and a default that is allowed.
func TestTags(t *testing.T) {
	cfg, err := load(t, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variables() {
		if !strings.HasPrefix(v.name, envPrefix) || v.doc == "" {
			t.Errorf("%+v", v)
		}
		if v.kind.Kind() == reflect.Int64 || v.kind.Kind() == reflect.Int {
			if v.min == "" || v.max == "" {
				t.Errorf("%s has no bounds", v.name)
			}
		}
		if v.name == "MEDIS_PARTITIONS" && v.max != strconv.Itoa(MaxPartitions) {
			t.Errorf("MEDIS_PARTITIONS may be %s, MaxPartitions is %d", v.max, MaxPartitions)
		}
		if !v.within(reflect.ValueOf(cfg).FieldByIndex(v.index).Interface()) {
			t.Errorf("the default of %s is not allowed", v.name)
		}
	}
}
