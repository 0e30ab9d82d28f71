package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

// gauge is a worker that counts what is in flight at once of each subscription.
type gauge struct {
	*httptest.Server
	mu       sync.Mutex
	flying   map[string]int
	most     map[string]int
	accepted map[delivery]bool
	arrived  map[string][]time.Time
}

func newGauge(t *testing.T) *gauge {
	t.Helper()
	g := &gauge{flying: map[string]int{}, most: map[string]int{}, accepted: map[delivery]bool{}, arrived: map[string][]time.Time{}}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

func (g *gauge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sub := r.Header.Get("medis-subscription")
	g.mu.Lock()
	g.flying[sub]++
	g.most[sub] = max(g.most[sub], g.flying[sub])
	g.arrived[sub] = append(g.arrived[sub], time.Now())
	g.mu.Unlock()
	select {
	case <-r.Context().Done():
	case <-time.After(10*time.Millisecond + rand.N(30*time.Millisecond)):
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flying[sub]--
	if rand.N(10) == 0 {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	g.accepted[delivery{sub, r.Header.Get("webhook-id")}] = true
}

// missing is how many deliveries were not accepted yet.
func (g *gauge) missing(want int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return want - len(g.accepted)
}

// TestShares: the limits of subscriptions whose scope is the cluster hold whatever happens to dispatchers, and every message arrives.
func TestShares(t *testing.T) {
	for _, c := range []struct {
		what string
		hit  func(w *world, d **dispatcher, round int)
		over int // more in flight than the limit
	}{
		{"they are killed, end and join", func(w *world, d **dispatcher, round int) {
			switch round % 3 {
			case 0:
				w.kill(d)
			case 1:
				(*d).stop()
				*d = w.start()
			case 2:
				(*d).kill()
				pause(w.o.deadAfter + time.Second)
				*d = w.start()
			}
		}, 0},
		// What one had begun when it was frozen may begin once more when it wakes up, before it looks at the time: at most its share.
		{"they are frozen", func(w *world, d **dispatcher, _ int) {
			_ = (*d).cmd.Process.Signal(syscall.SIGSTOP)
			pause(w.o.deadAfter + time.Second)
			_ = (*d).cmd.Process.Signal(syscall.SIGCONT)
		}, 3},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, options{partitions: 2})
			g := newGauge(t)
			limits := map[string]int{"wide": 8, "narrow": 2, "one": 1, "paced": 8}
			const interval = 20 * time.Millisecond
			for id, limit := range limits {
				more := ""
				if id == "paced" {
					more = fmt.Sprintf(`,"interval":%q`, interval)
				}
				doc := fmt.Sprintf(`{"topic":"shared","urls":[%q],"scope":"cluster","concurrency":%d,"retry_concurrency":1,"retry_coefficient":"20ms","max_retries":100%s}`, g.URL, limit, more)
				w.put(id, doc)
			}
			all := []*dispatcher{w.start(), w.start(), w.start()}
			rounds := either(12, 3)
			hits := make(chan struct{})
			go func() {
				defer close(hits)
				for round := range rounds {
					pause(time.Second + rand.N(time.Second))
					c.hit(w, &all[round%len(all)], round)
				}
			}()
			sent, over := 0, false
			for !over {
				list := make([]medispatcher.Message, 25)
				for i := range list {
					list[i] = medispatcher.Message{Topic: "shared", Body: []byte("{}")}
				}
				if _, err := w.store.PublishAll(t.Context(), list); err != nil {
					t.Fatal(err)
				}
				sent += len(list)
				select {
				case <-hits:
					over = true
				case <-time.After(500 * time.Millisecond):
				}
			}
			want := sent * len(limits)
			began := time.Now()
			for g.missing(want) > 0 && time.Since(began) < 90*time.Second {
				pause(50 * time.Millisecond)
			}
			if n := g.missing(want); n != 0 {
				t.Errorf("%d of %d deliveries are missing\n%s", n, want, all[0].tail())
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			for id, limit := range limits {
				t.Logf("%s: %d at once at most, of %d and 1 retry", id, g.most[id], limit)
				figures.add("shares, 3 dispatchers, %s, %d times: %s had %d at once at most, of %d", c.what, rounds, id, g.most[id], limit+1)
				if g.most[id] > limit+1+c.over {
					t.Errorf("%s had %d in flight at once, of %d and 1 retry", id, g.most[id], limit)
				}
			}
			paced := g.arrived["paced"]
			slices.SortFunc(paced, time.Time.Compare)
			if most := int(paced[len(paced)-1].Sub(paced[0])/interval) + 2; len(paced) > most+c.over {
				t.Errorf("%d pushes came in %s, with an interval of %s", len(paced), paced[len(paced)-1].Sub(paced[0]), interval)
			}
			for _, d := range all {
				d.stop()
			}
		})
	}
}
