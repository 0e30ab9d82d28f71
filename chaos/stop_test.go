package chaos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher/streams/streamstest"
)

// TestRollingRestart: one dispatcher after another gets SIGTERM under load and is replaced.
// No message comes twice, no request is cut, no attempt is counted without being made, and
// a stopped dispatcher leaves nothing behind in Redis.
func TestRollingRestart(t *testing.T) {
	for name, c := range map[string]struct {
		latency     time.Duration // each way
		messages    int
		dispatchers int
		plan        plan
	}{
		"Redis near":                         {0, either(20_000, 1500), 2, nil},
		"Redis far":                          {50 * time.Millisecond, either(6000, 400), 2, nil},
		"eight dispatchers, a third retried": {0, either(13_500, 1500), 8, third},
	} {
		t.Run(name, func(t *testing.T) {
			env := streamstest.Real(t)
			proxy := streamstest.NewProxy(t, env.Server.Addr)
			proxy.Delay(c.latency, c.latency)
			w := newWorld(t, options{
				delay: 20 * time.Millisecond, concurrency: either(32, 8), env: env, url: proxy.URL(),
				deadAfter: 5 * time.Second, plan: c.plan,
			})
			var d []*dispatcher
			for range c.dispatchers {
				d = append(d, w.start())
			}
			rounds := max(1, either(8, 2)/c.dispatchers)
			sent := w.publishing(0, c.messages, time.Duration(either(30, 4))*time.Second)
			var longest time.Duration
			for range rounds {
				for i := range d {
					pause(500 * time.Millisecond)
					longest = max(longest, d[i].stop())
					w.leftBehind(len(d) - 1)
					d[i] = w.start()
				}
			}
			sent()
			w.await(120 * time.Second)
			v := w.judge()
			if v.duplicates > 0 || w.aborted > 0 {
				t.Errorf("%d duplicates and %d requests cut, want none of either", v.duplicates, w.aborted)
			}
			for i := range d {
				longest = max(longest, d[i].stop())
			}
			w.rest()
			if limit := 25 * time.Second; longest > limit {
				t.Errorf("a stop took %s, want at most %s", longest, limit)
			}
			stops := len(d) * (rounds + 1)
			t.Logf("%d stops, the longest took %.1f s: %s", stops, longest.Seconds(), v)
			figures.add("rolling restart, %s: %d stops, the longest %.1f s: %s", strings.ToLower(name), stops, longest.Seconds(), v)
		})
	}
}

// leftBehind checks that at most n dispatchers have a consumer. A dispatcher that stops
// removes its own, which it can do only if nothing is pending there.
func (w *world) leftBehind(n int) {
	w.t.Helper()
	consumers := map[string]bool{}
	for _, key := range w.env.Keys(w.t, "medis:{*") {
		if w.env.Client.Type(w.t.Context(), key).Val() != "stream" {
			continue
		}
		for _, g := range w.env.Client.XInfoGroups(w.t.Context(), key).Val() {
			for _, c := range w.env.Client.XInfoConsumers(w.t.Context(), key, g.Name).Val() {
				if c.Name != "~buried" {
					consumers[c.Name] = true
				}
			}
		}
	}
	if len(consumers) > n {
		w.t.Errorf("%d consumers after a stop, want at most %d, one for each dispatcher: %v", len(consumers), n, consumers)
	}
}

// TestAmenderLeavesTheLivingAlone: the amender runs again and again under load. It takes
// nothing from a dispatcher that is alive.
func TestAmenderLeavesTheLivingAlone(t *testing.T) {
	w := newWorld(t, options{delay: 20 * time.Millisecond, concurrency: 16})
	d := w.start()
	n := either(5000, 1000)
	sent := w.publishing(0, n, time.Duration(either(10, 2))*time.Second)
	runs := 0
	for w.took() < n*subscribers*9/10 {
		if report := w.amend(); report.givenBack() > 0 {
			t.Errorf("the amender gave back %+v, want nothing", report.Rows)
			break
		}
		runs++
	}
	sent()
	w.await(60 * time.Second)
	v := w.judge()
	if v.duplicates > 0 || runs == 0 {
		t.Errorf("%d duplicates after %d runs of the amender, want none after one or more", v.duplicates, runs)
	}
	d.stop()
	w.rest()
	figures.add("amender run %d times under load: %s", runs, v)
}

// TestAmenderWhenNoneRuns: no dispatcher runs after one is killed. Once the dead-after limit has
// passed, the amender gives back everything that it had in flight.
func TestAmenderWhenNoneRuns(t *testing.T) {
	w := newWorld(t, options{delay: 200 * time.Millisecond, concurrency: 16})
	d := w.start()
	w.publish(0, 300, 0)
	for w.took() < 50 {
		<-w.news
	}
	w.kills = append(w.kills, d.kill())
	if report := w.amend(); report.givenBack() > 0 {
		t.Errorf("the amender gave back %+v before the dead-after limit, want nothing", report.Rows)
	}
	owned := w.owned()
	given := 0
	eventually(t, "the amender gives back what the dead dispatcher owned", func() bool {
		given += w.amend().givenBack()
		return w.owned() == 0
	})
	if given != owned || owned == 0 {
		t.Errorf("%d entries given back, want the %d that the dispatcher owned, and one at least", given, owned)
	}
	next := w.start()
	w.await(60 * time.Second)
	w.healed(1)
	v := w.judge()
	next.stop()
	w.rest()
	t.Logf("%d entries given back: %s", given, v)
	figures.add("amender with no dispatcher running: %d entries given back; %s", given, v)
}

// owned returns how many entries are pending with consumers other than ~buried.
func (w *world) owned() (n int) {
	w.t.Helper()
	for _, key := range w.env.Keys(w.t, "medis:{*") {
		if w.env.Client.Type(w.t.Context(), key).Val() != "stream" {
			continue
		}
		for _, g := range w.env.Client.XInfoGroups(w.t.Context(), key).Val() {
			for _, c := range w.env.Client.XInfoConsumers(w.t.Context(), key, g.Name).Val() {
				if c.Name != "~buried" {
					n += int(c.Pending)
				}
			}
		}
	}
	return n
}
