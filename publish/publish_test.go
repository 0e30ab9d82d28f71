package publish_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/publish"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams/streamstest"
)

// client is one as the documentation asks for.
func client(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	opt, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	opt.MaxRetries, opt.ContextTimeoutEnabled = -1, true
	c := redis.NewClient(opt)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// connected is a client that has greeted Redis, so that the next answer is that of a write.
func connected(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	c := client(t, url)
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func publisher(t *testing.T, o publish.Options) *publish.Publisher {
	t.Helper()
	p, err := publish.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// entries are those of the incoming stream of a partition.
func entries(t *testing.T, c redis.UniversalClient, prefix string, partition int) []redis.XMessage {
	t.Helper()
	list, err := c.XRange(t.Context(), prefix+":{"+strconv.Itoa(partition)+"}:incoming", "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// parked are the messages in the recover list "shop", as the dispatchers read them.
func parked(t *testing.T, c redis.UniversalClient) []medispatcher.Message {
	t.Helper()
	items, err := c.LRange(t.Context(), "medis:recover:shop", 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	var list []medispatcher.Message
	for _, item := range items {
		m, err := rescue.DecodeItem([]byte(item), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

// TestSameAsTheDispatchers: a message goes to the stream, with the fields, that medispatcher itself would choose.
func TestSameAsTheDispatchers(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		const partitions = 4
		cfg := env.Config("me")
		cfg.Partitions, cfg.Prefix = partitions, "theirs"
		store := env.Open(t, cfg)
		p := publisher(t, publish.Options{Redis: env.Client, Prefix: "ours", Partitions: partitions, NoIDs: true})
		var ours []publish.Message
		var theirs []medispatcher.Message
		for i := range 20 {
			m := publish.Message{Topic: "order.created", Body: []byte{0xff, byte(i)}, Key: "customer-" + strconv.Itoa(i)}
			switch i % 4 {
			case 1:
				m.Key, m.ID = "", "id-"+strconv.Itoa(i)
			case 2:
				m.Headers, m.Type, m.Sender = map[string]string{"traceparent": "00-…"}, "text/plain", "shop"
			case 3:
				m.Time, m.Delay, m.Body = time.UnixMilli(1_700_000_000_000), 90*time.Second, nil
			}
			ours = append(ours, m)
			theirs = append(theirs, medispatcher.Message{Topic: m.Topic, Body: m.Body, ID: m.ID, Sender: m.Sender, Key: m.Key, Type: m.Type, Headers: m.Headers, Time: m.Time, Delay: m.Delay})
		}
		results, err := p.PublishAll(t.Context(), ours)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.PublishAll(t.Context(), theirs); err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{}
		total := 0
		for part := range partitions {
			a, b := entries(t, env.Client, "ours", part), entries(t, env.Client, "theirs", part)
			if len(a) != len(b) {
				t.Errorf("partition %d: %d entries, want %d", part, len(a), len(b))
				continue
			}
			total += len(a)
			for i := range a {
				if !reflect.DeepEqual(a[i].Values, b[i].Values) {
					t.Errorf("partition %d: %v, want %v", part, a[i].Values, b[i].Values)
				}
				id, given := a[i].Values["id"].(string)
				if !given {
					id = fmt.Sprintf("%d-%s", part, a[i].ID)
				}
				ids[id] = true
			}
		}
		if total != len(ours) {
			t.Errorf("%d entries", total)
		}
		for i, r := range results {
			if !ids[r.ID] || r.Err != nil || r.Parked {
				t.Errorf("message %d: %+v", i, r)
			}
		}
	})
}

// TestIDs: a message without an id gets one, so that a repetition of it does no harm.
func TestIDs(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	p := publisher(t, publish.Options{Redis: env.Client})
	first, err := p.Publish(t.Context(), publish.Message{Topic: "a.b"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.Publish(t.Context(), publish.Message{Topic: "a.b", ID: "mine"})
	if err != nil || len(first.ID) < 20 || second.ID != "mine" {
		t.Error(first, second, err)
	}
	got := entries(t, env.Client, "medis", 0)
	if len(got) != 2 || got[0].Values["id"] != first.ID || got[1].Values["id"] != "mine" {
		t.Error(got)
	}
}

// TestWrongMessages: each is refused with all that is wrong with it, and the others are published.
func TestWrongMessages(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	p := publisher(t, publish.Options{Redis: env.Client, MaxBody: 3, RecoverList: "shop"})
	for _, tc := range []struct {
		name string
		m    publish.Message
		want []string
	}{
		{"no topic", publish.Message{ID: "a\nb"}, []string{"topic: ", "id: "}},
		{"a pattern", publish.Message{Topic: "order.*"}, []string{"topic: "}},
		{"large", publish.Message{Topic: "a.b", Body: []byte("1234")}, []string{"body: ", "4 bytes, and 3 are allowed (MEDIS_MAX_BODY)"}},
		{"delay", publish.Message{Topic: "a.b", Delay: -1}, []string{"delay: "}},
		{"time", publish.Message{Topic: "a.b", Time: time.Unix(-1, 0)}, []string{"time: lies before 1970"}},
		{"headers", publish.Message{Topic: "a.b", Headers: map[string]string{"Webhook-Id": "1", "Content-Type": "x", "ok": "1"}},
			[]string{`headers: "Content-Type" is set by`, `headers: "Webhook-Id" is set by`}},
	} {
		results, err := p.PublishAll(t.Context(), []publish.Message{{Topic: "good.one"}, tc.m})
		if err == nil || results[0].Err != nil || results[1].Err == nil || results[1].Parked {
			t.Errorf("%s: %v, %+v", tc.name, err, results)
			continue
		}
		for _, want := range append(tc.want, "1 of 2 messages failed; the first, at index 1: publish: the message is wrong") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %q", tc.name, want, err)
			}
		}
		if errors.Is(err, publish.ErrTooLarge) != (tc.name == "large") {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if n := len(entries(t, env.Client, "medis", 0)); n != 6 {
		t.Errorf("%d good ones are published, want 6", n)
	}
	if list := parked(t, env.Client); len(list) > 0 {
		t.Error("wrong messages are parked:", list)
	}
}

// TestRefused: what Redis refuses is parked, whole.
func TestRefused(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		if err := env.Client.Set(t.Context(), "medis:{1}:incoming", "in the way", 0).Err(); err != nil {
			t.Fatal(err)
		}
		o := publish.Options{Redis: env.Client, Partitions: 2, RecoverList: "shop"}
		var in, out string // keys of partitions 0 and 1
		for i := 0; in == "" || out == ""; i++ {
			if key := strconv.Itoa(i); medispatcher.Partition(key, "", 2) == 0 {
				in = key
			} else {
				out = key
			}
		}
		refused := publish.Message{
			Topic: "a.b", Body: []byte("\xff"), Key: out, Sender: "shop", Type: "text/plain",
			Headers: map[string]string{"a": "b"}, Delay: 1500 * time.Millisecond,
		}
		before := time.Now().Truncate(time.Millisecond)
		results, err := publisher(t, o).PublishAll(t.Context(), []publish.Message{refused, {Topic: "a.b", Key: in}})
		if err != nil || !results[0].Parked || results[1].Parked || len(entries(t, env.Client, "medis", 0)) != 1 {
			t.Fatal(err, results)
		}
		got := parked(t, env.Client)
		if len(got) != 1 || got[0].Time.Before(before) || got[0].Time.After(time.Now()) {
			t.Fatal(got)
		}
		want := medispatcher.Message{
			ID: results[0].ID, Topic: "a.b", Body: refused.Body, Key: out, Sender: "shop", Type: "text/plain",
			Headers: refused.Headers, Delay: refused.Delay, Time: got[0].Time,
		}
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("got  %+v\nwant %+v", got[0], want)
		}

		o.RecoverList = ""
		_, err = publisher(t, o).Publish(t.Context(), refused)
		e, ok := errors.AsType[*publish.Error](err)
		if !ok || e.Unknown || e.Parking != nil || !strings.Contains(err.Error(), "publish: Redis did not take the message: WRONGTYPE") {
			t.Error(err)
		}
	})
}

// TestAnswerLost: Redis has the message, and nobody says so. It is parked with the id that it has there, so it is delivered once.
func TestAnswerLost(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	proxy := streamstest.NewProxy(t, env.Server.Addr)
	o := publish.Options{Redis: connected(t, proxy.URL()), RecoverRedis: env.Client, RecoverList: "shop"}
	proxy.Replies(streamstest.CutReplies, 1)
	r, err := publisher(t, o).Publish(t.Context(), publish.Message{Topic: "a.b"})
	if err != nil || !r.Parked {
		t.Fatal(err, r)
	}
	there, list := entries(t, env.Client, "medis", 0), parked(t, env.Client)
	if len(there) != 1 || len(list) != 1 || there[0].Values["id"] != r.ID || list[0].ID != r.ID {
		t.Errorf("%v, %v, %+v", there, list, r)
	}

	o.Redis, o.RecoverRedis, o.RecoverList = connected(t, proxy.URL()), nil, ""
	proxy.Replies(streamstest.CutReplies, 1)
	_, err = publisher(t, o).Publish(t.Context(), publish.Message{Topic: "a.b", ID: "mine"})
	if e, ok := errors.AsType[*publish.Error](err); !ok || !e.Unknown || !strings.HasSuffix(err.Error(), "; publish it again with the id mine") {
		t.Error(err)
	}
}

// TestParkedWithoutAnAnswer: Redis refuses the message, and the list has it, but nobody says so. It may be delivered, so the id to repeat
// it with is told.
func TestParkedWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	if err := env.Client.Set(t.Context(), "medis:{0}:incoming", "in the way", 0).Err(); err != nil {
		t.Fatal(err)
	}
	proxy := streamstest.NewProxy(t, env.Server.Addr)
	p := publisher(t, publish.Options{Redis: env.Client, RecoverRedis: connected(t, proxy.URL()), RecoverList: "shop"})
	proxy.Replies(streamstest.CutReplies, 1)
	r, err := p.Publish(t.Context(), publish.Message{Topic: "a.b"})
	list := parked(t, env.Client)
	if r.Parked || len(list) != 1 || list[0].ID != r.ID {
		t.Fatal(r, list)
	}
	e, ok := errors.AsType[*publish.Error](err)
	if !ok || !e.Unknown || !strings.Contains(err.Error(), "; and medis:recover:shop may have it: ") || !strings.HasSuffix(err.Error(), "; publish it again with the id "+r.ID) {
		t.Error(err)
	}
}

// TestAway: while Redis is away messages are parked elsewhere; if that is away as well, the error says both.
func TestAway(t *testing.T) {
	t.Parallel()
	env, other := streamstest.Real(t), streamstest.Real(t)
	main, beside := streamstest.NewProxy(t, env.Server.Addr), streamstest.NewProxy(t, other.Server.Addr)
	p := publisher(t, publish.Options{
		Redis: client(t, main.URL()), RecoverRedis: client(t, beside.URL()), RecoverList: "shop",
	})
	main.Refuse(t, true)
	r, err := p.Publish(t.Context(), publish.Message{Topic: "a.b"})
	if err != nil || !r.Parked || len(parked(t, other.Client)) != 1 {
		t.Error(err, r)
	}
	beside.Refuse(t, true)
	_, err = p.Publish(t.Context(), publish.Message{Topic: "a.b"})
	if e, ok := errors.AsType[*publish.Error](err); !ok || e.Parking == nil || !strings.Contains(err.Error(), "; and it was not parked in medis:recover:shop: ") {
		t.Error(err)
	}
	main.Refuse(t, false)
	if r, err = p.Publish(t.Context(), publish.Message{Topic: "a.b"}); err != nil || r.Parked {
		t.Error("Redis is back:", err, r)
	}
}

// TestSilentRedis: many messages wait for a silent Redis once, not once for each batch.
func TestSilentRedis(t *testing.T) {
	t.Parallel()
	env := streamstest.Real(t)
	proxy := streamstest.NewProxy(t, env.Server.Addr)
	p := publisher(t, publish.Options{Redis: connected(t, proxy.URL()), RecoverRedis: env.Client, RecoverList: "shop", Timeout: 500 * time.Millisecond})
	proxy.Replies(streamstest.HoldReplies, 1000)
	messages := make([]publish.Message, 1000)
	for i := range messages {
		messages[i].Topic = "a.b"
	}
	results, err := p.PublishAll(t.Context(), messages)
	if err != nil || !results[0].Parked || !results[999].Parked || len(parked(t, env.Client)) != 1000 {
		t.Error(err)
	}
	if n := len(entries(t, env.Client, "medis", 0)); n == 0 || n > 256 {
		t.Errorf("%d messages were sent, want those of one batch", n)
	}
}

// TestLargeBatches: a round trip has a bounded number of bytes, and everything arrives in its order.
func TestLargeBatches(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	p := publisher(t, publish.Options{Redis: env.Client})
	messages := make([]publish.Message, 700)
	for i := range messages {
		messages[i] = publish.Message{Topic: "a.b", ID: strconv.Itoa(i), Body: make([]byte, 16<<10)}
	}
	if _, err := p.PublishAll(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	for i, e := range entries(t, env.Client, "medis", 0) {
		if e.Values["id"] != strconv.Itoa(i) {
			t.Fatalf("entry %d is message %s", i, e.Values["id"])
		}
	}
	if n := len(entries(t, env.Client, "medis", 0)); n != len(messages) {
		t.Error(n)
	}
	if results, err := p.PublishAll(t.Context(), nil); err != nil || len(results) != 0 {
		t.Error("no messages:", results, err)
	}
}

// TestCallerGivesUp: nothing is parked for a caller who does not wait for it.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := publisher(t, publish.Options{Redis: env.Client, RecoverList: "shop"}).Publish(ctx, publish.Message{Topic: "a.b"})
	if e, ok := errors.AsType[*publish.Error](err); !ok || e.Unknown || !errors.Is(err, context.Canceled) || r.Parked || len(parked(t, env.Client)) > 0 {
		t.Error(r, err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		two := publisher(t, publish.Options{Redis: env.Client, Partitions: 2})
		if err := two.Check(t.Context()); !errors.Is(err, publish.ErrUnread) {
			t.Error("nobody ever ran:", err)
		}
		store := env.Open(t, env.Config("me")) // one partition
		if _, err := store.ReadIncoming(t.Context(), 0, 1, false); err != nil && !errors.Is(err, medispatcher.ErrGroupCreated) {
			t.Fatal(err)
		}
		if err := two.Check(t.Context()); !errors.Is(err, publish.ErrUnread) || !strings.Contains(err.Error(), "medis:{1}:incoming") {
			t.Error("one partition too many:", err)
		}
		one := publisher(t, publish.Options{Redis: env.Client})
		if err := one.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := two.Publish(t.Context(), publish.Message{Topic: "a.b"}); err != nil {
			t.Fatal(err)
		}
		if err := env.Client.Set(t.Context(), "medis:{0}:incoming", "in the way", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := one.Check(t.Context()); err == nil || errors.Is(err, publish.ErrUnread) {
			t.Error("no stream:", err)
		}
	})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	for name, o := range map[string]publish.Options{
		"URL":            {},
		"URL is not a":   {URL: "localhost:6379"},
		"RecoverURL h":   {URL: "redis://h", RecoverList: "x", RecoverURL: "http://:hunter2@h"},
		"stands beside":  {URL: "redis://h", Redis: env.Client},
		"negative":       {Redis: env.Client, Partitions: -1},
		"Options.Prefix": {Redis: env.Client, Prefix: "shop{1}"},
		"RecoverList,":   {Redis: env.Client, RecoverRedis: env.Client},
	} {
		if p, err := publish.New(o); err == nil || p != nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDial: a URL is all that a program needs, of a single server and of a cluster.
func TestDial(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		p, err := publish.Dial(env.URL)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if r, err := p.Publish(t.Context(), publish.Message{Topic: "a.b", ID: "mine"}); err != nil || r.ID != "mine" {
				t.Error(r, err)
			}
		}
		if got := entries(t, env.Client, "medis", 0); len(got) != 2 {
			t.Error(got)
		}
		for range 2 { // a deferred Close comes after one whose error was checked
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := p.Publish(t.Context(), publish.Message{Topic: "a.b"}); err == nil {
			t.Error("published after Close")
		}
	})
}

// TestCloseLeavesClients: a client that was given stays open.
func TestCloseLeavesClients(t *testing.T) {
	t.Parallel()
	env := streamstest.Mini(t)
	p := publisher(t, publish.Options{Redis: env.Client, RecoverURL: env.URL, RecoverList: "shop"})
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := p.Publish(t.Context(), publish.Message{Topic: "a.b"}); err != nil {
		t.Error(err)
	}
}
