package recover_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/solate/medispatcher"
	rescue "github.com/solate/medispatcher/recover"
	"github.com/solate/medispatcher/streams"
	"github.com/solate/medispatcher/streams/streamstest"
)

// scene is a recover Redis and a main one, which may be the same.
type scene struct {
	t          *testing.T
	main       *streamstest.Env
	parked     *streamstest.Env
	store      *streams.Store
	lists      *streams.Store
	partitions int

	mu    sync.Mutex
	lines []rescue.Line
	logs  bytes.Buffer
	news  chan struct{}
}

func newScene(t *testing.T, main, parked *streamstest.Env) *scene {
	t.Helper()
	s := &scene{t: t, main: main, parked: parked, partitions: 2, news: make(chan struct{}, 1)}
	cfg := main.Config("me")
	cfg.Partitions = s.partitions
	s.store = main.Open(t, cfg)
	s.lists = parked.Open(t, parked.Config("me"))
	return s
}

// Write receives the log.
func (s *scene) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.tell()
	return s.logs.Write(p)
}

func (s *scene) keep(l rescue.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, l)
	s.tell()
}

func (s *scene) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func (s *scene) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs.String()
}

// codes counts the lines of the DATA log.
func (s *scene) codes() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[rescue.Code]int{}
	for _, l := range s.lines {
		n[l.Code]++
	}
	return fmt.Sprint(n)
}

func (s *scene) watcher(f *faulty) *rescue.Watcher {
	f.lists, f.main = streams.NewRecoverLists(s.lists), s.store
	return &rescue.Watcher{
		Lists: f, Main: f, Partitions: s.partitions, MaxBody: 1000, Keep: s.keep,
		Log: slog.New(slog.NewTextHandler(s, nil)),
	}
}

// start runs a watcher until the function it returns is called.
func (s *scene) start(f *faulty) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	crashed := f.crash
	f.crash = func() {
		cancel()
		if crashed != nil {
			crashed()
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.watcher(f).Run(ctx); err != nil {
			s.t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	s.t.Cleanup(stop)
	return stop
}

// push parks items.
func (s *scene) push(list string, items ...any) {
	s.t.Helper()
	if err := s.parked.Client.RPush(s.t.Context(), list, items...).Err(); err != nil {
		s.t.Fatal(err)
	}
}

// await waits for a state in Redis, which sends no events.
func (s *scene) await(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not in time: %s\n%s", what, s.logged())
		}
	}
}

// drained reports whether nothing is parked nor in hand.
func (s *scene) drained() bool {
	return len(s.parked.Client.Keys(s.t.Context(), "medis:recover*").Val()) == 0
}

// arrived returns the bodies in the incoming streams, and the raw entries in the quarantines.
func (s *scene) arrived() (bodies, raw []string) {
	for p := range s.partitions {
		for _, e := range s.main.Client.XRange(s.t.Context(), fmt.Sprintf("medis:{%d}:incoming", p), "-", "+").Val() {
			bodies = append(bodies, e.Values["body"].(string))
		}
		for _, e := range s.main.Client.XRange(s.t.Context(), fmt.Sprintf("medis:{%d}:quarantine", p), "-", "+").Val() {
			raw = append(raw, e.Values["raw"].(string))
		}
	}
	return bodies, raw
}

// faulty fails steps by name: "take before", "publish after", …
type faulty struct {
	lists rescue.Lists
	main  rescue.Publisher
	crash func() // ends the watcher, as if its process died there

	mu    sync.Mutex
	fail  func(step string) bool // the process dies there
	away  func(step string) bool // the step fails, and the process goes on
	takes map[string]int
}

var errFault = errors.New("injected fault")

func (f *faulty) step(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil && f.fail(name) {
		f.crash()
		return errFault
	}
	if f.away != nil && f.away(name) {
		return errFault
	}
	return nil
}

