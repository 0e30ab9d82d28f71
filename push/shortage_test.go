package push

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// scarce is a machine that has so many descriptors for connections.
type scarce struct {
	err error

	mu        sync.Mutex
	has, used int
	refused   int // connections
	dialled   int
}

// dial takes a descriptor, if there is one.
func (s *scarce) dial(_ string, c net.Conn) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used >= s.has {
		s.refused++
		return nil, s.err
	}
	s.used++
	s.dialled++
	return &descriptor{Conn: c, of: s}, nil
}

// descriptor is a connection that holds one.
type descriptor struct {
	net.Conn
	of   *scarce
	once sync.Once
}

func (d *descriptor) Close() error {
	d.once.Do(func() {
		d.of.mu.Lock()
		defer d.of.mu.Unlock()
		d.of.used--
	})
	return d.Conn.Close()
}

// seen is how many connections were refused for lack of a descriptor, and how many were made.
func (s *scarce) seen() (refused, dialled int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused, s.dialled
}

func (s *scarce) become(has int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has = has
}

// broken has the worker refuse everything until it is mended.
func (f *fixture) broken() (mend func()) {
	status := 500
	f.w.answer = func(*http.Request) (int, time.Duration) {
		f.w.mu.Lock()
		defer f.w.mu.Unlock()
		return status, 0
	}
	return func() {
		f.w.mu.Lock()
		defer f.w.mu.Unlock()
		status = 200
	}
}

func noDescriptor() error { return os.NewSyscallError("socket", syscall.EMFILE) }

// newScarce is a fixture on such a machine.
func newScarce(t *testing.T, has int, err error, subs ...medispatcher.Subscription) (*fixture, *scarce, *[]string) {
	t.Helper()
	f := newFixture(t, subs...)
	s := &scarce{has: has, err: err}
	f.s.cfg.Client = clientOf(t, f.w, s.dial)
	var mu sync.Mutex
	told := &[]string{}
	f.s.cfg.Events.Short = func(what string) {
		mu.Lock()
		defer mu.Unlock()
		*told = append(*told, what)
	}
	return f, s, told
}

// TestSchedulerOnAMachineThatIsShort: with 100 at once and descriptors for 30, everything is delivered by first
// attempts, and the dispatcher finds out how many go at once.
func TestSchedulerOnAMachineThatIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := subscription("a")
		a.Concurrency = 100
		a.URLs = []string{"http://a/", "http://b/"}
		f, s, told := newScarce(t, 30, noDescriptor(), a)
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, 10 * time.Millisecond }
		stop := f.run()
		f.put("a", 2000)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		f.wantLeft("a", "map[]")
		got := f.w.of("a")
		if len(got) != 2000 {
			t.Errorf("%d requests went out for 2000 messages", len(got))
		}
		for _, r := range got {
			if r.attempt != "1" {
				t.Fatalf("attempt %s, though none failed", r.attempt)
			}
		}
		if refused, _ := s.seen(); refused == 0 || refused > 400 {
			t.Errorf("%d connections lacked a descriptor", refused)
		}
		if what, _ := f.s.Shortage(); what != "file descriptors" {
			t.Errorf("short of %q", what)
		}
		s.become(1000)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		f.put("a", 1000)
		time.Sleep(time.Second)
		synctest.Wait()
		f.w.peak("a")
		f.put("a", 1000)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := f.w.peak("a"); n < 90 {
			t.Errorf("at most %d at once, long after the shortage", n)
		}
		if what, _ := f.s.Shortage(); what != "" {
			t.Errorf("still short of %q", what)
		}
		f.ok(stop())
		_, breakers := f.told()
		if refused, _ := s.seen(); len(*told) == 0 || len(*told) > refused || len(breakers) > 0 {
			t.Errorf("%d connections lacked a descriptor, told %d times; breakers %v", refused, len(*told), breakers)
		}
	})
}

// TestNothingAtAllIsLeft: for a while no attempt can be made. Nothing spins, nothing is counted, and what waits
// is released in time for other dispatchers to take it.
func TestNothingAtAllIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := subscription("a")
		a.Concurrency = 20
		f, s, _ := newScarce(t, 0, noDescriptor(), a)
		stop := f.run()
		f.put("a", 50)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if refused, _ := s.seen(); refused > 200 {
			t.Errorf("%d attempts in half a minute", refused)
		}
		if got := f.w.of("a"); len(got) > 0 {
			t.Fatalf("%d requests", len(got))
		}
		s.become(50)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		f.wantLeft("a", "map[]")
		for _, r := range f.w.of("a") {
			if r.attempt != "1" {
				t.Fatalf("attempt %s, though none failed", r.attempt)
			}
		}
		f.ok(stop())
	})
}

// TestStopDuringAShortage: a message that waits for this machine is released, the attempt not counted.
func TestStopDuringAShortage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := newScarce(t, 0, noDescriptor(), subscription("a"))
		stop := f.run()
		f.put("a", 5)
		time.Sleep(time.Second)
		synctest.Wait()
		began := time.Now()
		f.ok(stop())
		if d := time.Since(began); d > time.Second {
			t.Errorf("stopping took %s", d)
		}
		f.wantLeft("a", "map[retrying:5]")
	})
}

