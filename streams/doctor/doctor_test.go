package doctor_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/doctor"
	"github.com/solate/medispatcher/streams/report"
	"github.com/solate/medispatcher/streams/streamstest"
)

// seed is the state of a busy, healthy system: a dispatcher "me" with one message of "s" in
// flight, one that waits for its next attempt, one unread, one delayed, one dead.
func seed(t *testing.T, env *streamstest.Env) *streamstest.Scene {
	t.Helper()
	sc := streamstest.NewScene(t, env)
	registry := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
	streamstest.Put(t, registry, "s", `{"topic":"a.b","urls":["http://h/"]}`)
	streamstest.Check(t, sc.Store.Heartbeat(sc.Ctx, medispatcher.Dispatcher{ID: "me", Version: "1", Started: time.Now().Add(-time.Second), DeadAfter: time.Minute}))
	streamstest.Check(t, report.New(sc.Store).SampleBacklog(sc.Ctx))
	one := sc.Buried(t)
	streamstest.Check(t, sc.Store.Retry(sc.Ctx, 0, streamstest.Settlement(one, medispatcher.Failed)))
	two := sc.Buried(t)
	streamstest.Check(t, sc.Store.Kill(sc.Ctx, 0, streamstest.Settlement(two, medispatcher.Exhausted)))
	sc.Buried(t)
	sc.Ready(t)
	id := sc.Incoming(t, "topic", "a.b", "body", "x", "delay", "1h")
	streamstest.Must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: id, Message: streamstest.Message("a.b"), Due: time.Now().Add(time.Hour)}}))
	return sc
}

// stateOnly leaves out the findings about servers: the servers of tests keep nothing on disk, and
// miniredis answers little.
func stateOnly(bad map[string]string) map[string]string {
	for name := range bad {
		if strings.HasPrefix(name, doctor.AreaRedis) {
			delete(bad, name)
		}
	}
	return bad
}

func TestDoctorFindsNothingWrong(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		if bad := stateOnly(streamstest.Examine(t, env.Open(t, env.Config("doctor")))); len(bad) > 0 {
			t.Errorf("an empty Redis: %v", bad)
		}
		sc := seed(t, env)
		before := sc.State(t)
		if bad := stateOnly(streamstest.Examine(t, sc.Store)); len(bad) > 0 {
			t.Errorf("a healthy system: %v", bad)
		}
		if after := sc.State(t); after != before {
			t.Errorf("it changed the state from\n%s\nto\n%s", before, after)
		}
	})
}

