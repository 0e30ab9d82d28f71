package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
	"github.com/solate/medispatcher/streams/streamstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// arrived is one request that the world got.
type arrived struct {
	sub, id, attempt string
	at               time.Time
}

// world answers requests.
type world struct {
	answer func(r *http.Request) (status int, after time.Duration)

	mu       sync.Mutex
	got      []arrived
	inflight map[string]int
	most     map[string]int
}

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	sub := r.Header.Get("medis-subscription")
	w.mu.Lock()
	w.got = append(w.got, arrived{sub, r.Header.Get("webhook-id"), r.Header.Get("medis-attempt"), time.Now()})
	w.inflight[sub]++
	w.most[sub] = max(w.most[sub], w.inflight[sub])
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.inflight[sub]--
		w.mu.Unlock()
	}()
	status, after := 200, time.Duration(0)
	if w.answer != nil {
		status, after = w.answer(r)
	}
	if after > 0 && !medispatcher.Sleep(r.Context(), after) {
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("answer")), Request: r}, nil
}

func (w *world) of(sub string) []arrived {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []arrived
	for _, a := range w.got {
		if a.sub == sub {
			out = append(out, a)
		}
	}
	return out
}

// peak is the most requests in flight since the last call.
func (w *world) peak(sub string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.most[sub]
	w.most[sub] = 0
	return n
}

// fixture is a scheduler on a queue in memory.
type fixture struct {
	t       *testing.T
	q       *streamstest.Memory
	w       *world
	s       *Scheduler
	subs    map[string]medispatcher.Subscription
	applied map[string]*medispatcher.Subscription // those of subs that are in force
	start   time.Time

	mu       sync.Mutex
	gone     []string
	breakers []any // subscription, whether it opened, …
}

func subscription(id string) medispatcher.Subscription {
	s := streamstest.Rules().Defaults
	s.ID, s.Topic, s.URLs = id, "t", []string{"http://" + id + "/"}
	return s
}

func newFixture(t *testing.T, subs ...medispatcher.Subscription) *fixture {
	t.Helper()
	f := &fixture{
		t: t, q: streamstest.NewMemory(), subs: map[string]medispatcher.Subscription{}, applied: map[string]*medispatcher.Subscription{}, start: time.Now(),
		w: &world{inflight: map[string]int{}, most: map[string]int{}},
	}
	f.s = New(Config{
		Partitions: 1, Client: clientOf(t, f.w), Log: slog.New(slog.DiscardHandler), ShutdownTimeout: 20 * time.Second,
		Events: Events{
			Gone: func(sub *medispatcher.Subscription) {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.gone = append(f.gone, sub.ID)
			},
			Breaker: func(sub string, open bool, _ string) {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.breakers = append(f.breakers, sub, open)
			},
		},
	}, f.q, f.q)
	for _, s := range subs {
		f.subs[s.ID] = s
	}
	f.apply(f.subs)
	return f
}

// apply puts subscriptions in force, and those that are not among them out of force.
func (f *fixture) apply(subs map[string]medispatcher.Subscription) {
	var changes []medispatcher.SubscriptionChange
	for id, was := range f.applied {
		if _, still := subs[id]; !still {
			changes = append(changes, medispatcher.SubscriptionChange{Was: was})
			delete(f.applied, id)
		}
	}
	for id, sub := range subs {
		if was := f.applied[id]; was == nil || !reflect.DeepEqual(*was, sub) {
			changes = append(changes, medispatcher.SubscriptionChange{Was: was, Now: &sub})
			f.applied[id] = &sub
		}
	}
	f.s.Apply(changes)
}

// told returns what was told of 410 answers and of breakers.
func (f *fixture) told() (gone []string, breakers []any) {
	f.s.news.wait(f.t.Context())
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gone, f.breakers
}

func (f *fixture) change(sub string, change func(*medispatcher.Subscription)) {
	s := f.subs[sub]
	change(&s)
	f.subs[sub] = s
	f.apply(f.subs)
}

// put publishes n messages to a subscription and rings.
func (f *fixture) put(sub string, n int) {
	c := medispatcher.Channel{Subscription: sub}
	for range n {
		f.q.Put(c, medispatcher.Message{Topic: "t", Body: []byte("{}"), Type: "application/json"})
	}
	f.s.Ring([]medispatcher.Channel{c})
}

// run starts the scheduler; the function it returns stops it and returns its error.
func (f *fixture) run() (stop func() error) {
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- f.s.Run(ctx) }()
	synctest.Wait()
	return func() error { cancel(); return <-done }
}