func (f *faulty) Find(ctx context.Context) ([]medispatcher.RecoverList, error) {
	return f.lists.Find(ctx)
}

func (f *faulty) Probe(ctx context.Context) error {
	return errors.Join(f.step("probe"), f.main.Probe(ctx))
}

func (f *faulty) Take(ctx context.Context, list string, count int, bytes int64) ([]medispatcher.RecoverItem, error) {
	if err := f.step("take before"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	if f.takes == nil {
		f.takes = map[string]int{}
	}
	f.takes[list]++
	f.mu.Unlock()
	items, err := f.lists.Take(ctx, list, min(count, 3), bytes)
	return items, errors.Join(err, f.step("take after"))
}

func (f *faulty) Drop(ctx context.Context, list string, tokens []string) error {
	if err := f.step("drop before"); err != nil {
		return err
	}
	return errors.Join(f.lists.Drop(ctx, list, tokens), f.step("drop after"))
}

func (f *faulty) WriteOnce(ctx context.Context, p int, list []medispatcher.Once, keep time.Duration, dryRun bool) ([]medispatcher.OnceDone, error) {
	if err := f.step("publish before"); err != nil {
		return nil, err
	}
	done, err := f.main.WriteOnce(ctx, p, list, keep, dryRun)
	return done, errors.Join(err, f.step("publish after"))
}

func item(body string, more ...string) string {
	return `{"topic":"a.b","body":"` + body + `"` + strings.Join(more, "") + `}`
}

// TestWatcherCrashes: the watcher dies before and after each step, at its first, second and third call. The next
// watcher leaves each message once in an incoming stream, and each bad item once in a quarantine.
func TestWatcherCrashes(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		t.Parallel()
		for _, step := range []string{"take before", "take after", "publish before", "publish after", "drop before", "drop after"} {
			for call := 1; call <= 3; call++ {
				t.Run(fmt.Sprintf("%s, call %d", step, call), func(t *testing.T) {
					if err := env.Client.FlushAll(t.Context()).Err(); err != nil {
						t.Fatal(err)
					}
					s := newScene(t, env, env)
					var want []string
					for i := range 10 {
						want = append(want, fmt.Sprint(i))
						s.push("medis:recover:x", item(want[i]))
					}
					s.push("medis:recover:y", "nope", item("10"), item("11", `,"key":"k"`))
					want = append(want, "10", "11")
					n := 0
					crashed := make(chan struct{})
					f := &faulty{crash: func() { close(crashed) }}
					f.fail = func(name string) bool {
						if name == step {
							n++
						}
						return name == step && n == call
					}
					stop := s.start(f)
					select {
					case <-crashed:
					case <-time.After(20 * time.Second):
						t.Fatal("did not crash")
					}
					stop()
					s.start(&faulty{})
					s.await("drained", s.drained)
					bodies, raw := s.arrived()
					slices.Sort(bodies)
					slices.Sort(want)
					if !slices.Equal(bodies, want) || !slices.Equal(raw, []string{"nope"}) {
						t.Errorf("arrived %q and %q, want %q", bodies, raw, want)
					}
				})
			}
		}
	})
}

// TestTwoWatchers: two watchers move the same lists from one Redis to another.
func TestTwoWatchers(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		t.Parallel()
		s := newScene(t, env, streamstest.Mini(t))
		want := map[string]bool{}
		for i := range 300 {
			body := fmt.Sprint(i)
			want[body] = true
			if i%2 == 0 {
				s.push(fmt.Sprintf("medis:recover:%d", i%3), item(body))
			} else if err := s.parked.Client.LPush(t.Context(), "medis:recover:{tag}", item(body)).Err(); err != nil {
				t.Fatal(err)
			}
		}
		s.start(&faulty{})
		s.start(&faulty{})
		s.await("drained", s.drained)
		bodies, _ := s.arrived()
		for _, b := range bodies {
			if !want[b] {
				t.Errorf("%s came twice", b)
			}
			delete(want, b)
		}
		if len(want) > 0 {
			t.Errorf("missing %v", slices.Sorted(maps.Keys(want)))
		}
	})
}

