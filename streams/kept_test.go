package streams_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// keptRules accept every message that decodes. The subscription s wants a.b.
func keptRules() streams.KeptRules {
	return streams.KeptRules{
		MaxBody: 100,
		DecodeItem: func(item []byte, _ int64) (m medispatcher.Message, err error) {
			var given struct{ Topic, Body, Key string }
			err = json.Unmarshal(item, &given)
			m.Topic, m.Body, m.Key = given.Topic, []byte(given.Body), given.Key
			return m, errors.Join(err, m.Check())
		},
		Wanted: func(topic string) bool { return topic == "a.b" },
		Exists: func(sub string) bool { return sub == "s" },
	}
}

// incomingFields are the fields of the messages that wait for their fan-out.
func (sc *scene) incomingFields(t *testing.T, p int) (all []map[string]any) {
	t.Helper()
	for _, m := range must[[]redis.XMessage](t)(sc.Client.XRange(sc.Ctx, fmt.Sprintf("medis:{%d}:incoming", p), "-", "+").Result()) {
		all = append(all, m.Values)
	}
	return all
}

// TestReplayKept: a replayed message keeps its id and time. One that would come back at once is not
// replayed, and the reason is reported.
func TestReplayKept(t *testing.T) {
	t.Parallel()
	packed := "5:topic3:a.b4:body3:xyz4:more4:1:2:"
	tests := []struct {
		name    string
		place   medispatcher.KeptPlace
		fields  []any
		want    map[string]any // the entry in incoming afterwards; nil: refused
		refused string
		done    medispatcher.KeptDone
	}{
		{
			name: "unrouted", place: medispatcher.PlaceUnrouted,
			fields: []any{"time", "1600000000000", "topic", "a.b", "body", "x\xff\x00", "~src", "1700000000000-1", "headers", `{"a":"b"}`},
			want:   map[string]any{"time": "1600000000000", "topic": "a.b", "body": "x\xff\x00", "~src": "1700000000000-1", "headers": `{"a":"b"}`},
		},
		{
			name: "unrouted, and still not wanted", place: medispatcher.PlaceUnrouted,
			fields: []any{"time", "1600000000000", "topic", "no.body", "body", "", "id", "p1"},
			want:   map[string]any{"time": "1600000000000", "topic": "no.body", "body": "", "id": "p1"},
			done:   medispatcher.KeptDone{Unwanted: 1},
		},
		{
			name: "no longer too large", place: medispatcher.PlaceQuarantine,
			fields: []any{"reason", "DECODERR body: is 3 bytes long; the limit is 2 (MEDIS_MAX_BODY)", "source", "1700000000000-1", "topic", "a.b", "body", "xyz", "mine", "too"},
			want:   map[string]any{"~src": "1700000000000-1", "time": "1700000000000", "topic": "a.b", "body": "xyz", "mine": "too"},
		},
		{
			name: "producer's fields with the names of the quarantine's fields", place: medispatcher.PlaceQuarantine,
			fields: []any{"reason", "DECODERR x", "source", "1700000000000-1", "reason", "why", "topic", "a.b", "body", "xyz", "id", "p1", "time", "5", "source", "shop"},
			want:   map[string]any{"reason": "why", "source": "shop", "time": "5", "topic": "a.b", "body": "xyz", "id": "p1"},
		},
		{
			name: "a delay that is over", place: medispatcher.PlaceQuarantine,
			fields: []any{"reason", "DECODERR x", "source", "1700000000000-1", "topic", "a.b", "body", "xyz", "id", "p1", "delay", "1h"},
			want:   map[string]any{"delay": "0", "time": "1700000000000", "topic": "a.b", "body": "xyz", "id": "p1"},
		},
		{
			name: "too many fields for one call", place: medispatcher.PlaceQuarantine,
			fields: []any{"reason", "DECODERR x", "source", "1700000000000-1", "raw", packed[:len(packed)-4] + "1:21:3"},
		},
		{
			name: "too many fields, which decode", place: medispatcher.PlaceQuarantine,
			fields: []any{"reason", "DECODERR x", "source", "1700000000000-1", "raw", "5:topic3:a.b4:body3:xyz4:more1:1"},
			want:   map[string]any{"topic": "a.b", "body": "xyz", "~src": "1700000000000-1", "time": "1700000000000"},
		},
		{
			name: "an item of a recover list", place: medispatcher.PlaceQuarantine,
			fields: []any{"reason", "RECOVFAILASSERT x", "source", "medis:recover:l", "raw", `{"topic":"a.b","body":"xyz"}`},
			want:   map[string]any{"topic": "a.b", "body": "xyz"},
		},
		{
			name: "an item that is no message", place: medispatcher.PlaceQuarantine,
			fields:  []any{"reason", "RECOVFAILDECODE x", "source", "medis:recover:l", "raw", "nonsense"},
			refused: "it still cannot be decoded",
		},
		{
			name: "still undecodable", place: medispatcher.PlaceQuarantine,
			fields:  []any{"reason", "DECODERR topic: is missing", "source", "1700000000000-1", "tropic", "a.b", "body", "xyz"},
			refused: "topic: is missing",
		},
		{
			name: "still too large", place: medispatcher.PlaceQuarantine,
			fields:  []any{"reason", "DECODERR body: x", "source", "1700000000000-1", "topic", "a.b", "body", strings.Repeat("x", 101)},
			refused: "body: is 101 bytes long; the limit is 100 (MEDIS_MAX_BODY)",
		},
		{
			name: "a copy for a subscription that is gone", place: medispatcher.PlaceQuarantine,
			fields:  []any{"reason", "REDISTFAIL medis:{0}:ch:gone is not a stream", "source", "1700000000000-1", "topic", "a.b", "body", "x"},
			refused: "for the subscription gone",
		},
	}
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				env.Flush(t)
				sc := newScene(t, env)
				id := "0-" + kept(t, sc, "medis:{0}:"+string(test.place), test.fields...)
				done := must[medispatcher.KeptDone](t)(sc.Store.ReplayKept(sc.Ctx, test.place, []string{id, "0-1-1"}, keptRules()))
				got := sc.incomingFields(t, 0)
				if test.want == nil {
					if len(got) > 0 || done.Refused != 1 || done.Refusals[0].ID != id || !strings.Contains(done.Refusals[0].Problem, test.refused) {
						t.Errorf("%+v, in incoming: %v", done, got)
					}
					if n, _, err := sc.Store.KeptSince(sc.Ctx, test.place); n != 1 || err != nil {
						t.Errorf("%d are kept, %v; want 1", n, err)
					}
					return
				}
				if len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(test.want) {
					t.Errorf("in incoming\n got  %v\n want %v", got, test.want)
				}
				if done.Replayed != 1 || done.Missing != 1 || done.Refused != 0 || done.Unwanted != test.done.Unwanted {
					t.Errorf("%+v", done)
				}
				if n, _, err := sc.Store.KeptSince(sc.Ctx, test.place); n != 0 || err != nil {
					t.Errorf("%d are kept, %v", n, err)
				}
			})
		}
	})
}

