package push

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// newRuns is a fixture whose subscription "a" is ordered and has batches.
func newRuns(t *testing.T, change func(*medispatcher.Subscription)) *batches {
	t.Helper()
	b := newBatches(t, func(s *medispatcher.Subscription) {
		s.Ordered, s.Concurrency = true, 1
		if change != nil {
			change(s)
		}
	})
	b.q.Ordered, b.q.Next = true, func(c medispatcher.Channel) { b.s.Ring([]medispatcher.Channel{c}) }
	return b
}

// putKeyed publishes messages, each "a1": the first one of key a. Its id is the same.
func (b *batches) putKeyed(list ...string) {
	c := medispatcher.Channel{Subscription: "a"}
	for _, id := range list {
		b.q.Put(c, medispatcher.Message{ID: id, Key: id[:1], Topic: "t", Body: []byte("{}"), Type: "application/json"})
	}
	b.s.Ring([]medispatcher.Channel{c})
}

// keyed are messages 1 to n of a key.
func keyedIDs(key string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprint(key, i+1))
	}
	return list
}

func (b *batches) wantPosts(want ...string) {
	b.t.Helper()
	var got []string
	for _, p := range b.got() {
		slices.SortStableFunc(p.ids, func(a, b string) int { return cmp.Compare(a[:1], b[:1]) }) // keys do not wait for each other
		text := strings.Join(p.ids, " ")
		if i := slices.IndexFunc(p.attempts, func(n int) bool { return n > 1 }); i >= 0 {
			text += fmt.Sprint(" ", p.attempts)
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		b.t.Errorf("batches\n got  %q\n want %q", got, want)
	}
}

// TestRunInABatch: a batch holds several messages of a key, one after another, within its size and its bytes. It does not wait for
// others when they fill it.
func TestRunInABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newRuns(t, nil)
		stop := b.run()
		b.got()
		b.putKeyed(slices.Concat(keyedIDs("x", 12), keyedIDs("y", 3))...)
		time.Sleep(time.Second)
		synctest.Wait()
		b.wantPosts("x1 x2 x3 x4 x5 x6 x7 x8 x9 y1", "x10 x11 x12 y2 y3")
		b.wantLeft("a", "map[]")
		b.ok(stop())
		b.wantNothingHeld()
	})
}

// TestRunFails: a message that fails is pushed again before those behind it that failed with it, and those that were
// accepted are not pushed again.
func TestRunFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newRuns(t, nil)
		failed := b.failures()
		b.says = func(p posted) (int, http.Header, string) {
			if p.attempts[0] == 1 && p.ids[0] == "x1" {
				return 200, nil, `{"failed":[{"id":"x1"},{"id":"x3"},{"id":"y2"}]}`
			}
			return 200, nil, ""
		}
		stop := b.run()
		b.putKeyed("x1", "y1", "x2", "x3", "x4", "y2", "y3")
		time.Sleep(time.Minute)
		synctest.Wait()
		b.wantPosts("x1 x2 x3 x4 y1 y2 y3", "x1 x3 y2 [2 2 2]")
		if f := failed["x3"]; len(failed) != 3 || len(f) != 1 || f[0].Failure.Batch != 7 || f[0].Attempt != 1 {
			t.Errorf("%d failed: %+v", len(failed), f)
		}
		b.wantLeft("a", "map[]")
		b.ok(stop())
		b.wantNothingHeld()
	})
}

// TestPoisonInARun: a message that nobody can take ends alone, also among others of its key: those before it arrive, those behind it wait
// until it is dead, and all arrive in their order.
func TestPoisonInARun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newRuns(t, func(s *medispatcher.Subscription) { s.MaxRetries = 6 })
		b.says = func(p posted) (int, http.Header, string) {
			if slices.Contains(p.ids, "x6") {
				return 500, nil, ""
			}
			return 200, nil, ""
		}
		stop := b.run()
		b.putKeyed(keyedIDs("x", 9)...)
		time.Sleep(time.Hour)
		synctest.Wait()
		var arrived []string
		for _, p := range b.got() {
			if !slices.Contains(p.ids, "x6") {
				arrived = append(arrived, p.ids...)
			} else if p.attempts[slices.Index(p.ids, "x6")] > 4 && len(p.ids) > 1 {
				t.Errorf("%v with %v attempts", p.ids, p.attempts)
			}
		}
		if got := strings.Join(arrived, " "); got != "x1 x2 x3 x4 x5 x7 x8 x9" {
			t.Error("arrived:", got)
		}
		b.wantLeft("a", "map[dead:1]")
		b.ok(stop())
		b.wantNothingHeld()
	})
}

// TestRunThatCannotBePacked: what is behind a message that cannot be sent is not sent before it.
func TestRunThatCannotBePacked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newRuns(t, nil)
		broken := true
		b.s.workers.poster.tracer = panicsAt(func(d *medispatcher.Delivery) {
			if d.Message.ID == "x2" && broken {
				broken = false
				panic("x2")
			}
		})
		stop := b.run()
		b.putKeyed("x1", "x2", "x3", "y1", "y2")
		time.Sleep(time.Minute)
		synctest.Wait()
		b.wantPosts("x1 y1 y2", "x2 [2]", "x3")
		b.wantLeft("a", "map[]")
		b.ok(stop())
		b.wantNothingHeld()
	})
}

// TestRunChangesLive: what waits behind a message stays where it is when there are no batches any more, or no order.
func TestRunChangesLive(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*medispatcher.Subscription){
		"no batches": func(s *medispatcher.Subscription) { s.Batch.Size = 1 },
		"paused":     func(s *medispatcher.Subscription) { s.Paused = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newRuns(t, func(s *medispatcher.Subscription) { s.Batch.Wait = medispatcher.Duration(10 * time.Second) })
				stop := b.run()
				b.putKeyed("x1", "x2", "x3")
				time.Sleep(time.Second)
				synctest.Wait()
				b.change("a", change)
				time.Sleep(20 * time.Second)
				synctest.Wait()
				b.change("a", func(s *medispatcher.Subscription) { s.Paused, s.Batch.Size = false, 1 })
				time.Sleep(20 * time.Second)
				synctest.Wait()
				var ids []string
				for _, p := range b.got() {
					ids = append(ids, p.ids...)
				}
				if got := strings.Join(ids, " "); got != "x1 x2 x3" {
					t.Error(got)
				}
				b.wantLeft("a", "map[]")
				b.ok(stop())
				b.wantNothingHeld()
			})
		})
	}
}

// panicsAt is a Tracer that may panic.
type panicsAt func(d *medispatcher.Delivery)

func (p panicsAt) Attempt(d *medispatcher.Delivery, _ string, _ http.Header) func(int, string) {
	p(d)
	return func(int, string) {}
}