// TestWatcherGarbage: an item that cannot be decoded is kept whole, logged once, and does not hold up others.
func TestWatcherGarbage(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		t.Parallel()
		s := newScene(t, env, env)
		if err := env.Client.Set(t.Context(), "medis:recover:string", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		garbage := map[string]string{
			"":                                       "RECOVFAILDECODE is not JSON: it ends too early",
			"nope":                                   "RECOVFAILDECODE is not JSON: ",
			"\xff\x00":                               "RECOVFAILDECODE is not UTF-8",
			item("x") + item("y"):                    "RECOVFAILDECODE has more than one JSON object",
			`[1]`:                                    "RECOVFAILASSERT is not a JSON object",
			`null`:                                   "RECOVFAILASSERT body: is missing",
			`{"body":"x"}`:                           "RECOVFAILASSERT topic: is missing",
			`{"topic":"a"}`:                          "RECOVFAILASSERT body: is missing",
			`{"topic":"a..b","body":""}`:             "RECOVFAILASSERT topic: ",
			`{"topic":"a","body":{"x":1}}`:           "RECOVFAILASSERT body: is not a JSON string",
			`{"topic":"a","body":"","headers":"{}"}`: "RECOVFAILASSERT headers: is not an object of strings",
			item("x", `,"time":"noon"`):              "RECOVFAILASSERT time: ",
			item(strings.Repeat("b", 1001)):          "RECOVFAILASSERT body: is 1001 bytes long; the limit is 1000 (MEDIS_MAX_BODY)",
			item(strings.Repeat("b", 1<<19)):         "RECOVFAILASSERT is 524313 bytes long; a message within MEDIS_MAX_BODY takes at most",
			item("x", `,"delay":-1,"key":"k"`):       "RECOVFAILASSERT delay: ",
		}
		for text := range garbage {
			s.push("medis:recover:x", text, item("good"))
		}
		s.start(&faulty{})
		s.await("drained", func() bool {
			return s.parked.Client.Exists(t.Context(), "medis:recover:x").Val() == 0 && s.parked.Client.Exists(t.Context(), "medis:recovering:{medis:recover:x}").Val() == 0
		})
		bodies, raw := s.arrived()
		if len(bodies) != len(garbage) || len(raw) != len(garbage) {
			t.Errorf("%d published, %d quarantined; want %d of each", len(bodies), len(raw), len(garbage))
		}
		key := medispatcher.Partition("k", "", 2)
		for p := range 2 {
			for _, e := range env.Client.XRange(t.Context(), fmt.Sprintf("medis:{%d}:quarantine", p), "-", "+").Val() {
				text, reason := e.Values["raw"].(string), e.Values["reason"].(string)
				if want := garbage[text]; !strings.HasPrefix(reason, want) || e.Values["source"] != "medis:recover:x" {
					t.Errorf("%.40q: %q, want %q", text, reason, want)
				}
				if want := strings.Contains(text, `"key"`); want != (p == key) && (want || p != 0) {
					t.Errorf("%.40q is in partition %d", text, p)
				}
			}
		}
		if got := s.codes(); got != "map[RECOVFAILASSERT:11 RECOVFAILDECODE:4]" {
			t.Errorf("DATA log %s", got)
		}
		for _, l := range s.lines {
			if fields, err := l.Fields(); err != nil || garbage[fields["raw"]] == "" || l.Source != "medis:recover:x" || l.Token == "" {
				t.Errorf("line %+v, %v", l, err)
			}
		}
		s.await("a warning", func() bool { return strings.Contains(s.logged(), "medis:recover:string") })
		if n := strings.Count(s.logged(), "named like a recover list"); n != 1 {
			t.Errorf("%d warnings about the wrong key", n)
		}
		if n := env.Client.HGet(t.Context(), "medis:stats:{0}:total", "recovered").Val(); n == "" {
			t.Error("not counted")
		}
	})
}

