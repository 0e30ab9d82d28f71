package streams_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

const (
	hashKey, feedKey, writtenKey = "medis:subscriptions", "medis:changes:{medis:subscriptions}", "medis:written:{medis:subscriptions}"
)

// loads is a hook that counts how often every document is read.
type loads struct{ n atomic.Int64 }

func (l *loads) DialHook(next redis.DialHook) redis.DialHook { return next }
func (l *loads) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "hscan" && cmd.Args()[2] == "0" {
			l.n.Add(1)
		}
		return next(ctx, cmd)
	}
}
func (l *loads) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// topics are the topics of the subscriptions, by id.
func topics(s *streams.Snapshot) map[string]string {
	all := map[string]string{}
	for sub := range s.Subs.All() {
		all[sub.ID] = sub.Topic
	}
	return all
}

// TestFollowsChanges: whatever changes subscriptions, and whatever becomes of the keys in between, the next message is routed by what
// is stored then.
func TestFollowsChanges(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc, dispatcher, first := readers(t, env)
		writers := []*streams.Registry{first, streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})}
		c := sc.Client
		do := func(t *rapid.T, args ...any) {
			if err := c.Do(sc.Ctx, args...).Err(); err != nil && !errors.Is(err, redis.Nil) && !strings.HasPrefix(err.Error(), "WRONGTYPE") {
				t.Fatal(args, err)
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			id := func() string { return "s" + strconv.Itoa(rapid.IntRange(0, 5).Draw(t, "id")) }
			doc := func() string { return subDoc("t" + strconv.Itoa(rapid.IntRange(0, 1000).Draw(t, "topic"))) }
			stored := func(doc string) string { return strings.Replace(doc, "{", `{"id":"x",`, 1) }
			revision := func() string { return strconv.FormatInt(rand.Int64N(1<<50), 10) }
			var saved map[string]string // a replica's copy of what one slot holds
			// byHand: nothing but the revision, or the number of documents, tells of it. Another change may hide that, until the audit.
			byHand, hands := false, 0
			// seen comes before the version becomes one that it may have had before: what only the version told is hidden then.
			seen := func() {
				_, err := dispatcher.Latest(sc.Ctx)
				fatal(t, err)
				saved = nil
			}
			steps := map[string]func(){
				"put": func() {
					_, _, _, err := rapid.SampledFrom(writers).Draw(t, "writer").Put(sc.Ctx, id(), []byte(doc()), "")
					fatal(t, err)
				},
				"put many": func() {
					var puts []medispatcher.SubscriptionPut
					for range rapid.IntRange(0, 8).Draw(t, "n") {
						puts = append(puts, medispatcher.SubscriptionPut{ID: id(), Document: []byte(doc())})
					}
					for _, done := range first.PutAll(sc.Ctx, puts) {
						fatal(t, done.Err)
					}
				},
				"remove": func() {
					if err := first.Remove(sc.Ctx, id(), ""); err != nil && !errors.Is(err, medispatcher.ErrNotFound) {
						t.Fatal(err)
					}
				},
				"look": nil,
				"a dispatcher of the version before": func() {
					name, change := id(), doc()
					do(t, "HSET", hashKey, name, stored(change))
					do(t, "SET", writtenKey, revision())
					do(t, "XADD", feedKey, "*", "subscription", name, "change", "{}")
					if rapid.Bool().Draw(t, "announced") {
						do(t, "SET", revisionKey, revision())
					}
				},
				"an early dispatcher": func() {
					do(t, "HSET", hashKey, id(), stored(doc()))
					do(t, "SET", revisionKey, revision())
					byHand = true
				},
				"one more by hand": func() {
					hands++ // in place of another it would change neither
					do(t, "HSET", hashKey, "h"+strconv.Itoa(hands), stored(doc()))
					byHand = true
				},
				"one less by hand": func() {
					byHand = true
					if ids := c.HKeys(sc.Ctx, hashKey).Val(); len(ids) > 0 {
						do(t, "HDEL", hashKey, rapid.SampledFrom(ids).Draw(t, "which"))
					}
				},
				"trim":       func() { do(t, "XTRIM", feedKey, "MAXLEN", rapid.IntRange(0, 3).Draw(t, "left")) },
				"lose feed":  func() { do(t, "DEL", feedKey) },
				"spoil feed": func() { do(t, "DEL", feedKey); do(t, "SET", feedKey, "x") },
				"noise":      func() { do(t, "DEL", feedKey); do(t, "XADD", feedKey, "*", "a", "b") },
				"one change is deleted": func() {
					if c.Type(sc.Ctx, feedKey).Val() != "stream" {
						return
					}
					if list := c.XRevRangeN(sc.Ctx, feedKey, "+", "-", 2).Val(); len(list) > 0 {
						do(t, "XDEL", feedKey, list[len(list)-1].ID)
					}
				},
				"spoil version": func() {
					seen()
					do(t, "SET", writtenKey, rapid.SampledFrom([]string{"x", "", "7"}).Draw(t, "version"))
				},
				"lose version": func() { seen(); do(t, "DEL", writtenKey) },
				"spoil revision": func() {
					do(t, "SET", revisionKey, rapid.SampledFrom([]string{"x", "7", "9007199254740991", "9223372036854775807"}).Draw(t, "revision"))
				},
				"lose revision":  func() { do(t, "DEL", revisionKey) },
				"flush":          func() { do(t, "DEL", revisionKey); do(t, "DEL", feedKey, hashKey, writtenKey); byHand = true },
				"replica copies": func() { saved = c.HGetAll(sc.Ctx, hashKey).Val(); saved["~"] = c.Get(sc.Ctx, writtenKey).Val() },
				"replica is used": func() {
					if saved == nil {
						return
					}
					do(t, "DEL", hashKey, feedKey)
					for name, value := range saved {
						if name != "~" {
							do(t, "HSET", hashKey, name, value)
						}
					}
					do(t, "SET", writtenKey, saved["~"])
				},
			}
			names := slices.Sorted(maps.Keys(steps))
			steps["flush"]()
			_, err := dispatcher.Latest(sc.Ctx)
			fatal(t, err)
			for range rapid.IntRange(1, 40).Draw(t, "steps") {
				name := rapid.SampledFrom(append(names, "put", "put", "put", "put many", "remove")).Draw(t, "step")
				if byHand = false; name != "look" {
					steps[name]()
				}
				if byHand {
					saved = nil
				} else if rapid.IntRange(0, 3).Draw(t, "looks") == 0 {
					continue
				}
				want := map[string]string{}
				for id, doc := range c.HGetAll(sc.Ctx, hashKey).Val() {
					var d struct{ Topic string }
					fatal(t, json.Unmarshal([]byte(doc), &d))
					want[id] = d.Topic
				}
				s, err := dispatcher.Latest(sc.Ctx)
				fatal(t, err)
				if got := topics(s); !maps.Equal(got, want) {
					t.Fatalf("after %s: subscriptions %v, want %v", name, got, want)
				}
			}
		})
	})
}

