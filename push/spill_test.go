package push

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// others is what a scheduler tells other dispatchers.
type others struct {
	mu   sync.Mutex
	told []string
}

func (o *others) hear(f *fixture) {
	f.s.lanes.tell = func(spilled, eased, due []medispatcher.Channel) {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, c := range spilled {
			o.told = append(o.told, "spilled "+c.Subscription)
		}
		for _, c := range eased {
			o.told = append(o.told, "eased "+c.Subscription)
		}
		for _, c := range due {
			o.told = append(o.told, "due "+c.Subscription)
		}
	}
	f.s.Among(true)
}

// expect takes what was told since the last call.
func (o *others) expect(t *testing.T, when string, want ...string) {
	t.Helper()
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if fmt.Sprint(o.told) != fmt.Sprint(want) {
		t.Errorf("%s: told %v, want %v", when, o.told, want)
	}
	o.told = nil
}

// TestSpill: others hear of a channel that has more than this dispatcher can take, and that it has taken all. They do not hear
// of what it takes.
func TestSpill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, time.Second }
		var o others
		o.hear(f)
		stop := f.run()
		f.put("a", 7)
		o.expect(t, "there are slots for all")
		f.put("a", 1)
		o.expect(t, "the last slot", "spilled a") // there may be more: nobody knows
		f.put("a", 1)
		f.put("a", 1)
		f.put("a", 1)
		o.expect(t, "all slots are in use, and others know")
		time.Sleep(spillEvery)
		o.expect(t, "what came meanwhile", "spilled a")
		time.Sleep(time.Second)
		o.expect(t, "slots are free, and take the rest", "eased a")
		time.Sleep(time.Second)
		f.wantLeft("a", "map[]")
		f.s.Among(false)
		f.put("a", 20)
		time.Sleep(5 * time.Second)
		o.expect(t, "nobody else is there")
		f.ok(stop())
	})
}

// TestSpillOfBreaker: what waits for an open breaker is left to the others, whose breakers may be closed.
func TestSpillOfBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 500, 0 }
		var o others
		o.hear(f)
		stop := f.run()
		f.put("a", 20)
		time.Sleep(100 * time.Millisecond)
		if len(f.s.Held()) != 1 {
			t.Fatal("the breaker is closed")
		}
		o.mu.Lock()
		o.told = nil
		o.mu.Unlock()
		f.put("a", 1)
		time.Sleep(spillEvery)
		o.expect(t, "the breaker is open", "spilled a")
		f.ok(stop())
	})
}

// TestSpillAtTheEnd: a dispatcher that ends leaves what it has not read, and what still comes, to the others.
func TestSpillAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, subscription("a"), subscription("b"))
		f.w.answer = func(*http.Request) (int, time.Duration) { return 200, time.Second }
		stop := f.run()
		f.put("a", 20)
		synctest.Wait()
		var o others
		o.hear(f)
		ended := make(chan error)
		go func() { ended <- stop() }()
		o.expect(t, "it ends", "spilled a")
		f.s.Ring([]medispatcher.Channel{{Subscription: "b"}})
		o.expect(t, "a copy was made while it ended", "spilled b")
		f.ok(<-ended)
	})
}