func (f *fixture) left(sub string) string {
	return fmt.Sprint(f.q.Left(medispatcher.Channel{Subscription: sub}))
}

func (f *fixture) wantLeft(sub, want string) {
	f.t.Helper()
	if got := f.left(sub); got != want {
		f.t.Errorf("left in %s: %s, want %s", sub, got, want)
	}
}

func (f *fixture) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Error(err)
	}
}

func TestEveryMessageIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"), subscription("b"))
		stop := f.run()
		f.put("a", 500)
		f.put("b", 300)
		time.Sleep(time.Second)
		f.wantLeft("a", "map[]")
		f.wantLeft("b", "map[]")
		if a, b := len(f.w.of("a")), len(f.w.of("b")); a != 500 || b != 300 {
			t.Errorf("%d and %d deliveries, want 500 and 300", a, b)
		}
		f.ok(stop())
	})
}

func TestSlowSubscriberHoldsNothingOfOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("slow"), subscription("quick"))
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			if r.URL.Host == "slow" {
				return 200, 4 * time.Second
			}
			return 200, time.Millisecond
		}
		stop := f.run()
		f.put("slow", 100)
		f.put("quick", 1000)
		time.Sleep(2 * time.Second)
		f.wantLeft("quick", "map[]")
		if n := f.w.peak("slow"); n != 8 {
			t.Errorf("%d requests in flight at the slow one, want its concurrency, 8", n)
		}
		f.wantLeft("slow", "map[mine:8 ready:92]") // a worker holds nothing that it has not started
		f.ok(stop())
	})
}

func TestConcurrencyChangesLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, time.Second }
		stop := f.run()
		f.put("a", 300)
		for _, want := range []int{8, 20, 3} {
			f.change("a", func(s *medispatcher.Subscription) { s.Concurrency = want })
			time.Sleep(1500 * time.Millisecond) // those in flight with the old value have ended
			f.w.peak("a")
			time.Sleep(2 * time.Second)
			if got := f.w.peak("a"); got != want {
				t.Errorf("%d in flight, want %d", got, want)
			}
		}
		f.ok(stop())
	})
}

// TestRaisedConcurrencyStartsWhatWasReadAhead: a worker that was quick and hangs now has a message
// read ahead for a slot that does not become free; more slots take it at once.
func TestRaisedConcurrencyStartsWhatWasReadAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.Concurrency = 1
		f := newFixture(t, sub)
		var hangs atomic.Bool
		f.w.answer = func(*http.Request) (int, time.Duration) {
			if hangs.Load() {
				return 200, 4 * time.Second
			}
			return 200, time.Millisecond
		}
		stop := f.run()
		f.put("a", 5)
		time.Sleep(time.Second)
		hangs.Store(true)
		f.put("a", 7)
		time.Sleep(100 * time.Millisecond)
		f.wantLeft("a", "map[mine:4 ready:3]") // one in flight, three read ahead
		f.change("a", func(s *medispatcher.Subscription) { s.Concurrency = 4 })
		time.Sleep(100 * time.Millisecond)
		if n := f.w.peak("a"); n != 4 {
			t.Errorf("%d requests in flight, want 4", n)
		}
		time.Sleep(10 * time.Second)
		f.ok(stop())
		f.wantLeft("a", "map[]")
	})
}

func TestRetriesUntilDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.MaxRetries = 3
		f := newFixture(t, sub)
		f.w.answer = func(*http.Request) (int, time.Duration) { return 500, 0 }
		stop := f.run()
		f.put("a", 1)
		time.Sleep(time.Hour)
		f.wantLeft("a", "map[dead:1]")
		got := f.w.of("a")
		if len(got) != 4 {
			t.Fatalf("%d attempts, want 4", len(got))
		}
		for n := 1; n < 4; n++ {
			wait, least := got[n].at.Sub(got[n-1].at), time.Duration(n*n)*10*time.Second
			if wait < least || wait > least*12/10+10*time.Millisecond || got[n].attempt != fmt.Sprint(n+1) || got[n].id != got[0].id {
				t.Errorf("attempt %s of %s after %s, want attempt %d of %s after %s", got[n].attempt, got[n].id, wait, n+1, got[0].id, least)
			}
		}
		f.ok(stop())
	})
}

