package push

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push/http1"
)

// network is what can be connected to.
type network struct {
	mu     sync.Mutex
	down   map[string]bool // by host and port
	mute   bool            // what is down does not refuse connections, but answers nothing
	proxy  error           // of the proxy that lets no connection through; nil: it does
	dialed []time.Time     // when a connection to what is down was asked for
}

func (n *network) dial(addr string, c net.Conn) (net.Conn, error) {
	n.mu.Lock()
	down, mute, proxy := n.down[addr], n.mute, n.proxy
	if down || proxy != nil {
		n.dialed = append(n.dialed, time.Now())
	}
	n.mu.Unlock()
	switch {
	case proxy != nil:
		return nil, proxy
	case !down:
		return c, nil
	case mute:
		time.Sleep(5 * time.Second) // the timeout of the subscriptions
		return nil, context.DeadlineExceeded
	}
	return nil, errRefused
}

// set says that a host is down, or back.
func (n *network) set(down bool, hosts ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, host := range hosts {
		n.down[host+":80"] = down
	}
}

// probes is how many connections were asked for since the last call.
func (n *network) probes() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.dialed = nil }()
	return len(n.dialed)
}

// sharing are n subscriptions whose workers are paths of the same hosts.
func sharing(n int, hosts ...string) (subs []medispatcher.Subscription) {
	for i := range n {
		sub := subscription(fmt.Sprint("s", i))
		sub.MaxRetries, sub.RetryCoefficient = 1000, medispatcher.Duration(10*time.Millisecond)
		sub.URLs = nil
		for _, host := range hosts {
			sub.URLs = append(sub.URLs, "http://"+host+"/"+sub.ID)
		}
		subs = append(subs, sub)
	}
	return subs
}

// newOutage runs a scheduler for subscriptions that cannot connect to any of the hosts, until all breakers are open.
func newOutage(t *testing.T, subs []medispatcher.Subscription, hosts ...string) (*fixture, *network, func() error) {
	t.Helper()
	n := &network{down: map[string]bool{}}
	n.set(true, hosts...)
	return newOutageOf(t, subs, n)
}

func newOutageOf(t *testing.T, subs []medispatcher.Subscription, n *network) (*fixture, *network, func() error) {
	t.Helper()
	f := newFixture(t, subs...)
	f.s.cfg.Client = clientOf(t, f.w, n.dial)
	stop := f.run()
	for _, sub := range subs {
		f.put(sub.ID, 4) // so few that probes are retries
	}
	time.Sleep(30 * time.Second)
	if held := f.s.Held(); len(held) != len(subs) {
		t.Fatalf("%d breakers are open", len(held))
	}
	n.probes()
	return f, n, stop
}

// recovered checks that each subscription has all its messages within some time.
func (f *fixture) recovered(within time.Duration, subs ...medispatcher.Subscription) {
	f.t.Helper()
	time.Sleep(within)
	synctest.Wait()
	for _, sub := range subs {
		if left := f.left(sub.ID); left != "map[]" {
			f.t.Errorf("after %s %s has %s left", within, sub.ID, left)
			return
		}
	}
}

// ended checks that nothing of an outage is kept, and stops the scheduler.
func (f *fixture) ended(stop func() error) {
	f.t.Helper()
	f.s.lanes.mu.Lock()
	if n := len(f.s.lanes.outages); n > 0 {
		f.t.Errorf("%d outages are kept", n)
	}
	f.s.lanes.mu.Unlock()
	f.ok(stop())
}

// TestOneProbesForAll: subscriptions that cannot connect to the same host probe as often as one. None recovers later than with
// probes of its own, and not all probe at once.
func TestOneProbesForAll(t *testing.T) {
	t.Parallel()
	for _, mute := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			subs := sharing(300, "h")
			f, n, stop := newOutage(t, subs, "h")
			n.mu.Lock()
			n.mute = mute
			n.mu.Unlock()
			time.Sleep(5 * time.Minute)
			if probes, most := n.probes(), int(5*time.Minute/sharedEvery); probes > most || probes < most/3 {
				t.Errorf("%d probes in five minutes, want up to %d: as many as one breaker makes", probes, most)
			}
			n.set(false, "h")
			within := probeEvery
			if mute {
				within += 5 * time.Second // the probe under way does not notice
			}
			f.recovered(within+100*time.Millisecond, subs...)
			first := map[string]bool{}
			atOnce := map[time.Time]int{}
			for _, a := range f.w.got {
				if !first[a.sub] {
					first[a.sub] = true
					atOnce[a.at]++
				}
			}
			for at, n := range atOnce {
				if n > len(subs)/letGoPart+1 {
					t.Errorf("%d began to probe at %s", n, at)
				}
			}
			f.ended(stop)
		})
	}
}