// TestShortageOfPortsIsOneTargets: local ports run out for one address. Its messages wait; others do not.
func TestShortageOfPortsIsOneTargets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, s, _ := newScarce(t, 0, &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, Err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}, subscription("a"), subscription("b"))
		f.s.cfg.Client = clientOf(t, f.w, func(addr string, c net.Conn) (net.Conn, error) {
			if addr == "a:80" {
				return s.dial(addr, c)
			}
			return c, nil
		})
		stop := f.run()
		f.put("a", 20)
		time.Sleep(time.Second)
		synctest.Wait()
		f.put("b", 500)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		f.wantLeft("b", "map[]")
		if what, _ := f.s.Shortage(); what != "local ports" {
			t.Errorf("short of %q", what)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if refused, _ := s.seen(); refused > 400 {
			t.Errorf("%d attempts in twenty seconds", refused)
		}
		s.become(50)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}

// TestLookupDuringAShortage: a name that cannot be looked up for lack of descriptors is no failure of the worker; when
// nothing is short, it is.
func TestLookupDuringAShortage(t *testing.T) {
	t.Parallel()
	sh := &shortage{cfg: &Config{Log: slog.New(slog.DiscardHandler), Client: refusing(t, errRefused)}}
	sh.news = &news{cfg: sh.cfg}
	now := time.Now()
	lookup := func() *result {
		return &result{err: &net.DNSError{Err: "server misbehaving", Name: "a"}, target: "http://a/"}
	}
	r := lookup()
	enter := func() int {
		round, ok := sh.enter(new(time.Time), t.Context().Done(), func() {})
		if !ok {
			t.Fatal("not let in")
		}
		return round
	}
	enter()
	if sh.left(r, now); r.short {
		t.Error("blamed on a shortage, and there is none")
	}
	sh.met(enter(), noDescriptor())
	sh.limit = 0
	now = time.Now()
	enter()
	if sh.left(r, now); !r.short {
		t.Error("counted, while descriptors are short")
	}
	refused := &result{err: syscall.ECONNREFUSED}
	if sh.left(refused, now); refused.short {
		t.Error("a refused connection is blamed on the shortage")
	}
	r = lookup()
	if sh.left(r, now.Add(shortageNear+1)); r.short {
		t.Error("blamed on a shortage that has ended")
	}
}

// TestShortageIsNoFailureOfTheTarget: the other URLs are not preferred, and nothing is known of this one.
func TestShortageIsNoFailureOfTheTarget(t *testing.T) {
	t.Parallel()
	var asked []string
	client := clientOf(t, nil, func(addr string, _ net.Conn) (net.Conn, error) {
		asked = append(asked, strings.TrimSuffix(addr, ":80"))
		return nil, noDescriptor()
	})
	sub := subscription("s")
	sub.URLs = []string{"http://a/", "http://b/"}
	st := newSettings(&sub, "")
	for range 4 {
		r := attempt(t, client, &poster{}, st, delivery(nil))
		if !r.short || !errors.Is(r.err, syscall.EMFILE) || r.problem() == "" {
			t.Errorf("%+v is no shortage", r)
		}
	}
	if got := strings.Join(asked, " "); got != "a b a b" {
		t.Errorf("asked %s", got)
	}
}

// TestProbeGoesOutOnANewConnection: only those of an open breaker do.
func TestProbeGoesOutOnANewConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := subscription("a")
		a.MaxRetries = 20
		f, s, _ := newScarce(t, 1000, nil, a)
		mend := f.broken()
		stop := f.run()
		f.put("a", 30)
		time.Sleep(time.Second)
		synctest.Wait()
		_, first := s.seen()
		if first > a.Concurrency || len(f.s.Held()) != 1 {
			t.Fatalf("%d connections of %d workers, breakers %v", first, a.Concurrency, f.s.Held())
		}
		before := len(f.w.of("a"))
		time.Sleep(3 * probeEvery)
		synctest.Wait()
		probes := len(f.w.of("a")) - before
		if _, dialled := s.seen(); dialled-first != probes || probes == 0 {
			t.Errorf("%d of %d probes on new connections", dialled-first, probes)
		}
		mend()
		time.Sleep(2 * probeEvery)
		synctest.Wait()
		if _, dialled := s.seen(); dialled-first > probes+2 {
			t.Errorf("%d requests on new connections, and the breaker is closed", dialled-first-probes)
		}
		f.ok(stop())
	})
}

// TestProbeDuringAShortage: the breaker waits for an attempt that says something.
func TestProbeDuringAShortage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := subscription("a")
		a.MaxRetries = 20
		f, s, _ := newScarce(t, 1000, noDescriptor(), a)
		mend := f.broken()
		stop := f.run()
		f.put("a", 30)
		time.Sleep(time.Second)
		synctest.Wait()
		mend()
		s.become(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(f.s.Held()) != 1 {
			t.Error("the breaker was closed by attempts that were not made")
		}
		s.become(1000)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		f.wantLeft("a", "map[]")
		f.ok(stop())
	})
}