func TestRetriesAndFreshMessagesDoNotStarveEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.RetryCoefficient = 0
		sub.MaxRetries = 1000
		f := newFixture(t, sub)
		// Odd messages can never be taken; even ones keep the breaker closed.
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			if id := r.Header.Get("webhook-id"); (id[len(id)-3]-'0')%2 == 1 {
				return 500, 100 * time.Millisecond
			}
			return 200, 10 * time.Millisecond
		}
		stop := f.run()
		for range 200 { // a storm: a hundred messages that fail and are due again at once
			f.put("a", 1)
			time.Sleep(25 * time.Millisecond)
		}
		before := len(f.w.of("a"))
		f.put("a", 200)
		time.Sleep(1500 * time.Millisecond)
		fresh := 0
		for _, a := range f.w.of("a")[before:] {
			if a.attempt == "1" {
				fresh++
			}
		}
		if retries := len(f.w.of("a")) - before - fresh; fresh != 200 || retries < 20 {
			t.Errorf("%d fresh and %d retries in 1.5 s, want 200 and about 30", fresh, retries)
		}
		f.ok(stop())
	})
}

func TestInterval(t *testing.T) {
	t.Parallel()
	for _, interval := range []time.Duration{300 * time.Microsecond, 20 * time.Millisecond, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			sub := subscription("a")
			sub.Interval = medispatcher.Duration(interval)
			f := newFixture(t, sub)
			stop := f.run()
			f.put("a", 100)
			time.Sleep(50 * interval)
			got := f.w.of("a")
			if len(got) < 40 || len(got) > 52 {
				t.Errorf("%d in 50 intervals of %s", len(got), interval)
			}
			for i := 1; i < len(got); i++ {
				if d := got[i].at.Sub(got[i-1].at); d < interval-time.Microsecond {
					t.Fatalf("%s between two pushes, want %s", d, interval)
				}
			}
			f.ok(stop())
		})
	}
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		stop := f.run()
		f.change("a", func(s *medispatcher.Subscription) { s.Paused = true })
		f.put("a", 10)
		time.Sleep(time.Minute)
		f.wantLeft("a", "map[ready:10]")
		f.change("a", func(s *medispatcher.Subscription) { s.Paused = false })
		time.Sleep(100 * time.Millisecond)
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}

func TestLostDoorbellIsRepaired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		stop := f.run()
		f.q.Put(medispatcher.Channel{Subscription: "a"}, medispatcher.Message{Topic: "t"})
		time.Sleep(6 * time.Second)
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}

func TestIdleSubscriptionsCostNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var subs []medispatcher.Subscription
		for i := range 1000 {
			subs = append(subs, subscription(fmt.Sprintf("s%d", i)))
		}
		f := newFixture(t, subs...)
		stop := f.run()
		f.put("s7", 100)
		time.Sleep(time.Minute)
		f.wantLeft("s7", "map[]")
		if n := f.q.Reads(); n > 200 {
			t.Errorf("%d reads for 100 messages of one subscription", n)
		}
		f.ok(stop())
	})
}

func TestShutdownLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, 3 * time.Second }
		stop := f.run()
		f.put("a", 20)
		time.Sleep(time.Second)
		f.ok(stop())
		if n := f.q.Count("sent:a"); n != 8 {
			t.Errorf("%d sent, want the 8 in flight", n)
		}
		f.wantLeft("a", "map[ready:12]")
	})
}

func TestShutdownDeadlineGivesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.Timeout = medispatcher.Duration(time.Hour)
		f := newFixture(t, sub)
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, time.Hour }
		stop := f.run()
		f.put("a", 20)
		time.Sleep(time.Second)
		if err := stop(); err == nil {
			t.Error("no error although the deadline passed")
		}
		f.wantLeft("a", "map[ready:12 retrying:8]")
		due, _, err := f.q.Due(t.Context(), 0, []medispatcher.Want{{Channel: medispatcher.Channel{Subscription: "a"}, Max: 100}})
		if err != nil || len(due) != 8 || due[0].Attempt != 1 {
			t.Errorf("%d due, first %+v, want 8 with the attempt not counted", len(due), due)
		}
	})
}

// failOnce makes each of some steps fail once.
func failOnce(steps ...string) func(string) error {
	var mu sync.Mutex
	left := map[string]bool{}
	for _, s := range steps {
		left[s] = true
	}
	return func(step string) error {
		mu.Lock()
		defer mu.Unlock()
		if left[step] {
			delete(left, step)
			return errors.New("connection lost")
		}
		return nil
	}
}

func TestLostRepliesOfSettling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.RetryCoefficient = medispatcher.Duration(time.Second)
		f := newFixture(t, sub)
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			if r.Header.Get("medis-attempt") == "1" {
				return 500, 0
			}
			return 200, 0
		}
		f.q.Fail = failOnce("retry", "retry reply", "delete", "delete reply", "due")
		stop := f.run()
		f.put("a", 10)
		time.Sleep(30 * time.Second)
		f.wantLeft("a", "map[]")
		if failed, sent := f.q.Count("failed:a"), f.q.Count("sent:a"); failed != 10 || sent != 10 || len(f.w.of("a")) != 20 {
			t.Errorf("%d failed, %d sent, %d requests; want 10, 10, 20", failed, sent, len(f.w.of("a")))
		}
		f.ok(stop())
	})
}