// Each fault is the only finding on an otherwise healthy system.
func TestDoctorFindsFaults(t *testing.T) {
	t.Parallel()
	add := func(key string) func(t *testing.T, sc *streamstest.Scene) {
		return func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: key, Values: []any{"topic", "a.b", "body", "x"}}).Err())
		}
	}
	set := func(key string) func(t *testing.T, sc *streamstest.Scene) {
		return func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.Set(sc.Ctx, key, "x", 0).Err())
		}
	}
	doc := func(id, doc string) func(t *testing.T, sc *streamstest.Scene) {
		return func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.HSet(sc.Ctx, "medis:subscriptions", id, doc).Err())
		}
	}
	beat := func(id, version string, started time.Time, at time.Duration) func(t *testing.T, sc *streamstest.Scene) {
		return func(t *testing.T, sc *streamstest.Scene) {
			other := sc.Open(t, sc.Config(id))
			streamstest.Check(t, other.Heartbeat(sc.Ctx, medispatcher.Dispatcher{ID: id, Version: version, Started: started, DeadAfter: time.Minute}))
			streamstest.Check(t, sc.Client.ZAdd(sc.Ctx, "medis:dispatchers", redis.Z{Score: float64(time.Now().Add(at).UnixMilli()), Member: id}).Err())
		}
	}
	for name, c := range map[string]struct {
		fault       func(t *testing.T, sc *streamstest.Scene)
		where, want string
	}{
		"channel of a wrong type":      {set("medis:{0}:ch:t"), "Messages/key types", "problem: medis:{0}:ch:t (a string, should be a stream)"},
		"recover list of a wrong type": {set("medis:recover:x"), "Messages/key types", "medis:recover:x (a string, should be a list)"},
		"dead letters of a wrong type": {set("medis:{0}:dead:s2"), "Messages/key types", "medis:{0}:dead:s2"},
		"revision of a wrong type": {func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.Del(sc.Ctx, "medis:subscriptions:rev").Err())
			streamstest.Check(t, sc.Client.HSet(sc.Ctx, "medis:subscriptions:rev", "a", "b").Err())
		}, "Messages/key types", "medis:subscriptions:rev (a hash, should be a string)"},
		"revision that is no number": {set("medis:subscriptions:rev"), "Subscriptions/revision", `medis:subscriptions:rev holds "x"`},
		"recover list": {func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.RPush(sc.Ctx, "medis:recover:x", "1", "2").Err())
		}, "Messages/recover lists", "medis:recover:x (2)"},
		"quarantine":                     {add("medis:{0}:quarantine"), "Messages/quarantine", "1 entry could not be decoded or copied, the oldest since "},
		"unrouted":                       {add("medis:{0}:unrouted"), "Messages/unrouted", "no subscription wanted 1 message, the oldest kept since "},
		"orphan channel":                 {add("medis:{0}:ch:gone"), "Messages/orphans", "warning: 1 message without a subscription: gone"},
		"orphan dead letters":            {add("medis:{0}:dead:gone"), "Messages/orphans", "1 dead letter without a subscription: gone"},
		"channel of a former partition":  {add("medis:{2}:ch:s"), "Messages/partitions", "problem: nobody reads partition 1 and above (MEDIS_PARTITIONS=1), which hold 1 message"},
		"incoming of a former partition": {add("medis:{7}:incoming"), "Messages/partitions", "1 message"},
		"entry of a dead dispatcher": {func(t *testing.T, sc *streamstest.Scene) {
			add("medis:{0}:ch:s")(t, sc)
			streamstest.Read(t, sc.Open(t, sc.Config("ghost")))
		}, "Messages/owners", "(ghost) still own 2 messages, in s"},
		"fan-out of a dead dispatcher": {func(t *testing.T, sc *streamstest.Scene) {
			add("medis:{0}:incoming")(t, sc)
			streamstest.Must[[]streams.Entry](t)(sc.Open(t, sc.Config("ghost")).ReadIncoming(sc.Ctx, 0, 1, false))
		}, "Messages/owners", "(ghost) still own 1 message, in incoming"},
		"no due time": {func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.Del(sc.Ctx, "medis:{0}:retry:s").Err())
		}, "Messages/due times", "problem: 1 entry of ~buried without a due time"},
		"due time without an entry": {func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.ZAdd(sc.Ctx, "medis:{0}:retry:s", redis.Z{Score: 9e15, Member: "1-1"}).Err())
		}, "Messages/idle due times", "warning: 1 due time without a waiting entry: s"},
		"failure record without an entry": {func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.HSet(sc.Ctx, "medis:{0}:failures:s", "1-1", "{}").Err())
		}, "Messages/failure records", "1 failure record without a message: s"},
		"delayed without a body": {func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.ZAdd(sc.Ctx, "medis:{0}:delayed", redis.Z{Score: 9e15, Member: "1-1"}).Err())
		}, "Messages/delayed", "problem: 1 delayed message without a body"},
		"delayed without a due time": {func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.HSet(sc.Ctx, "medis:{0}:delayed:body", "1-1", "x").Err())
		}, "Messages/delayed", "problem: 1 delayed message without a due time"},
		"incoming group lost": {func(t *testing.T, sc *streamstest.Scene) {
			sc.Incoming(t, "topic", "a", "body", "x")
			streamstest.Check(t, sc.Client.XGroupDestroy(sc.Ctx, "medis:{0}:incoming", "fanout").Err())
		}, "Messages/groups", "problem: the consumer group is lost, but the stream has entries: incoming"},
		"incoming is late": {func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.Del(sc.Ctx, "medis:{0}:incoming").Err())
			streamstest.Check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:incoming", ID: "1-1", Values: []any{"a", "b"}}).Err())
		}, "Messages/incoming", "although 1 dispatcher runs"},
		"unusable document":          {doc("bad", "{"), "Subscriptions/documents", "problem: unusable"},
		"over a maximum":             {doc("big", `{"topic":"c","urls":["http://h/"],"concurrency":9999}`), "Subscriptions/maximums", "big (concurrency 9999 is over the maximum; 1500 is used)"},
		"same target":                {doc("twin", `{"topic":"a.b","urls":["http://h/"]}`), "Subscriptions/same target", "a.b to http://h/ (s, twin)"},
		"no URL for the environment": {doc("pub", `{"topic":"c","urls":["[T_ENV:PUB]http://h/"]}`), "Subscriptions/environments", "pub (me, MEDIS_ENV=\"\")"},
		"dead dispatcher":            {beat("x", "1", time.Time{}, -time.Hour), "Dispatchers/dead", "x (silent for 1h"},
		"late heartbeat":             {beat("x", "1", time.Time{}, -45*time.Second), "Dispatchers/heartbeats", "overdue"},
		"heartbeat in the future":    {beat("x", "1", time.Time{}, time.Hour), "Dispatchers/heartbeats", "in the future"},
		"versions differ":            {beat("x", "2", time.Time{}, 0), "Dispatchers/versions", "they differ: 1 (1), 2 (1)"},
		"cannot read the newest copies": {func(t *testing.T, sc *streamstest.Scene) {
			beat("x", "1", time.Time{}, 0)(t, sc)
			streamstest.Check(t, sc.Client.Set(sc.Ctx, "medis:dispatcher:x", `{"version":"1","dead_after_ns":60000000000}`, 0).Err())
		}, "Dispatchers/copies", "warning: of an earlier version, cannot read the newest copies: x"},
		"no doorbell of its own": {func(t *testing.T, sc *streamstest.Scene) {
			beat("x", "1", time.Time{}, 0)(t, sc)
			streamstest.Check(t, sc.Client.Set(sc.Ctx, "medis:dispatcher:x", `{"version":"1","copies":2,"doorbell":"medis:control","dead_after_ns":60000000000}`, 0).Err())
		}, "Dispatchers/doorbells", "warning: share one pub/sub channel, so every ring wakes all of them: x"},
		"dispatcher's clock is ahead": {beat("x", "1", time.Now().Add(time.Hour), 0), "Dispatchers/clocks", "ahead of the clock of Redis: x (at least"},
		"log that cannot be written": {func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Open(t, sc.Config("x")).Heartbeat(sc.Ctx, medispatcher.Dispatcher{ID: "x", Version: "1", DeadAfter: time.Minute, LogProblem: "DATA log: full"}))
		}, "Dispatchers/logs", "problem: cannot be written, lines are lost: x (DATA log: full)"},
		"no dispatcher runs": {func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.Del(sc.Ctx, "medis:dispatchers").Err())
		}, "Dispatchers/running", "none, but messages wait: 3 messages"},
		"dispatchers with another prefix": {func(t *testing.T, sc *streamstest.Scene) {
			streamstest.Check(t, sc.Client.Rename(sc.Ctx, "medis:dispatchers", "other:dispatchers").Err())
		}, "Dispatchers/running", "warning: none with MEDIS_KEY_PREFIX=medis, but some with other"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
				if name == "incoming group lost" && env.Mini != nil {
					t.Skip("miniredis does not count the entries that a stream held before")
				}
				sc := seed(t, env)
				c.fault(t, sc)
				bad := stateOnly(streamstest.Examine(t, sc.Store))
				if !strings.Contains(bad[c.where], c.want) {
					t.Errorf("%s is %q, want in it %q", c.where, bad[c.where], c.want)
				}
				delete(bad, c.where)
				for also := range bad {
					// Without heartbeats, nobody owns what "me" has in flight.
					if c.where != "Dispatchers/running" || also != "Messages/owners" {
						t.Errorf("an unexpected finding, %s: %s", also, bad[also])
					}
				}
			})
		})
	}
}