func fatal(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOneChangeReadsOneDocument: those who follow read what changed and no more, also while many change subscriptions at once.
func TestOneChangeReadsOneDocument(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		counted := &loads{}
		sc.Store.DB().AddHook(counted)
		dispatcher := streams.NewRegistry(sc.Store, streamstest.Rules(), func(string, string) {})
		var writers []*streams.Registry
		for i := range 4 {
			writers = append(writers, streams.NewRegistry(env.Open(t, env.Config(fmt.Sprint("writer", i))), streamstest.Rules(), nil))
		}
		var puts []medispatcher.SubscriptionPut
		for i := range 300 {
			puts = append(puts, medispatcher.SubscriptionPut{ID: fmt.Sprintf("s%03d", i), Document: []byte(subDoc("t"))})
		}
		for _, done := range writers[0].PutAll(sc.Ctx, puts) {
			check(t, done.Err)
		}
		check(t, err2(dispatcher.Latest(sc.Ctx)))
		if n := counted.n.Load(); n != 1 {
			t.Fatalf("every document was read %d times", n)
		}
		var wg sync.WaitGroup
		var done atomic.Bool
		for w, writer := range writers {
			wg.Go(func() {
				for i := range 50 {
					id := fmt.Sprintf("s%03d", (w*50+i)%200)
					if _, _, _, err := writer.Put(sc.Ctx, id, []byte(subDoc(fmt.Sprintf("t%d.w%d", i, w))), ""); err != nil {
						t.Error(err)
					}
				}
			})
		}
		go func() { wg.Wait(); done.Store(true) }()
		for !done.Load() {
			check(t, err2(dispatcher.Latest(sc.Ctx)))
		}
		check(t, writers[0].Remove(sc.Ctx, "s299", ""))
		for _, done := range writers[1].PutAll(sc.Ctx, puts[200:299]) { // nothing changes
			check(t, done.Err)
		}
		s := must[*streams.Snapshot](t)(dispatcher.Latest(sc.Ctx))
		if got := s.Subs.Len(); got != 299 || s.Subs.Get("s000").Topic != "t0.w0" || s.Subs.Get("s199").Topic != "t49.w3" {
			t.Errorf("%d subscriptions, the first is %+v", got, s.Subs.Get("s000"))
		}
		if n := counted.n.Load(); n != 1 {
			t.Errorf("every document was read %d times", n)
		}
	})
}

