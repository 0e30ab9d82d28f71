package amender_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/amender"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var channel = medispatcher.Channel{Subscription: "s"}

// dispatcher reads n messages of channel "s" as a dispatcher of that name.
func dispatcher(t *testing.T, env *streamstest.Env, id string, n int) *streams.Store {
	t.Helper()
	store := env.Open(t, env.Config(id))
	wants := []medispatcher.Want{{Channel: channel, Max: n}}
	got, err := store.Read(t.Context(), wants)
	if errors.Is(err, medispatcher.ErrGroupCreated) {
		got, err = store.Read(t.Context(), wants)
	}
	check(t, err)
	if len(got) != n {
		t.Fatalf("%s read %d messages, want %d", id, len(got), n)
	}
	return store
}

// beat writes the heartbeat of a dispatcher, so long ago.
func beat(t *testing.T, env *streamstest.Env, store *streams.Store, ago time.Duration) {
	t.Helper()
	check(t, store.Heartbeat(t.Context(), medispatcher.Dispatcher{ID: store.ID(), DeadAfter: 10 * time.Second}))
	now, err := env.Client.Time(t.Context()).Result()
	check(t, err)
	check(t, env.Client.Do(t.Context(), "ZADD", "medis:dispatchers", now.Add(-ago).UnixMilli(), store.ID()).Err())
}

func owners(t *testing.T, env *streamstest.Env, key, group string) string {
	t.Helper()
	list, err := env.Client.XInfoConsumers(t.Context(), key, group).Result()
	check(t, err)
	m := map[string]int64{}
	for _, c := range list {
		m[c.Name] = c.Pending
	}
	return fmt.Sprint(m)
}

func amend(t *testing.T, store *streams.Store, change func(*amender.Options)) string {
	t.Helper()
	o := amender.Options{Partitions: 1, Subs: []string{"other", "s"}, Incoming: true}
	if change != nil {
		change(&o)
	}
	report, err := amender.Run(t.Context(), store, o)
	check(t, err)
	text, err := json.Marshal(report.Rows)
	check(t, err)
	return string(text)
}

func TestAmender(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for range 10 {
			check(t, env.Client.Do(t.Context(), "XADD", "medis:{0}:ch:s", "*", "topic", "t", "body", "x", "~src", "1-1").Err())
		}
		job := env.Open(t, env.Config("job"))
		live := dispatcher(t, env, "live", 2)
		dead := dispatcher(t, env, "dead", 3)
		forgotten := dispatcher(t, env, "forgotten", 1)
		_ = forgotten
		beat(t, env, live, 9*time.Second)
		beat(t, env, dead, 11*time.Second)

		const both = `[{"partition":0,"subscription":"s","owner":"dead","kicked":3},{"partition":0,"subscription":"s","owner":"forgotten","kicked":1}]`
		if got := amend(t, job, func(o *amender.Options) { o.DryRun = true }); got != both {
			t.Errorf("dry run %s", got)
		}
		if got := owners(t, env, "medis:{0}:ch:s", "push"); got != "map[dead:3 forgotten:1 live:2]" {
			t.Errorf("a dry run changed something: %s", got)
		}
		if got := amend(t, job, nil); got != both {
			t.Errorf("report %s", got)
		}
		if got := owners(t, env, "medis:{0}:ch:s", "push"); got != "map[live:2 ~buried:4]" {
			t.Errorf("owners %s", got)
		}
		if got := amend(t, job, nil); got != "[]" {
			t.Errorf("the second run did something: %s", got)
		}
		due, _, err := live.Due(t.Context(), 0, []medispatcher.Want{{Channel: channel, Max: 10}})
		check(t, err)
		if len(due) != 4 || due[0].Attempt != 1 {
			t.Errorf("%d due, %+v", len(due), due)
		}
	})
}

// late is a store whose list of dispatchers is read just before one more starts.
type late struct {
	*streams.Store
	start func()
}

func (l *late) Dispatchers(ctx context.Context) ([]medispatcher.Dispatcher, error) {
	all, err := l.Store.Dispatchers(ctx)
	if l.start != nil {
		l.start()
		l.start = nil
	}
	return all, err
}