// The lost group of a channel is found by its due times and failure records, or by the number of
// entries that Redis says it once held.
func TestDoctorFindsLostGroup(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := seed(t, env)
		streamstest.Check(t, sc.Client.XGroupDestroy(sc.Ctx, "medis:{0}:ch:s", "push").Err())
		if bad := streamstest.Examine(t, sc.Store); !strings.Contains(bad["Messages/groups"], "problem: the consumer group is lost, but the stream has entries: s") {
			t.Error(bad)
		}
	})
}

// After a group was created again, its entries are unread but keep their failure records.
func TestDoctorOfRecreatedGroup(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := seed(t, env)
		streamstest.Check(t, sc.Client.XGroupDestroy(sc.Ctx, "medis:{0}:ch:s", "push").Err())
		streamstest.Check(t, sc.Client.XGroupCreate(sc.Ctx, "medis:{0}:ch:s", "push", "0").Err())
		bad := stateOnly(streamstest.Examine(t, sc.Store))
		if delete(bad, "Messages/idle due times"); len(bad) > 0 {
			t.Error(bad)
		}
	})
}

// A channel that was never read has no group. That is no finding.
func TestDoctorOfUnreadChannel(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := seed(t, env)
		streamstest.Put(t, streams.NewRegistry(sc.Store, streamstest.Rules(), nil), "s2", `{"topic":"c","urls":["http://h2/"]}`)
		streamstest.Check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:ch:s2", Values: []any{"topic", "c"}}).Err())
		if bad := stateOnly(streamstest.Examine(t, sc.Store)); len(bad) > 0 {
			t.Error(bad)
		}
	})
}