// TestRefusedOutcomesHoldUpNoOthers: Redis, out of memory, refuses dead letters. All other outcomes are settled.
func TestRefusedOutcomesHoldUpNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dying := subscription("dying")
		dying.MaxRetries, dying.Concurrency = 0, 700
		f := newFixture(t, dying, subscription("a"))
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			if r.URL.Host == "dying" {
				return 500, 500 * time.Millisecond // all are under way before the breaker hears of one
			}
			return 200, time.Millisecond
		}
		var full atomic.Bool
		full.Store(true)
		f.q.Fail = func(step string) error {
			if step == "kill" && full.Load() {
				return errors.New("OOM")
			}
			return nil
		}
		stop := f.run()
		f.put("dying", 600) // more than a batch
		time.Sleep(time.Second)
		f.put("a", 2000)
		time.Sleep(time.Minute)
		f.wantLeft("a", "map[]")
		full.Store(false)
		time.Sleep(10 * time.Second)
		if n := f.q.Count("dead:dying"); n == 0 {
			t.Error("no dead letters although Redis takes them again")
		}
		f.ok(stop())
	})
}

// TestOutcomesThatRedisNeverHas: at the shutdown deadline they are told, with their messages.
func TestOutcomesThatRedisNeverHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		var never []string
		lost := errors.New("connection lost")
		f.s.cfg.Events.Unsettled = func(s *medispatcher.Settlement, err error) {
			never = append(never, fmt.Sprintf("%s %s %s, lost %t", s.Outcome, s.Subscription, s.Message.Body, errors.Is(err, lost)))
		}
		f.q.Fail = func(step string) error {
			if step == "delete" {
				return lost
			}
			return nil
		}
		stop := f.run()
		f.put("a", 1)
		time.Sleep(time.Second)
		if err := stop(); !errors.Is(err, lost) {
			t.Errorf("error %v", err)
		}
		if fmt.Sprint(never) != "[sent a {}, lost true]" {
			t.Errorf("told of %q", never)
		}
	})
}

// TestReadingStopsWhileNothingIsSettled: large messages that Redis does not take fill the budget of bodies.
func TestReadingStopsWhileNothingIsSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.Concurrency = 100 // else the slots would stop the reading
		f := newFixture(t, sub)
		var away atomic.Bool
		away.Store(true)
		f.q.Fail = func(step string) error {
			if step == "delete" && away.Load() {
				return errors.New("connection lost")
			}
			return nil
		}
		const size = http1.MaxInline + 1
		const budget = 64 * size
		f.budget(budget, size)
		stop := f.run()
		f.putBodies("a", 200, make([]byte, size))
		time.Sleep(10 * time.Second)
		if n := len(f.w.of("a")); n < budget/size/2 || n > budget/size {
			t.Errorf("%d large requests while nothing is settled, want %d at most", n, budget/size)
		}
		away.Store(false)
		time.Sleep(10 * time.Second)
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}

func TestEntriesOfALostReadAreFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.q.Fail = failOnce("read reply")
		stop := f.run()
		f.put("a", 10)
		time.Sleep(20 * time.Second)
		f.wantLeft("a", "map[]")
		for _, a := range f.w.of("a") {
			if a.attempt != "1" {
				t.Errorf("attempt %s: an attempt that was never made is counted", a.attempt)
			}
		}
		f.ok(stop())
	})
}

func TestGoneIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 410, 0 }
		stop := f.run()
		f.put("a", 1)
		time.Sleep(time.Second)
		f.wantLeft("a", "map[retrying:1]")
		if gone, _ := f.told(); fmt.Sprint(gone) != "[a]" {
			t.Errorf("gone %v", gone)
		}
		f.ok(stop())
	})
}

func TestRemovedSubscriptionEndsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, time.Second }
		stop := f.run()
		f.put("a", 10)
		time.Sleep(100 * time.Millisecond)
		delete(f.subs, "a")
		f.apply(f.subs)
		time.Sleep(5 * time.Second)
		f.wantLeft("a", "map[ready:2]")
		if n := f.q.Count("sent:a"); n != 8 {
			t.Errorf("%d sent, want 8", n)
		}
		f.ok(stop())
	})
}

func TestBreakerHoldsMessagesAndRecoversAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.MaxRetries, sub.RetryCoefficient = 100, medispatcher.Duration(100*time.Millisecond)
		f := newFixture(t, sub)
		down := true
		f.w.answer = func(*http.Request) (int, time.Duration) {
			f.w.mu.Lock()
			defer f.w.mu.Unlock()
			if down {
				return 503, time.Millisecond
			}
			return 200, time.Millisecond
		}
		stop := f.run()
		f.put("a", 500)
		time.Sleep(time.Minute)
		if n := len(f.w.of("a")); n < 10 || n > 40 {
			t.Errorf("%d attempts in a minute at a target that is down, want a few and a probe every %s", n, probeEvery)
		}
		if held := f.s.Held(); len(held) != 1 || held[0].Subscription != "a" || held[0].Since.Sub(f.start) > time.Second {
			t.Errorf("held %v", held)
		}
		if left := f.q.Left(medispatcher.Channel{Subscription: "a"}); left["dead"] > 0 || left["ready"] < 400 {
			t.Errorf("left %v: attempts were burnt", left)
		}
		f.w.mu.Lock()
		down = false
		f.w.mu.Unlock()
		time.Sleep(probeEvery + 2*time.Second) // the probe, and then everything
		f.wantLeft("a", "map[]")
		if got := fmt.Sprint(f.s.Held()); got != "[]" {
			t.Errorf("held %s", got)
		}
		if _, breakers := f.told(); fmt.Sprint(breakers) != "[a true a false]" {
			t.Errorf("told %v", breakers)
		}
		f.ok(stop())
	})
}

// TestBreakerThatIsReplacedIsTold: somebody paused, changed or removed the subscription.
func TestBreakerThatIsReplacedIsTold(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(f *fixture){
		"resumed": func(f *fixture) {
			f.change("a", func(s *medispatcher.Subscription) { s.Paused = true })
			f.change("a", func(s *medispatcher.Subscription) { s.Paused = false })
		},
		"other URL": func(f *fixture) {
			f.change("a", func(s *medispatcher.Subscription) { s.URLs = []string{"http://b/"} })
		},
		"removed": func(f *fixture) {
			delete(f.subs, "a")
			f.apply(f.subs)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, subscription("a"))
			f.w.answer = func(*http.Request) (int, time.Duration) { return 503, time.Millisecond }
			stop := f.run()
			f.put("a", 20)
			time.Sleep(time.Second)
			change(f)
			_, breakers := f.told()
			if got := fmt.Sprint(breakers, f.s.Held()); got != "[a true a false] []" {
				t.Errorf("%s: told, and held %s", name, got)
			}
			f.ok(stop())
		})
	}
}

func TestRingDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.RetryCoefficient = medispatcher.Duration(time.Hour)
		f := newFixture(t, sub)
		f.s.cfg.SweepEvery = 24 * time.Hour // only the doorbell tells
		answers := []int{500, 200}
		f.w.answer = func(*http.Request) (int, time.Duration) {
			status := answers[0]
			answers = answers[1:]
			return status, 0
		}
		stop := f.run()
		c := medispatcher.Channel{Subscription: "a"}
		f.put("a", 1)
		time.Sleep(time.Second)
		f.wantLeft("a", "map[retrying:1]")
		f.q.Kick(c)
		f.s.RingDue([]medispatcher.Channel{c, {Subscription: "unknown"}})
		time.Sleep(time.Second)
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}

func TestOneBadMessageOpensNoBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sub := subscription("a")
		sub.MaxRetries, sub.RetryCoefficient = 100, 0
		f := newFixture(t, sub)
		f.w.answer = func(*http.Request) (int, time.Duration) { return 400, time.Millisecond }
		stop := f.run()
		f.put("a", 2)
		time.Sleep(2 * time.Second)
		f.wantLeft("a", "map[dead:2]")
		f.ok(stop())
	})
}

func TestDropPolicy(t *testing.T) {
	t.Parallel()
	for action, left := range map[string]string{medispatcher.DropNow: "map[]", medispatcher.DropLog: "map[]", medispatcher.DropKeep: "map[dead:1]"} {
		synctest.Test(t, func(t *testing.T) {
			sub := subscription("a")
			sub.Drop = medispatcher.DropPolicy{Threshold: 2, Action: action}
			f := newFixture(t, sub)
			f.w.answer = func(*http.Request) (int, time.Duration) { return 500, 0 }
			stop := f.run()
			f.put("a", 1)
			time.Sleep(time.Hour)
			f.wantLeft("a", left)
			if n := len(f.w.of("a")); n != 2 {
				t.Errorf("%s: %d attempts, want the threshold, 2", action, n)
			}
			f.ok(stop())
		})
	}
}