// TestAmenderAndANewDispatcher: a dispatcher that starts while the amender works keeps what it takes.
func TestAmenderAndANewDispatcher(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for range 4 {
			for _, key := range []string{"medis:{0}:ch:s", "medis:{0}:incoming"} {
				check(t, env.Client.Do(t.Context(), "XADD", key, "*", "topic", "a", "body", "1").Err())
			}
		}
		dispatcher(t, env, "dead", 1)
		l := &late{Store: env.Open(t, env.Config("me")), start: func() {
			beat(t, env, dispatcher(t, env, "new", 2), 0)
			check(t, env.Client.XGroupCreate(t.Context(), "medis:{0}:incoming", "fanout", "0").Err())
			check(t, env.Client.Do(t.Context(), "XREADGROUP", "GROUP", "fanout", "new", "COUNT", 2, "STREAMS", "medis:{0}:incoming", ">").Err())
		}}
		report, err := amender.Run(t.Context(), l, amender.Options{Partitions: 1, Subs: []string{"s"}, Incoming: true})
		check(t, err)
		if report.GivenBack() != 1 {
			t.Errorf("%+v", report)
		}
		if got := owners(t, env, "medis:{0}:ch:s", "push"); got != "map[new:2 ~buried:1]" {
			t.Error(got)
		}
		if got := owners(t, env, "medis:{0}:incoming", "fanout"); got != "map[new:2]" {
			t.Error(got)
		}
	})
}

func TestAmenderFindsEntriesWithoutDueTime(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for range 300 {
			check(t, env.Client.Do(t.Context(), "XADD", "medis:{0}:ch:s", "*", "topic", "t", "body", "x", "~src", "1-1").Err())
		}
		live := dispatcher(t, env, "live", 300)
		beat(t, env, live, 0)
		ids, err := streamstest.Mine(t.Context(), live, channel, 1000)
		check(t, err)
		var failed []medispatcher.Settlement
		for _, id := range ids {
			failed = append(failed, medispatcher.Settlement{Channel: channel, EntryID: id, Outcome: medispatcher.Failed, Attempt: 1, Delay: time.Hour})
		}
		check(t, live.Retry(t.Context(), 0, failed))
		for _, id := range ids[250:] {
			check(t, env.Client.ZRem(t.Context(), "medis:{0}:retry:s", id).Err())
		}
		if got := amend(t, live, nil); got != `[{"partition":0,"subscription":"s","kicked":50}]` {
			t.Errorf("report %s", got)
		}
		if got := amend(t, live, func(o *amender.Options) { o.Force = true }); got != `[{"partition":0,"subscription":"s","kicked":250}]` {
			t.Errorf("forced %s", got)
		}
		due, _, err := live.Due(t.Context(), 0, []medispatcher.Want{{Channel: channel, Max: 1000}})
		check(t, err)
		if len(due) != 300 || due[0].Attempt != 2 {
			t.Errorf("%d due", len(due))
		}
	})
}

func TestAmenderIncoming(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		dead := env.Open(t, env.Config("dead"))
		_, err := dead.ReadIncoming(t.Context(), 0, 10, true)
		check(t, err)
		_, err = dead.Publish(t.Context(), medispatcher.Message{Topic: "t"})
		check(t, err)
		if _, err = dead.ReadIncoming(t.Context(), 0, 10, false); err != nil {
			t.Fatal(err)
		}
		job := env.Open(t, env.Config("job"))
		if got := amend(t, job, nil); got != `[{"partition":0,"owner":"dead","kicked":1}]` {
			t.Errorf("report %s", got)
		}
		if got := owners(t, env, "medis:{0}:incoming", "fanout"); got != "map[~buried:1]" {
			t.Errorf("owners %s", got)
		}
		next := env.Open(t, env.Config("next"))
		amend(t, next, func(o *amender.Options) { o.Adopt = "next" })
		entries, err := next.ReadIncoming(t.Context(), 0, 10, true)
		check(t, err)
		if len(entries) != 1 {
			t.Errorf("the next dispatcher adopted %d entries", len(entries))
		}
	})
}