// TestReplayCopy: a copy for one channel goes only to that channel, as soon as the channel is a stream.
func TestReplayCopy(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		check(t, sc.Client.Set(sc.Ctx, "medis:{0}:ch:s", "no stream", 0).Err())
		id := sc.Incoming(t, "topic", "a.b", "body", "x")
		must[[]streams.Routed](t)(sc.Store.Fanout(sc.Ctx, 0, []streams.Routing{{EntryID: id, Message: message("a.b"), Subs: []string{"s", "s2"}}}))
		done := must[medispatcher.KeptDone](t)(sc.Store.ReplayAllKept(sc.Ctx, medispatcher.PlaceQuarantine, keptRules(), goOn))
		if done.Refused != 1 || !strings.Contains(done.Refusals[0].Problem, "medis:{0}:ch:s is not a stream") {
			t.Errorf("while the channel is not a stream: %+v", done)
		}
		check(t, sc.Client.Del(sc.Ctx, "medis:{0}:ch:s").Err())
		done = must[medispatcher.KeptDone](t)(sc.Store.ReplayAllKept(sc.Ctx, medispatcher.PlaceQuarantine, keptRules(), goOn))
		if done.Replayed != 1 || done.Refused != 0 {
			t.Errorf("once the channel is a stream: %+v", done)
		}
		got := read(t, sc.Store)
		if len(got) != 1 || got[0].Message.ID != "0-"+id || string(got[0].Message.Body) != "x" {
			t.Errorf("delivered: %+v", got)
		}
		if n := sc.Client.XLen(sc.Ctx, "medis:{0}:ch:s2").Val(); n != 1 {
			t.Errorf("s2 has %d copies, want 1", n)
		}
	})
}