// TestOneProbesForAllBehindAProxy: subscriptions that a dead proxy lets no message through to, whatever their hosts, probe as often as
// one. Those whose host is down once it is back wait for that host alone.
func TestOneProbesForAllBehindAProxy(t *testing.T) {
	t.Parallel()
	gone := http1.New(http1.Options{Proxy: tunnels(t, func() string { return "" })})
	t.Cleanup(gone.Close)
	sub := subscription("a")
	proxy := attempt(t, gone, &poster{}, newSettings(&sub, ""), delivery(nil)).err
	synctest.Test(t, func(t *testing.T) {
		var subs []medispatcher.Subscription
		for i := range 100 {
			sub := sharing(1, fmt.Sprint("h", i/4))[0]
			sub.ID = fmt.Sprint("s", i)
			subs = append(subs, sub)
		}
		f, n, stop := newOutageOf(t, subs, &network{down: map[string]bool{}, proxy: proxy})
		time.Sleep(5 * time.Minute)
		if probes, most := n.probes(), int(5*time.Minute/sharedEvery); probes > most || probes < most/3 {
			t.Errorf("%d probes in five minutes, want up to %d: as many as one breaker makes", probes, most)
		}
		n.set(true, "h0")
		n.mu.Lock()
		n.proxy = nil
		n.mu.Unlock()
		f.recovered(2*probeEvery, subs[4:]...) // the first probe may be of one whose host is down
		n.probes()
		time.Sleep(time.Minute)
		if probes, most := n.probes(), int(time.Minute/sharedEvery); probes > most || probes < most/3 {
			t.Errorf("%d probes of the host that is down, want up to %d", probes, most)
		}
		n.set(false, "h0")
		f.recovered(probeEvery+100*time.Millisecond, subs[:4]...)
		f.ended(stop)
	})
}

// TestFailingPathHoldsNoOther: what a worker answers, and how long it takes, concerns its own subscription alone, whoever
// probes for all.
func TestFailingPathHoldsNoOther(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func() (status int, after time.Duration){
		"refuses": func() (int, time.Duration) { return 500, 0 },
		"hangs":   func() (int, time.Duration) { return 200, time.Hour },
	} {
		synctest.Test(t, func(t *testing.T) {
			subs := sharing(40, "h")
			f, n, stop := newOutage(t, subs, "h")
			mended := map[string]bool{"/s0": true}
			f.w.answer = func(r *http.Request) (int, time.Duration) {
				f.w.mu.Lock()
				defer f.w.mu.Unlock()
				if mended[r.URL.Path] {
					return 200, 0
				}
				return fails()
			}
			n.set(false, "h")
			f.recovered(probeEvery+100*time.Millisecond, subs[0])
			time.Sleep(time.Minute)
			if held := f.s.Held(); len(held) != len(subs)-1 {
				t.Errorf("%s: %d breakers are open", name, len(held))
			}
			f.w.mu.Lock()
			mended["/s1"] = true
			f.w.mu.Unlock()
			f.recovered(2*probeEvery+100*time.Millisecond, subs[1]) // its own probe, which may have begun
			f.ended(stop)
		})
	}
}

// TestProberThatIsAway: whatever becomes of the subscription whose turn it is, the others are not kept waiting.
func TestProberThatIsAway(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(f *fixture, sub string){
		"paused":  func(f *fixture, sub string) { f.change(sub, func(s *medispatcher.Subscription) { s.Paused = true }) },
		"removed": func(f *fixture, sub string) { delete(f.subs, sub); f.apply(f.subs) },
		"purged":  func(f *fixture, sub string) { _, _, err := f.q.Purge(f.t.Context(), sub); f.ok(err) },
		"hangs": func(f *fixture, sub string) {
			f.s.lanes.mu.Lock()
			defer f.s.lanes.mu.Unlock()
			if sub == "s58" { // the last but one: it reads a message, and that never ends
				b := f.s.lanes.subs[sub].breaker
				b.probing = true
				b.outage.claim(b, time.Now())
			}
		},
		"moved": func(f *fixture, sub string) {
			f.change(sub, func(s *medispatcher.Subscription) { s.URLs = []string{"http://other/"} })
		},
		"more patient": func(f *fixture, sub string) {
			f.change(sub, func(s *medispatcher.Subscription) { s.Timeout = medispatcher.Duration(50 * time.Second) })
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			subs := sharing(60, "h")
			f, n, stop := newOutage(t, subs, "h")
			last := subs[len(subs)-1]
			for _, sub := range subs[:len(subs)-1] { // in their turn and out of it, while they probe and while they wait
				leave(f, sub.ID)
				time.Sleep(137 * time.Millisecond)
			}
			n.set(false, "h")
			f.recovered(probeEvery+100*time.Millisecond, last)
			if t.Failed() {
				t.Log(name)
			}
			for _, sub := range subs {
				delete(f.subs, sub.ID)
			}
			f.apply(f.subs)
			f.ended(stop)
		})
	}
}