// TestAmenderListens: after Redis was away, or its clock was set, every heartbeat looks old. A dispatcher lives if its
// heartbeat changes, or comes back to a list that Redis lost.
func TestAmenderListens(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for range 6 {
			check(t, env.Client.Do(t.Context(), "XADD", "medis:{0}:ch:s", "*", "topic", "t", "body", "x", "~src", "1-1").Err())
		}
		job := env.Open(t, env.Config("job"))
		live, lost := dispatcher(t, env, "live", 2), dispatcher(t, env, "lost", 1)
		dead := dispatcher(t, env, "dead", 3)
		const limit = 400 * time.Millisecond
		for _, s := range []*streams.Store{live, dead} {
			check(t, s.Heartbeat(t.Context(), medispatcher.Dispatcher{DeadAfter: limit}))
			check(t, env.Client.Do(t.Context(), "ZADD", "medis:dispatchers", 1000, s.ID()).Err())
		}
		l := &listening{Store: job, second: func() { // the job waits now
			for _, s := range []*streams.Store{live, lost} {
				check(t, s.Heartbeat(t.Context(), medispatcher.Dispatcher{DeadAfter: limit}))
			}
		}}
		report, err := amender.Run(t.Context(), l, amender.Options{Partitions: 1, Subs: []string{"s"}, Incoming: true, Listen: true})
		check(t, err)
		if report.GivenBack() != 3 || len(report.Dead) != 1 || report.Dead[0] != "dead" {
			t.Errorf("%+v", report)
		}
		if got := owners(t, env, "medis:{0}:ch:s", "push"); got != "map[live:2 lost:1 ~buried:3]" {
			t.Errorf("owners %s", got)
		}
	})
}

// listening is a store that calls second after the second look at the dispatchers.
type listening struct {
	*streams.Store
	looks  int
	second func()
}

func (l *listening) Dispatchers(ctx context.Context) ([]medispatcher.Dispatcher, error) {
	all, err := l.Store.Dispatchers(ctx)
	if l.looks++; l.looks == 2 {
		l.second()
	}
	return all, err
}

// TestAmenderAfterCommandsTypedByHand: entries that lost their owner to XACK or XGROUP are reported and given back. A
// channel of a wrong type does not hinder the others.
func TestAmenderAfterCommandsTypedByHand(t *testing.T) {
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for range 4 {
			for _, key := range []string{"medis:{0}:ch:s", "medis:{0}:incoming"} {
				check(t, env.Client.Do(t.Context(), "XADD", key, "*", "topic", "a", "body", "1").Err())
			}
		}
		live := dispatcher(t, env, "live", 3) // one stays READY
		beat(t, env, live, 0)
		ids, err := streamstest.Mine(t.Context(), live, channel, 10)
		check(t, err)
		check(t, live.Retry(t.Context(), 0, []medispatcher.Settlement{{
			Channel: channel, EntryID: ids[0], Outcome: medispatcher.Failed, Attempt: 1, Delay: time.Hour, Failure: &medispatcher.Failure{Attempts: 1},
		}}))
		_, err = live.ReadIncoming(t.Context(), 0, 10, true)
		check(t, err)
		_, err = live.ReadIncoming(t.Context(), 0, 10, false)
		check(t, err)
		check(t, env.Client.Do(t.Context(), "XGROUP", "DELCONSUMER", "medis:{0}:ch:s", "push", "~buried").Err())
		check(t, env.Client.Do(t.Context(), "XACK", "medis:{0}:ch:s", "push", ids[1]).Err())
		check(t, env.Client.Do(t.Context(), "XGROUP", "DELCONSUMER", "medis:{0}:incoming", "fanout", "live").Err())

		const want = `[{"partition":0,"owner":"~nobody","kicked":4},{"partition":0,"subscription":"s","owner":"~nobody","kicked":2}]`
		if got := amend(t, live, func(o *amender.Options) { o.DryRun = true }); got != want {
			t.Errorf("dry run %s", got)
		}
		check(t, env.Client.Set(t.Context(), "medis:{0}:ch:other", "x", 0).Err())
		report, err := amender.Run(t.Context(), live, amender.Options{Partitions: 1, Subs: []string{"other", "s"}, Incoming: true, Adopt: "live"})
		if err == nil || report.GivenBack() != 6 {
			t.Errorf("%+v, %v", report, err)
		}
		check(t, env.Client.Del(t.Context(), "medis:{0}:ch:other").Err())
		if got := owners(t, env, "medis:{0}:ch:s", "push"); got != "map[live:1 ~buried:2]" {
			t.Error(got)
		}
		if got := owners(t, env, "medis:{0}:incoming", "fanout"); got != "map[live:4]" {
			t.Error(got)
		}
		// With Force both are due now, and reported once.
		if got := amend(t, live, func(o *amender.Options) { o.Force = true }); got != `[{"partition":0,"subscription":"s","kicked":2}]` {
			t.Errorf("forced %s", got)
		}
		due, _, err := live.Due(t.Context(), 0, []medispatcher.Want{{Channel: channel, Max: 10}})
		check(t, err)
		attempts := map[string]int{}
		for _, d := range due {
			attempts[d.EntryID] = d.Attempt
		}
		if len(due) != 2 || attempts[ids[0]] != 2 || attempts[ids[1]] != 1 {
			t.Errorf("due %v", attempts)
		}
	})
}