// TestReplayAllKeptEnds: messages that come back during the replay are left alone, and refused ones do
// not hold up the others.
func TestReplayAllKeptEnds(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		for i := range 250 {
			topic := "a.b"
			if i%50 == 0 {
				topic = "wrong..topic"
			}
			kept(t, sc, "medis:{0}:unrouted", "time", "1", "topic", topic, "body", "x", "~src", fmt.Sprintf("1700000000000-%d", i))
		}
		rounds := 0
		done := must[medispatcher.KeptDone](t)(sc.Store.ReplayAllKept(sc.Ctx, medispatcher.PlaceUnrouted, keptRules(), func(_, _ int64) bool {
			rounds++
			unrouted(t, sc)
			return true
		}))
		if done.Replayed != 245 || done.Refused != 5 || done.Left != 0 || rounds != 3 {
			t.Errorf("%+v in %d rounds", done, rounds)
		}
		if n, _, _ := sc.Store.KeptSince(sc.Ctx, medispatcher.PlaceUnrouted); n != 5+3 {
			t.Errorf("%d are kept, want the 5 refused ones and the 3 new ones", n)
		}
		done = must[medispatcher.KeptDone](t)(sc.Store.ReplayAllKept(sc.Ctx, medispatcher.PlaceUnrouted, keptRules(), func(_, _ int64) bool { return false }))
		if done.Replayed != 3 || done.Left != 0 {
			t.Errorf("the rest: %+v", done)
		}
	})
}

// TestListKept: pages are in the order of time over all partitions, in both directions, and hold every
// message once.
func TestListKept(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		cfg := env.Config("me")
		cfg.Partitions = 3
		sc := newSceneOf(t, env, cfg)
		var want []string
		for i := range 60 {
			for p := range 3 {
				if (i+p)%3 == 0 && p > 0 {
					continue
				}
				entry := fmt.Sprintf("%d-%d", 1000+i/10, i%10*100+1) // the same id in several partitions
				check(t, sc.Client.XAdd(sc.Ctx, &redis.XAddArgs{Stream: fmt.Sprintf("medis:{%d}:unrouted", p), ID: entry, Values: []any{"topic", "a.b", "body", strings.Repeat("x", 100)}}).Err())
				want = append(want, fmt.Sprintf("%d-%s", p, entry))
			}
		}
		for _, newest := range []bool{false, true} {
			var got []string
			for {
				q := medispatcher.KeptQuery{Newest: newest, Limit: 7}
				if len(got) > 0 {
					q.After = got[len(got)-1]
				}
				page := must[[]medispatcher.Kept](t)(sc.Store.ListKept(sc.Ctx, medispatcher.PlaceUnrouted, q))
				for _, k := range page {
					got = append(got, k.ID)
					if len(k.Message.Body) != 0 || k.Message.Topic != "a.b" || k.Bytes != 112 {
						t.Fatalf("%+v", k)
					}
				}
				if len(page) < q.Limit {
					break
				}
			}
			if newest {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("newest first: %v\n got  %v\n want %v", newest, got, want)
			}
		}
		if n, since, err := sc.Store.KeptSince(sc.Ctx, medispatcher.PlaceUnrouted); n != int64(len(want)) || since.UnixMilli() != 1000 || err != nil {
			t.Errorf("%d since %v, %v", n, since, err)
		}
		topics, looked, err := sc.Store.KeptTopics(sc.Ctx, medispatcher.PlaceUnrouted, 50)
		if err != nil || looked != 50 || len(topics) != 1 || topics[0] != (medispatcher.TopicCount{Topic: "a.b", Count: 50}) {
			t.Errorf("%v of %d, %v", topics, looked, err)
		}
	})
}

