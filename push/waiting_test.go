package push

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// TestWaitingIsGivenBack: a message that was read, and still waits for others of its batch or for its turn, does not go out while its
// subscription is paused, nor after it was removed, nor to the URLs of one that was made anew under its id.
func TestWaitingIsGivenBack(t *testing.T) {
	t.Parallel()
	waits := map[string]func(*medispatcher.Subscription){
		"for others": func(s *medispatcher.Subscription) {
			s.Batch = medispatcher.BatchPolicy{Size: 100, Wait: medispatcher.Duration(time.Minute), Bytes: 1 << 20, Format: medispatcher.BatchLines}
		},
		"for others, in order": func(s *medispatcher.Subscription) {
			s.Ordered = true
			s.Batch = medispatcher.BatchPolicy{Size: 100, Wait: medispatcher.Duration(time.Minute), Bytes: 1 << 20, Format: medispatcher.BatchLines}
		},
		"for its turn": func(s *medispatcher.Subscription) { // two batches are read, for the bytes of the second one do not fit
			s.Interval = medispatcher.Duration(time.Minute)
			s.Batch = medispatcher.BatchPolicy{Size: 100, Bytes: 300, Format: medispatcher.BatchLines}
		},
	}
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := func(t *testing.T) (f *fixture, stop func() error, sent int) {
				sub := subscription("a")
				wait(&sub)
				f = newFixture(t, sub)
				stop = f.run()
				f.put("a", 6)
				synctest.Wait()
				time.Sleep(time.Millisecond)
				sent = len(f.w.of("a"))
				if f.left("a") == "map[]" {
					t.Fatal("nothing waits")
				}
				return f, stop, sent
			}
			quiet := func(t *testing.T, f *fixture, sent int) {
				t.Helper()
				time.Sleep(10 * time.Minute)
				if n := len(f.w.of("a")); n != sent {
					t.Errorf("%d requests more", n-sent)
				}
			}
			t.Run("paused", func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f, stop, sent := start(t)
					f.change("a", func(s *medispatcher.Subscription) { s.Paused = true })
					quiet(t, f, sent)
					f.change("a", func(s *medispatcher.Subscription) { s.Paused = false })
					time.Sleep(20 * time.Minute)
					f.wantLeft("a", "map[]")
					f.wantOnce("a")
					f.ok(stop())
				})
			})
			t.Run("removed", func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f, stop, sent := start(t)
					f.apply(nil)
					quiet(t, f, sent)
					f.ok(stop())
				})
			})
			t.Run("made anew", func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f, stop, sent := start(t)
					_, _, err := f.q.Purge(context.Background(), "a")
					f.ok(err)
					f.change("a", func(s *medispatcher.Subscription) { s.URLs = []string{"http://b/"} })
					quiet(t, f, sent)
					f.ok(stop())
				})
			})
			t.Run("elsewhere", func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f, stop, _ := start(t)
					f.change("a", func(s *medispatcher.Subscription) { s.URLs = []string{"http://b/"} })
					time.Sleep(20 * time.Minute)
					f.wantLeft("a", "map[]")
					f.wantOnce("a")
					f.ok(stop())
				})
			})
		})
	}
}
