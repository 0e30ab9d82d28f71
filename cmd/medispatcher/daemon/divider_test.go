package daemon

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/solate/medispatcher"
)

// limited is the scheduler of a dispatcher, with one subscription.
type limited struct {
	sub                     *medispatcher.Subscription
	mu                      sync.Mutex
	pushes, retries, flying int
	until                   time.Time
}

func (l *limited) Divide(of func(*medispatcher.Subscription, int, int) (int, int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pushes, l.retries = of(l.sub, l.pushes, l.retries)
}

func (l *limited) DivideUntil(end time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = end
}

func (l *limited) Over() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flying > l.pushes {
		return []string{l.sub.ID}
	}
	return nil
}

// begin begins a push if it may.
func (l *limited) begin() (begun bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	begun = l.flying < l.pushes && time.Now().Before(l.until)
	if begun {
		l.flying++
	}
	return begun
}

// end ends up to n pushes, and returns how many are left.
func (l *limited) end(n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying -= min(l.flying, n)
	return l.flying
}

// shares are those of pushes and retries.
func (l *limited) shares() (pushes, retries int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pushes, l.retries
}

// dividing is a dispatcher of the model.
type dividing struct {
	*limited
	*divider
	ends bool

	beats int // that are over
	stage int // of the heartbeat under way
	says  medispatcher.Dispatcher
	sent  time.Time
	list  []medispatcher.Dispatcher
}

// cluster is the list of dispatchers, and who is on it.
type cluster struct {
	sub    *medispatcher.Subscription
	list   map[string]medispatcher.Dispatcher
	living []*dividing
	names  int
}

const modelDead = 9 * time.Second

func (c *cluster) join() {
	c.names++
	info := medispatcher.Dispatcher{ID: fmt.Sprint("d", c.names), Version: "2", DeadAfter: modelDead}
	l := &limited{sub: c.sub}
	c.living = append(c.living, &dividing{limited: l, divider: newDivider(info, l, nil)})
}

// remove has a dispatcher end. Whatever it has in flight ends with it.
func (c *cluster) remove(d *dividing) {
	_ = d.close()
	c.living = slices.DeleteFunc(c.living, func(other *dividing) bool { return other == d })
}

// step goes on with the heartbeat of a dispatcher. Anything may happen between two steps.
func (c *cluster) step(d *dividing) {
	switch d.stage {
	case 0:
		if d.ends && d.limited.end(0) == 0 {
			delete(c.list, d.info.ID)
			c.remove(d)
			return
		}
		d.says, d.sent = d.info, time.Now()
		d.say(&d.says)
	case 1:
		d.says.Heartbeat = time.Now()
		c.list[d.info.ID] = d.says
	case 2:
		d.alive(d.sent)
	case 3:
		d.list = slices.SortedFunc(maps.Values(c.list), func(x, y medispatcher.Dispatcher) int {
			return len(x.ID) - len(y.ID)
		})
	case 4:
		d.beats++
		d.heard(d.list, func(other *medispatcher.Dispatcher) time.Duration { return time.Since(other.Heartbeat) }, time.Now())
	}
	d.stage = (d.stage + 1) % 5
}

// flying is how much is in flight, but for that of dispatchers that others believe to be dead.
func (c *cluster) flying() (n int) {
	for _, d := range c.living {
		if time.Since(d.sent) < modelDead {
			n += d.limited.end(0)
		}
	}
	return n
}

// listed reports whether all that have shares are on the list. One that joins before they are on it again cannot know of them.
func (c *cluster) listed() bool {
	return !slices.ContainsFunc(c.living, func(d *dividing) bool {
		return d.beats > 0 && c.list[d.info.ID].ID == "" && time.Since(d.sent) < modelDead
	})
}