// TestReadKept reads a complete message, and a raw entry by its fields.
func TestReadKept(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		id := "0-" + kept(t, sc, "medis:{0}:quarantine", "reason", "DECODERR topic", "source", "1700000000000-1", "reason", "mine", "tropic", "a\xff", "body", "x")
		k := must[medispatcher.Kept](t)(sc.Store.ReadKept(sc.Ctx, medispatcher.PlaceQuarantine, id))
		if k.Reason != "DECODERR topic" || k.Source != "1700000000000-1" || k.Message.ID != "0-1700000000000-1" || string(k.Message.Body) != "x" ||
			fmt.Sprint(k.Fields) != fmt.Sprint(map[string]string{"reason": "mine", "tropic": "a\xff", "body": "x"}) || !k.Message.Time.Equal(time.UnixMilli(1700000000000)) {
			t.Errorf("%+v", k)
		}
		if _, err := sc.Store.ReadKept(sc.Ctx, medispatcher.PlaceQuarantine, "0-1-1"); !errors.Is(err, medispatcher.ErrNotFound) {
			t.Errorf("a message that does not exist: %v", err)
		}
		if _, err := sc.Store.ReadKept(sc.Ctx, medispatcher.PlaceQuarantine, "nonsense"); err == nil || !strings.Contains(err.Error(), "is not the id of a message in quarantine") {
			t.Errorf("nonsense: %v", err)
		}
		done, err := sc.Store.ReplayKept(sc.Ctx, medispatcher.PlaceQuarantine, []string{id, "nonsense"}, keptRules())
		if problems, ok := errors.AsType[medispatcher.Problems](err); !ok || problems[0].Field != "ids[1]" || done.Refused != 0 {
			t.Errorf("replay of nonsense: %+v, %v", done, err)
		}
	})
}

// TestKeptStepsAreBounded: no step reads much more than a megabyte, however large the bodies are.
func TestKeptStepsAreBounded(t *testing.T) {
	t.Parallel()
	sc := newScene(t, streamstest.Real(t))
	body := strings.Repeat("x", 1<<20)
	var ids []string
	for i := range 40 {
		ids = append(ids, "0-"+kept(t, sc, "medis:{0}:unrouted", "time", "1", "topic", "a.b", "body", body, "~src", fmt.Sprintf("1700000000000-%d", i)))
	}
	rules := keptRules()
	rules.MaxBody = 2 << 20
	check(t, sc.Client.ConfigSet(sc.Ctx, "slowlog-log-slower-than", "0").Err())
	check(t, sc.Client.ConfigSet(sc.Ctx, "slowlog-max-len", "10000").Err())
	list := must[[]medispatcher.Kept](t)(sc.Store.ListKept(sc.Ctx, medispatcher.PlaceUnrouted, medispatcher.KeptQuery{Limit: 100}))
	if len(list) != 40 {
		t.Errorf("%d were listed", len(list))
	}
	done := must[medispatcher.KeptDone](t)(sc.Store.ReplayKept(sc.Ctx, medispatcher.PlaceUnrouted, ids[:20], rules))
	all := must[medispatcher.KeptDone](t)(sc.Store.ReplayAllKept(sc.Ctx, medispatcher.PlaceUnrouted, rules, func(_, _ int64) bool { return false }))
	if done.Replayed != 20 || all.Replayed == 0 || all.Replayed > 3 || all.Left != 20-all.Replayed {
		t.Errorf("%+v, then %+v", done, all)
	}
	if n, err := sc.Store.PurgeKept(sc.Ctx, medispatcher.PlaceUnrouted, ids[30:]); n != 10 || err != nil {
		t.Errorf("%d are purged, %v", n, err)
	}
	if n, left, err := sc.Store.PurgeAllKept(sc.Ctx, medispatcher.PlaceUnrouted, goOn); n != 10-all.Replayed || left != 0 || err != nil {
		t.Errorf("%d are purged, %d left, %v", n, left, err)
	}
	slow := must[[]redis.SlowLog](t)(sc.Client.SlowLogGet(sc.Ctx, 10000).Result())
	longest, scripts := time.Duration(0), 0
	for _, l := range slow {
		if strings.HasPrefix(strings.ToLower(l.Args[0]), "eval") {
			longest, scripts = max(longest, l.Duration), scripts+1
		}
	}
	t.Logf("%d scripts, the longest took %v", scripts, longest)
	if scripts < 20+20+1+4+2 { // 40 MiB listed, 20 named, some of the rest, 20 removed
		t.Errorf("%d scripts: each handles too much", scripts)
	}
}