// TestOutageOfSeveralHosts: a subscription waits for others only while none of its hosts can be connected to, and the probes try
// each.
func TestOutageOfSeveralHosts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		subs := sharing(50, "g", "h")
		f, n, stop := newOutage(t, subs, "g", "h")
		time.Sleep(time.Minute)
		if probes, most := n.probes(), int(time.Minute/sharedEvery); probes > most || probes < most/2 {
			t.Errorf("%d probes in a minute, want up to %d", probes, most)
		}
		n.set(false, "h")
		f.recovered(2*probeEvery+100*time.Millisecond, subs...)
		f.ended(stop)
	})
	// One host refuses connections, the other the messages of each: those fail for reasons of their own.
	synctest.Test(t, func(t *testing.T) {
		subs := sharing(50, "g", "h")
		f, n, stop := newOutage(t, subs, "g", "h")
		mended := false
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			f.w.mu.Lock()
			defer f.w.mu.Unlock()
			if mended && r.URL.Path == "/s7" {
				return 200, 0
			}
			return 500, 0
		}
		n.set(false, "h")
		time.Sleep(time.Minute)
		f.w.mu.Lock()
		mended = true
		f.w.mu.Unlock()
		f.recovered(2*probeEvery+100*time.Millisecond, subs[7])
		f.ok(stop())
	})
}

// TestOutageThatComesBack: hosts that are back for a moment see a few probes, and the breakers of those that got through are
// closed.
func TestOutageThatComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		subs := sharing(200, "h")
		f, n, stop := newOutage(t, subs, "h")
		n.set(false, "h")
		for len(f.s.Held()) == len(subs) {
			time.Sleep(10 * time.Millisecond)
		}
		n.set(true, "h")
		n.probes()
		time.Sleep(probeEvery)
		if got, probes := len(f.w.got), n.probes(); got > 8 || probes > 8 {
			t.Errorf("%d requests, and %d probes afterwards", got, probes)
		}
		time.Sleep(time.Minute)
		if probes, most := n.probes(), int(time.Minute/sharedEvery); probes > most {
			t.Errorf("%d probes in a minute, want up to %d", probes, most)
		}
		n.set(false, "h")
		f.recovered(probeEvery+100*time.Millisecond, subs...)
		f.ended(stop)
	})
}

// TestNewMessageDuringAnOutage: it does not probe out of turn, and is delivered once the host is back. Hosts that nobody has a message for are not
// probed.
func TestNewMessageDuringAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		subs := sharing(100, "h")
		f, n, stop := newOutage(t, subs, "h")
		for range 10 {
			for _, sub := range subs {
				f.put(sub.ID, 1)
			}
			time.Sleep(time.Second)
		}
		if probes, most := n.probes(), int(10*time.Second/sharedEvery)+1; probes > most {
			t.Errorf("%d probes in ten seconds, want up to %d", probes, most)
		}
		for _, sub := range subs {
			_, _, err := f.q.Purge(t.Context(), sub.ID)
			f.ok(err)
		}
		time.Sleep(time.Minute)
		if got := n.probes(); got > 2 {
			t.Errorf("%d probes without a message", got)
		}
		n.set(false, "h")
		f.put("s3", 1)
		f.recovered(100*time.Millisecond, subs[3])
		if held := f.s.Held(); len(held) != len(subs)-1 || strings.Contains(fmt.Sprint(held), "{s3 ") {
			t.Errorf("held %v", held)
		}
		for _, sub := range subs {
			delete(f.subs, sub.ID)
		}
		f.apply(f.subs)
		f.ended(stop)
	})
}