// TestDivider: whatever happens in whatever order, never more is in flight than the limit, but for what a dispatcher has in flight
// that was silent for too long. Once nothing happens any more, the shares add up to the limit.
func TestDivider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) { // a deadline is of no use here, where time does not pass
			c := &cluster{list: map[string]medispatcher.Dispatcher{}, sub: &medispatcher.Subscription{
				ID: "s", Scope: medispatcher.ScopeCluster, URLs: []string{"http://w"},
				Concurrency: rapid.IntRange(1, 12).Draw(t, "concurrency"), RetryConcurrency: 2,
			}}
			defer func() {
				for _, d := range c.living {
					_ = d.close()
				}
			}()
			c.join()
			anyOf := rapid.Custom(func(t *rapid.T) *dividing { return c.living[rapid.IntRange(0, len(c.living)-1).Draw(t, "which")] })
			step := func(t *rapid.T) {
				if len(c.living) > 0 {
					c.step(anyOf.Draw(t, "dispatcher"))
				}
			}
			pushes := func(t *rapid.T) {
				for _, d := range c.living {
					for range rapid.IntRange(0, 3).Draw(t, "begins") {
						if d.begin() && time.Since(d.sent) >= modelDead {
							t.Fatal("a dispatcher pushes that others believe to be dead")
						}
					}
					d.limited.end(rapid.IntRange(0, 2).Draw(t, "ends"))
				}
			}
			t.Repeat(map[string]func(*rapid.T){
				"step": step, "step again": step, "and again": step,
				"pushes": pushes, "pushes again": pushes,
				"all beat": func(*rapid.T) {
					for range 5 {
						for _, d := range slices.Clone(c.living) {
							c.step(d)
						}
					}
				},
				"time": func(t *rapid.T) {
					time.Sleep(time.Duration(rapid.IntRange(1, 4000).Draw(t, "ms")) * time.Millisecond)
					synctest.Wait()
				},
				"join": func(*rapid.T) {
					if len(c.living) < 6 && c.listed() {
						c.join()
					}
				},
				"kill": func(t *rapid.T) {
					if len(c.living) > 1 {
						c.remove(anyOf.Draw(t, "dispatcher"))
					}
				},
				"stop": func(t *rapid.T) {
					if len(c.living) > 1 {
						d := anyOf.Draw(t, "dispatcher")
						d.ends = true
						d.leave()
					}
				},
				"forget the dead": func(*rapid.T) {
					maps.DeleteFunc(c.list, func(_ string, d medispatcher.Dispatcher) bool { return time.Since(d.Heartbeat) >= modelDead })
				},
				"Redis loses the list": func(*rapid.T) {
					if !slices.ContainsFunc(c.living, func(d *dividing) bool { return d.beats == 0 }) {
						clear(c.list)
					}
				},
				"Redis loses the infos": func(*rapid.T) {
					for id, d := range c.list {
						c.list[id] = medispatcher.Dispatcher{ID: id, Heartbeat: d.Heartbeat, DeadAfter: modelDead}
					}
				},
				"": func(t *rapid.T) {
					if n := c.flying(); n > c.sub.Concurrency {
						t.Fatalf("%d are in flight, of %d", n, c.sub.Concurrency)
					}
				},
			})
			c.settle(t)
		})
	})
}

// settle has everybody beat for some time, and looks at the shares.
func (c *cluster) settle(t *rapid.T) {
	for range 8 {
		time.Sleep(2 * time.Second)
		synctest.Wait()
		for range 10 {
			for _, d := range slices.Clone(c.living) {
				d.limited.end(math.MaxInt)
				c.step(d)
			}
		}
	}
	pushes, retries := 0, 0
	for _, d := range c.living {
		p, r := d.limited.shares()
		pushes, retries = pushes+p, retries+r
	}
	if len(c.living) > 0 && (pushes != c.sub.Concurrency || retries != c.sub.RetryConcurrency) {
		t.Fatalf("the shares are %d and %d, of %d and %d", pushes, retries, c.sub.Concurrency, c.sub.RetryConcurrency)
	}
}