// TestWatcherWithoutMain: while the main Redis refuses messages, one batch is in hand, each of its messages is in
// the DATA log once, and nothing more is taken. Then all messages move.
func TestWatcherWithoutMain(t *testing.T) {
	t.Parallel()
	streamstest.Each(t, func(t *testing.T, env *streamstest.Env) {
		t.Parallel()
		s := newScene(t, env, streamstest.Mini(t))
		for p := range 2 {
			if err := env.Client.Set(t.Context(), fmt.Sprintf("medis:{%d}:incoming", p), "not a stream", 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 10 {
			s.push("medis:recover:x", item(fmt.Sprint(i), `,"delay":"1h"`))
		}
		f := &faulty{}
		s.start(f)
		s.await("several tries", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.takes["medis:recover:x"] >= 3 })
		if got := s.codes(); got != "map[RECOVFAILBACK:3]" {
			t.Errorf("DATA log %s, want each message in hand once", got)
		}
		if l := s.lines[0]; *l.Message.Body != "0" || l.Message.Delay != 3_600_000 || l.Token == "" || !strings.Contains(l.Error, "WRONGTYPE") {
			t.Errorf("line %+v", l)
		}
		if n := s.parked.Client.LLen(t.Context(), "medis:recover:x").Val(); n != 7 {
			t.Errorf("%d left in the list, want 7", n)
		}
		env.Client.Del(t.Context(), "medis:{0}:incoming", "medis:{1}:incoming")
		s.await("drained", s.drained)
		if bodies, _ := s.arrived(); len(bodies) != 10 {
			t.Errorf("arrived %q", bodies)
		}
	})
}

// TestWatcherTakesNothingInVain: nothing is taken from a list while the main Redis takes no writes.
func TestWatcherTakesNothingInVain(t *testing.T) {
	t.Parallel()
	s := newScene(t, streamstest.Mini(t), streamstest.Mini(t))
	s.push("medis:recover:x", item("x"))
	probes := 0
	f := &faulty{away: func(step string) bool {
		if step == "probe" {
			probes++
			return probes <= 2
		}
		if probes <= 2 {
			t.Errorf("%s while the main Redis is away", step)
		}
		return false
	}}
	s.start(f)
	s.await("drained", s.drained)
}

// TestWatcherFairness: neither a list that cannot be moved nor a long one holds up others.
func TestWatcherFairness(t *testing.T) {
	t.Parallel()
	s := newScene(t, streamstest.Mini(t), streamstest.Mini(t))
	for i := range 200 {
		s.push("medis:recover:a-long", item(fmt.Sprint(i)))
	}
	s.push("medis:recover:b-stuck", item("x"))
	// The key of its items in hand is not a hash, so it cannot be moved.
	if err := s.parked.Client.Set(t.Context(), "medis:recovering:{medis:recover:b-stuck}", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.push("medis:recover:c-short", item("short"))
	s.start(&faulty{})
	s.await("the long and the short one", func() bool {
		return s.parked.Client.Exists(t.Context(), "medis:recover:a-long", "medis:recover:c-short").Val() == 0
	})
	bodies, _ := s.arrived()
	s.await("all", func() bool { bodies, _ = s.arrived(); return len(bodies) == 201 })
	at := 0
	for p := range 2 {
		for i, e := range s.main.Client.XRange(t.Context(), fmt.Sprintf("medis:{%d}:incoming", p), "-", "+").Val() {
			if e.Values["body"] == "short" {
				at = i
			}
		}
	}
	if at > 6 {
		t.Errorf("the short list came behind %d messages of the long one", at)
	}
	if n := strings.Count(s.logged(), "cannot move the items of a recover list"); n != 1 {
		t.Errorf("%d warnings about the one that is stuck", n)
	}
}