// TestChangeIsTold: whoever listens hears of each step that changes something, and nothing else.
func TestChangeIsTold(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc := newScene(t, env)
		heard := sc.Client.Subscribe(sc.Ctx, "medis:control")
		t.Cleanup(func() { _ = heard.Close() })
		check(t, err2(heard.Receive(sc.Ctx)))
		writer := streams.NewRegistry(sc.Store, streamstest.Rules(), nil)
		follows := streams.NewRegistry(env.Open(t, env.Config("follows")), streamstest.Rules(), nil)
		check(t, err2(follows.Latest(sc.Ctx)))
		<-follows.Changed()
		ctx, cancel := context.WithCancel(sc.Ctx)
		var g errgroup.Group
		g.Go(func() error { return follows.Follow(ctx) })
		put := func(topic string) {
			_, _, _, err := writer.Put(sc.Ctx, "told", []byte(subDoc(topic)), "")
			check(t, err)
		}
		for _, topic := range []string{"a", "b"} {
			put(topic)
			put(topic) // changes nothing
			if m := must[*redis.Message](t)(heard.ReceiveMessage(sc.Ctx)); m.Payload != "subscriptions" {
				t.Errorf("heard %q", m.Payload)
			}
			follows.Poke()
			<-follows.Changed()
			if sub := follows.Snapshot().Subs.Get("told"); sub == nil || sub.Topic != topic {
				t.Errorf("topic %s is not in force: %+v", topic, sub)
			}
		}
		check(t, writer.Remove(sc.Ctx, "told", ""))
		check(t, err2(heard.ReceiveMessage(sc.Ctx)))
		check(t, sc.Client.Publish(sc.Ctx, "medis:control", "last").Err())
		if m := must[*redis.Message](t)(heard.ReceiveMessage(sc.Ctx)); m.Payload != "last" {
			t.Errorf("heard %q of nothing that changed", m.Payload)
		}
		cancel()
		check(t, g.Wait())
	})
}

// TestPutOfTheSameBesideASpoiledVersion: where nothing changes there is nothing to announce, whatever a hand made of the version.
func TestPutOfTheSameBesideASpoiledVersion(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc, dispatcher, writer := readers(t, env)
		for _, version := range []string{"", "x", "7", "9223372036854775807"} {
			for range 2 {
				_, _, _, err := writer.Put(sc.Ctx, "s", []byte(subDoc("a")), "")
				check(t, err)
				check(t, sc.Client.Set(sc.Ctx, writtenKey, version, 0).Err())
			}
			if s := must[*streams.Snapshot](t)(dispatcher.Latest(sc.Ctx)); s.Subs.Len() != 1 {
				t.Errorf("version %q: %d subscriptions", version, s.Subs.Len())
			}
		}
	})
}

// TestCreateOnly: of those who create one subscription with NoRevision at the same time, one does.
func TestCreateOnly(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc, one, other := readers(t, env)
		var created atomic.Int64
		var all sync.WaitGroup
		for i, writer := range []*streams.Registry{one, other, one, other} {
			all.Go(func() {
				_, _, made, err := writer.Put(sc.Ctx, "s", []byte(subDoc(fmt.Sprint("topic", i))), medispatcher.NoRevision)
				if made && err == nil {
					created.Add(1)
				} else if !errors.Is(err, medispatcher.ErrPrecondition) {
					t.Errorf("made %t, error %v", made, err)
				}
			})
		}
		all.Wait()
		if n := created.Load(); n != 1 {
			t.Errorf("%d created it", n)
		}
	})
}