func TestDoctorFindsEntriesDeletedByHand(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t) // miniredis removes them from the pending list as well
	sc := seed(t, env)
	streamstest.Check(t, sc.Client.XTrimMaxLen(sc.Ctx, "medis:{0}:ch:s", 1).Err())
	for _, memory := range []string{"0", "1"} { // a Redis that is full refuses reads in a transaction
		streamstest.Check(t, sc.Client.ConfigSet(sc.Ctx, "maxmemory", memory).Err())
		if bad := streamstest.Examine(t, sc.Store); !strings.Contains(bad["Messages/deleted by hand"], "at least 1 entry pending but no longer in the stream: s") {
			t.Error("maxmemory", memory, bad)
		}
	}
}

// A finding says how many entries a cap left out.
func TestDoctorSaysWhatItDidNotLookAt(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := seed(t, env)
		for range 20 {
			streamstest.Check(t, sc.Store.Retry(sc.Ctx, 0, streamstest.Settlement(sc.Buried(t), medispatcher.Failed)))
		}
		x := streamstest.Must[doctor.Examination](t)(doctor.Examine(sc.Ctx, sc.Store, doctor.Checkup{Rules: streamstest.Rules(), Most: 8}))
		for _, f := range x.Findings {
			if f.Check == "due times" {
				// In one channel, a quarter of Most is compared: 2 of 21 entries, one of which is from seed.
				if !f.Partial || f.Level != doctor.LevelOK || !strings.Contains(f.Seen, "more were not examined") {
					t.Errorf("%+v", f)
				}
				return
			}
		}
		t.Error("no finding about due times")
	})
}

