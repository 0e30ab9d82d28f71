package doctor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/streams/internal/rdb"
)

// TestServerChecks holds answers that no test server can be made to give.
func TestServerChecks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		check string
		s     server
		level Level
		want  string
	}{
		"new":            {"version", server{info: map[string]string{"redis_version": "8.2.1"}}, LevelOK, "Redis 8.2.1"},
		"tested":         {"version", server{info: map[string]string{"redis_version": "7.0.15"}}, LevelOK, "Redis 7.0.15"},
		"untested":       {"version", server{info: map[string]string{"redis_version": "6.2.14"}}, LevelWarning, "is not tested on it"},
		"old":            {"version", server{info: map[string]string{"redis_version": "6.0.16"}}, LevelProblem, "too old"},
		"very old":       {"version", server{info: map[string]string{"redis_version": "5.0.14"}}, LevelProblem, "too old"},
		"fork":           {"version", server{info: map[string]string{"redis_version": "7.2.4", "valkey_version": "8.0.1"}}, LevelOK, "Valkey 8.0.1, which says it is Redis 7.2.4"},
		"no number":      {"version", server{info: map[string]string{"redis_version": "next"}}, LevelUnknown, "could not be checked"},
		"silent":         {"version", server{}, LevelUnknown, "INFO does not say"},
		"refused":        {"role", server{infoErr: errors.New("NOPERM no")}, LevelUnknown, "INFO is refused: NOPERM no"},
		"loading":        {"loading", server{info: map[string]string{"loading": "1"}}, LevelProblem, "LOADING"},
		"replicas":       {"replicas", server{info: map[string]string{"connected_slaves": "2"}}, LevelOK, "2; a failover loses"},
		"few clients":    {"connections", server{info: map[string]string{"connected_clients": "79", "maxclients": "100"}}, LevelOK, "79 of 100"},
		"many clients":   {"connections", server{info: map[string]string{"connected_clients": "80", "maxclients": "100"}}, LevelWarning, "80 of 100"},
		"evicted before": {"eviction", server{info: map[string]string{"maxmemory_policy": "noeviction", "evicted_keys": "3"}}, LevelWarning, "3 keys were evicted"},
		"memory":         {"memory", server{info: map[string]string{"used_memory": "80", "maxmemory": "100"}}, LevelWarning, "80 % of maxmemory"},
		"machine":        {"memory", server{info: map[string]string{"used_memory": "96", "maxmemory": "0", "total_system_memory": "100"}}, LevelProblem, "96 % of the machine's memory"},
		"AOF fails":      {"persistence", server{info: map[string]string{"aof_enabled": "1", "aof_last_write_status": "err"}}, LevelProblem, "MISCONF"},
		"AOF grows":      {"persistence", server{info: map[string]string{"aof_enabled": "1", "aof_last_bgrewrite_status": "err"}}, LevelWarning, "rewrite failed"},
		"AOF always":     {"persistence", server{info: map[string]string{"aof_enabled": "1"}, config: map[string]string{"appendfsync": "always"}}, LevelOK, "always"},
		"RDB fails":      {"snapshots", server{info: map[string]string{"rdb_last_bgsave_status": "err"}, config: map[string]string{"save": "3600 1", "stop-writes-on-bgsave-error": "yes"}}, LevelProblem, "MISCONF"},
		"RDB may fail":   {"snapshots", server{info: map[string]string{"rdb_last_bgsave_status": "err"}, config: map[string]string{"save": "3600 1", "stop-writes-on-bgsave-error": "no"}}, LevelWarning, "failed"},
		"no reply limit": {"reply limit", server{config: map[string]string{"client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"}}, LevelOK, "lets answers"},
		"reply limit":    {"reply limit", server{config: map[string]string{"client-output-buffer-limit": "slave 0 0 0 normal 0 8388608 10 pubsub 0 0 0"}}, LevelWarning, "normal 8MiB"},
		"long timeout":   {"idle timeout", server{config: map[string]string{"timeout": "300"}}, LevelOK, "does not close blocked reads"},
		"cluster":        {"cluster", server{cluster: map[string]string{"cluster_state": "ok"}}, LevelOK, "ok"},
		"cluster down":   {"cluster", server{cluster: map[string]string{"cluster_state": "fail", "cluster_slots_assigned": "16384", "cluster_slots_fail": "5461"}}, LevelProblem, "10923 of 16384 slots"},
		"slots in doubt": {"cluster", server{cluster: map[string]string{"cluster_state": "ok", "cluster_slots_pfail": "5461"}}, LevelProblem, "5461 slots"},
		"same time":      {"clock", server{skew: 100 * time.Millisecond}, LevelOK, "same as this machine's, within 100ms"},
		"slow answer":    {"clock", server{skew: 3 * time.Second, within: 2 * time.Second}, LevelOK, "same as this machine's, within 5s"},
		"behind":         {"clock", server{skew: -5 * time.Second}, LevelWarning, "5s behind this machine's"},
		"far ahead":      {"clock", server{skew: 10 * time.Minute}, LevelProblem, "10m ahead of this machine's"},
	} {
		for _, sc := range serverChecks {
			if sc.check != c.check {
				continue
			}
			if v := sc.judge(&c.s); v.level != c.level || !strings.Contains(v.seen, c.want) || (v.level == LevelWarning || v.level == LevelProblem) && v.do == "" {
				t.Errorf("%s: %+v, want %s: %s", name, v, c.level, c.want)
			}
		}
	}
}

