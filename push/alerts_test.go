package push

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// TestStirred: Stirred lists each subscription that had something to do, once, and
// no other; the sweep repeats it while something is in the channel.
func TestStirred(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failing := subscription("fails")
		failing.RetryCoefficient = medispatcher.Duration(time.Hour)
		f := newFixture(t, subscription("a"), subscription("idle"), failing, subscription("removed"))
		f.w.answer = func(r *http.Request) (int, time.Duration) {
			if r.URL.Host == "fails" {
				return 500, 0
			}
			return 200, 0
		}
		stop := f.run()
		f.put("a", 3)
		f.put("fails", 1)
		f.put("removed", 1)
		time.Sleep(time.Second)
		delete(f.subs, "removed")
		f.apply(f.subs)
		stirred := func() string {
			ids := f.s.Stirred()
			slices.Sort(ids)
			return fmt.Sprint(ids)
		}
		if got := stirred(); got != "[a fails]" {
			t.Errorf("stirred %s", got)
		}
		if got := stirred(); got != "[]" {
			t.Errorf("again %s", got)
		}
		time.Sleep(6 * time.Second)
		if got := stirred(); got != "[fails]" {
			t.Errorf("after a sweep %s", got)
		}
		f.ok(stop())
	})
}

func TestTimeLeft(t *testing.T) {
	t.Parallel()
	s := subscription("a")
	s.MaxRetries, s.RetryCoefficient = 4, medispatcher.Duration(time.Second)
	for n, want := range map[int]time.Duration{1: 4 + 9 + 16, 2: 9 + 16, 3: 16, 4: 0, 5: 0} {
		if got := TimeLeft(&s, n); got != want*time.Second {
			t.Errorf("after attempt %d: %s, want %ds", n, got, want)
		}
	}
	s.Drop.Threshold = 3
	if got := TimeLeft(&s, 1); got != 4*time.Second {
		t.Errorf("with a drop threshold %s", got)
	}
	s.MaxRetries, s.Drop.Threshold, s.RetryCoefficient = 10_000, 0, medispatcher.Duration(24*time.Hour)
	if got := TimeLeft(&s, 1); got < maxBackoff || got > 3*maxBackoff {
		t.Errorf("with many attempts and a large coefficient %s", got)
	}
}