func TestDoctorOfServers(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	store := env.Open(t, env.Config("doctor"))
	conf := func(pairs ...string) {
		t.Helper()
		for i := 0; i < len(pairs); i += 2 {
			streamstest.Check(t, env.Client.ConfigSet(t.Context(), pairs[i], pairs[i+1]).Err())
		}
	}
	at := func(where, want string) {
		t.Helper()
		if bad := streamstest.Examine(t, store); !strings.Contains(bad[where], want) || want == "" && bad[where] != "" {
			t.Errorf("%s is %q, want %q", where, bad[where], want)
		}
	}
	at("Redis/persistence", "problem: neither AOF nor RDB")
	conf("save", "3600 1")
	at("Redis/persistence", "warning: RDB only (save 3600 1)")
	conf("appendonly", "yes", "appendfsync", "no")
	at("Redis/persistence", "warning: AOF, appendfsync no")
	conf("appendfsync", "everysec")
	if bad := streamstest.Examine(t, store); len(bad) > 0 {
		t.Errorf("a good Redis: %v", bad)
	}
	conf("maxmemory-policy", "volatile-lru")
	at("Redis/eviction", "warning: volatile-lru")
	conf("maxmemory-policy", "allkeys-lfu")
	at("Redis/eviction", "problem: allkeys-lfu")
	conf("maxmemory-policy", "noeviction", "maxmemory", "1000000")
	at("Redis/memory", "problem: ")
	conf("maxmemory", "0", "timeout", "5")
	at("Redis/idle timeout", "warning: timeout is 5 s")
	conf("timeout", "0", "min-replicas-to-write", "1")
	at("Redis/replicas", "problem: min-replicas-to-write is 1 and 0 replicas keep up")
	conf("min-replicas-to-write", "0")
	streamstest.Check(t, env.Client.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
	at("Redis/role", "problem: it is a replica of 127.0.0.1:1")
	at("Redis/writes", "problem: are refused: READONLY")
}

// For a user with few rights, the findings say which rights are missing and what could not be checked.
func TestDoctorOfRestrictedUser(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	seed(t, env)
	as := func(user string, rules ...any) map[string]string {
		t.Helper()
		args := append([]any{"ACL", "SETUSER", user, "on", ">pw", "resetkeys", "resetchannels"}, rules...)
		streamstest.Check(t, env.Client.Do(t.Context(), args...).Err())
		cfg := env.Config("doctor")
		cfg.URL = strings.Replace(cfg.URL, "://", "://"+user+":pw@", 1)
		return streamstest.Examine(t, env.Open(t, cfg))
	}
	// The line of docs/OPERATIONS.md.
	documented := []any{"~medis:*", "&medis:control*", "+@all", "-@admin", "-@dangerous", "+info"}
	bad := as("documented", documented...)
	if len(stateOnly(bad)) > 0 || bad["Redis/access"] != "" {
		t.Errorf("the documented user: %v", bad)
	}
	bad = as("nobody", "+@all", "-@admin", "-@dangerous")
	for where, want := range map[string]string{
		"Redis/access":      "problem: the user of MEDIS_REDIS_URL may not: run scripts on keys of ours (EVALSHA); write to keys of ours (LPUSHX); subscribe to medis:control",
		"Redis/not checked": "unknown: could not be checked (version, role, ",
		"Messages/keys":     "unknown: could not be checked",
	} {
		if !strings.Contains(bad[where], want) {
			t.Errorf("%s is %q, want %q", where, bad[where], want)
		}
	}
	bad = as("lacks", append(documented, "-xclaim", "-lpop")...)
	if !strings.Contains(bad["Redis/access"], "may not: run XCLAIM, LPOP on keys medis:*") {
		t.Error(bad)
	}
	bad = as("asks", "~medis:*", "&medis:control", "+@all", "-xclaim", "-lpop")
	if !strings.Contains(bad["Redis/access"], "may not: run XCLAIM, LPOP on keys medis:*") {
		t.Error(bad)
	}
}

// counter counts round trips and the commands in them.
type counter struct {
	streamstest.Faults
	mu              sync.Mutex
	trips, commands int
	largest         int
	names           map[string]int
}

func (c *counter) note(cmds ...redis.Cmder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips++
	c.commands += len(cmds)
	c.largest = max(c.largest, len(cmds))
	for _, cmd := range cmds {
		c.names[cmd.Name()]++
	}
}

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.note(cmd); return next(ctx, cmd) }
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.note(cmds...); return next(ctx, cmds) }
}