// TestPutAllOrNone: one that cannot be put keeps all others from being written.
func TestPutAllOrNone(t *testing.T) {
	t.Parallel()
	streamstest.EachAndCluster(t, func(t *testing.T, env *streamstest.Env) {
		sc, _, writer := readers(t, env)
		_, _, _, err := writer.Put(sc.Ctx, "there", []byte(subDoc("a")), "")
		check(t, err)
		puts := []medispatcher.SubscriptionPut{
			{ID: "there", Document: []byte(subDoc("b"))},
			{ID: "wrong", Document: []byte(subDoc("b..c"))},
			{ID: "a b", Document: []byte(subDoc("b"))},
			{ID: "there", Document: []byte(subDoc("b")), IfMatch: "old"},
		}
		for i := range 150 { // more than one step
			puts = append(puts, medispatcher.SubscriptionPut{ID: fmt.Sprint("new", i), Document: []byte(subDoc("b"))})
		}
		before := sc.Client.HGetAll(sc.Ctx, hashKey).Val()
		done, good := writer.PutAllOrNone(sc.Ctx, puts)
		if after := sc.Client.HGetAll(sc.Ctx, hashKey).Val(); good || !maps.Equal(before, after) {
			t.Errorf("good: %t, wrote %v", good, after)
		}
		for i, d := range done {
			if _, wrong := errors.AsType[medispatcher.Problems](d.Err); wrong != (i == 1 || i == 2) || errors.Is(d.Err, medispatcher.ErrPrecondition) != (i == 3) || d.Err == nil && d.Created != (i > 3) {
				t.Errorf("%d %s: created %t, %v", i, puts[i].ID, d.Created, d.Err)
			}
		}

		// Two write the same ones at a time: each reads again what the other changed.
		writers := []*streams.Registry{writer, streams.NewRegistry(sc.Store, streamstest.Rules(), nil)}
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Go(func() {
				done, good := w.PutAllOrNone(sc.Ctx, append(puts[:1:1], puts[4:]...))
				for _, d := range done {
					check(t, d.Err)
				}
				if !good {
					t.Error("nothing was written")
				}
			})
		}
		wg.Wait()
		if n := len(sc.Client.HKeys(sc.Ctx, hashKey).Val()); n != 151 {
			t.Errorf("%d subscriptions, want 151", n)
		}
	})
}

// TestAudit: documents that somebody changed by hand, without changing their number, are found when it is their turn.
func TestAudit(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		sc, dispatcher, writer := readers(t, env)
		var puts []medispatcher.SubscriptionPut
		for i := range 1200 {
			puts = append(puts, medispatcher.SubscriptionPut{ID: fmt.Sprintf("s%04d", i), Document: []byte(subDoc("before"))})
		}
		for _, done := range writer.PutAll(sc.Ctx, puts) {
			check(t, done.Err)
		}
		pages := func() (n int) {
			t.Helper()
			for at := ""; n == 0 || at != ""; n++ {
				var err error
				at, err = dispatcher.Audit(sc.Ctx, at)
				check(t, err)
			}
			return n
		}
		pages()
		edit := func(id, doc string) { check(t, sc.Client.HSet(sc.Ctx, hashKey, id, doc).Err()) }
		edit("s0000", subDoc("first"))
		edit("s1199", subDoc("last"))
		edit("s0600", "garbage")
		check(t, sc.Client.HDel(sc.Ctx, hashKey, "s0700").Err())
		edit("new", "garbage")
		if n := pages(); n != 3 {
			t.Errorf("%d pages", n)
		}
		subs := dispatcher.Snapshot().Subs
		if subs.Get("s0000").Topic != "first" || subs.Get("s1199").Topic != "last" || subs.Get("s0600").Topic != "before" || subs.Get("s0700") != nil || subs.Len() != 1199 {
			t.Errorf("%d subscriptions, %+v", subs.Len(), subs.Get("s0000"))
		}
		if s := dispatcher.Snapshot(); fmt.Sprint(s.Unusable) != "[new]" || !s.Exists("new") || s.Exists("s0700") {
			t.Errorf("unusable: %v", s.Unusable)
		}
		if _, rev, err := dispatcher.Get(sc.Ctx, "new"); err == nil || rev != medispatcher.Rev([]byte("garbage")) {
			t.Errorf("revision %q, %v; want that of the document and Problems: who repairs it must not undo another repair", rev, err)
		}
		edit("new", subDoc("good"))
		pages()
		if s := dispatcher.Snapshot(); len(s.Unusable) > 0 || s.Subs.Get("new").Topic != "good" {
			t.Errorf("unusable: %v", s.Unusable)
		}
	})
}