// TestJudge: masters with the same verdict share a finding.
func TestJudge(t *testing.T) {
	t.Parallel()
	servers := []*server{
		{addr: "a:1", info: map[string]string{"role": "master"}}, {addr: "b:1", info: map[string]string{"role": "master"}},
		{addr: "c:1", info: map[string]string{"role": "slave", "master_host": "b", "master_port": "1"}},
	}
	d := &exam{}
	d.judge(servers, "role", (*server).role)
	d.judge(servers[:2], "role", (*server).role)
	var got []string
	for _, f := range d.x.Findings {
		got = append(got, f.Seen)
	}
	want := []string{"a:1, b:1: master", "c:1: it is a replica of b:1: every write fails (READONLY)", "all 2 masters: master"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", got)
	}
}

func TestPlaceOfKeys(t *testing.T) {
	t.Parallel()
	k := rdb.Keys{Prefix: "medis"}
	for key, want := range map[string]place{
		"medis:{0}:incoming":         {kind: "incoming"},
		"medis:{12}:ch:a.b":          {kind: "ch", p: 12, sub: "a.b"},
		"medis:{0}:dead:a":           {kind: "dead", sub: "a"},
		"medis:{0}:delayed":          {kind: "delayed"},
		"medis:{0}:delayed:body":     {kind: "delayed:body"},
		"medis:subscriptions":        {kind: "subscriptions", p: -1},
		"medis:subscriptions:rev":    {kind: "subscriptions:rev", p: -1},
		"medis:dispatchers":          {kind: "dispatchers", p: -1},
		"medis:dispatcher:host-1-ab": {kind: "dispatcher", p: -1},
		"medis:stats:{0}:total":      {kind: "stats", p: -1},

		"medis:book:{medis:dispatchers}": {kind: "book", p: -1},
		"medis:recover:shop":             {kind: "recover", p: -1},
	} {
		want.key = key
		if got, ok := placeOf(k, key); !ok || got != want {
			t.Errorf("%s: %+v, %v", key, got, ok)
		}
	}
	for _, key := range []string{"other:{0}:incoming", "medisx:{0}:ch:a", "medis:{x}:ch:a", "medis:{0}", "medis:{-1}:ch:a", "medis:{0}:seen:ch:a", "medis:{0}:recover:a", "medis:alert:x", "medis:subscriptions:x"} {
		if got, ok := placeOf(k, key); ok {
			t.Errorf("%s: %+v", key, got)
		}
	}
}