// With ten thousand subscriptions and a channel with many waiting messages, the examination only
// reads, makes few round trips, and none of them blocks Redis for long.
func TestDoctorIsBounded(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	sc := seed(t, env)
	const subs, waiting = 10_000, 20_000
	pipe := env.Client.Pipeline()
	for i := range subs {
		pipe.HSet(sc.Ctx, "medis:subscriptions", fmt.Sprint("n", i), fmt.Sprintf(`{"topic":"t%d","urls":["http://h/"]}`, i))
		pipe.XGroupCreateMkStream(sc.Ctx, fmt.Sprint("medis:{0}:ch:n", i), "push", "0")
	}
	for range waiting {
		pipe.XAdd(sc.Ctx, &redis.XAddArgs{Stream: "medis:{0}:ch:n0", Values: []any{"topic", "t0"}})
	}
	pipe.XReadGroup(sc.Ctx, &redis.XReadGroupArgs{Group: "push", Consumer: "~buried", Count: waiting, Streams: []string{"medis:{0}:ch:n0", ">"}})
	streamstest.Must[[]redis.Cmder](t)(pipe.Exec(sc.Ctx))
	c := &counter{names: map[string]int{}}
	store := env.Open(t, env.Config("doctor"))
	store.DB().AddHook(c)
	streamstest.Check(t, env.Client.ConfigSet(sc.Ctx, "slowlog-log-slower-than", "-1").Err())
	bad := stateOnly(streamstest.Examine(t, store))
	if len(bad) != 1 || !strings.Contains(bad["Messages/due times"], "20000 entries of ~buried without a due time, and so never retried: n0") {
		t.Errorf("found %v", bad)
	}
	// Every channel costs a TYPE and five counts. Every waiting entry looks wrong, so it costs two commands more.
	if c.commands > 6*subs+3*waiting || c.largest > 600 {
		t.Errorf("%d commands, up to %d in one round trip", c.commands, c.largest)
	}
	if c.trips > 2*subs/100+waiting/20+200 {
		t.Errorf("%d round trips", c.trips)
	}
	for name := range c.names {
		if !strings.Contains(" hello client time info config acl eval evalsha exists zrevrange get hget hgetall hscan sscan scan type llen xlen zcard hlen xpending xrange xinfo zmscore zscore zrange hmget hexists lpushx multi exec ", " "+name+" ") {
			t.Errorf("%s is not among the commands that only read", name)
		}
	}
}

// TestDoctorFindsWhatNobodyOwns: the examination reports it, changes nothing, and finds nothing after healing.
func TestDoctorFindsWhatNobodyOwns(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := seed(t, env)
		streamstest.Check(t, sc.Client.XGroupDelConsumer(sc.Ctx, "medis:{0}:ch:s", "push", "~buried").Err())
		id := sc.Incoming(t, "topic", "a.b", "body", "x")
		streamstest.Check(t, sc.Client.XAck(sc.Ctx, "medis:{0}:incoming", "fanout", id).Err())
		before := sc.State(t)
		const want = "problem: 2 messages that no dispatcher owns, and so stuck: incoming, s"
		if bad := streamstest.Examine(t, sc.Store); !strings.Contains(bad["Messages/unowned"], want) {
			t.Errorf("%v", bad)
		}
		if after := sc.State(t); after != before {
			t.Errorf("it changed something:\n%s\n%s", before, after)
		}
		streamstest.Must[int](t)(sc.Store.Unowned(sc.Ctx, streamstest.ChannelS, false))
		streamstest.Must[int](t)(sc.Store.UnownedIncoming(sc.Ctx, 0, true, false))
		if bad := stateOnly(streamstest.Examine(t, sc.Store)); len(bad) > 0 {
			t.Error(bad)
		}
	})
}
