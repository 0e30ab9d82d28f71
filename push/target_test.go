package push

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/solate/medispatcher"
)

// host is the host of a target.
func (t *target) host() string {
	return strings.TrimSuffix(strings.TrimPrefix(t.redacted, "http://"), "/")
}

// picks are the hosts of the next n turns.
func picks(t *targets, n int, now time.Time) string {
	var hosts []string
	for range n {
		hosts = append(hosts, t.pick(now).host())
	}
	return strings.Join(hosts, " ")
}

func TestURLsOfAnEnvironment(t *testing.T) {
	t.Parallel()
	tagged := []string{"http://plain1/", "[T_ENV:PUB]http://pub1/", "[T_ENV:DEV]http://dev/", "[T_ENV:PUB]http://pub2/", "http://plain2/"}
	for _, tc := range []struct {
		name, env string
		urls      []string
		want      string
	}{
		{"no environment: those without a tag", "", tagged, "plain1 plain2"},
		{"its own and no other", "PUB", tagged, "pub1 pub2"},
		{"one of its own", "DEV", tagged, "dev"},
		{"none of its own: those without a tag", "TEST", tagged, "plain1 plain2"},
		{"case matters", "pub", tagged, "plain1 plain2"},
		{"none qualifies", "TEST", []string{"[T_ENV:PUB]http://pub1/"}, ""},
		{"none qualifies without an environment", "", []string{"[T_ENV:PUB]http://pub1/"}, ""},
		{"no URL", "", nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ts := newTargets(tc.urls, tc.env)
			var hosts []string
			for _, tg := range ts.urls {
				hosts = append(hosts, tg.host())
			}
			if got := strings.Join(hosts, " "); got != tc.want {
				t.Errorf("uses %q, want %q", got, tc.want)
			}
			if (ts.pick(time.Now()) == nil) != (tc.want == "") {
				t.Error("picks one of none, or none of some")
			}
		})
	}
}

func TestURLsTakeTurns(t *testing.T) {
	t.Parallel()
	ts := newTargets([]string{"http://a/", "http://b/", "http://c/"}, "")
	if got := picks(ts, 7, time.Now()); got != "a b c a b c a" {
		t.Errorf("turns %s", got)
	}
}

func TestURLThatFailedIsTriedLastForAWhile(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ts := newTargets([]string{"http://a/", "http://b/", "http://c/"}, "")
	a, b, c := ts.urls[0], ts.urls[1], ts.urls[2]
	ts.report(b, false, now)
	if got := picks(ts, 30, now.Add(avoidFor-1)); strings.Contains(got, "b") || strings.Count(got, "a") < 10 || strings.Count(got, "c") < 10 {
		t.Errorf("while b is avoided: %s", got)
	}
	if got := picks(ts, 3, now.Add(avoidFor)); got != "a b c" {
		t.Errorf("afterwards: %s", got)
	}
	ts.report(a, false, now.Add(2*time.Second))
	ts.report(c, false, now.Add(time.Second))
	if got := picks(ts, 3, now.Add(3*time.Second)); got != "b b b" {
		t.Errorf("all failed: %s, want the one whose failure is longest ago", got)
	}
	ts.report(b, false, now.Add(3*time.Second))
	if got := picks(ts, 3, now.Add(4*time.Second)); got != "c c c" {
		t.Errorf("b failed again: %s, want c, which failed before the others", got)
	}
	ts.report(a, true, now.Add(4*time.Second))
	if got := picks(ts, 3, now.Add(4*time.Second)); got != "a a a" {
		t.Errorf("a works again: %s", got)
	}
}

func TestSingleURLIsNeverAvoided(t *testing.T) {
	t.Parallel()
	ts := newTargets([]string{"http://a/"}, "")
	ts.report(ts.urls[0], false, time.Now())
	if got := picks(ts, 2, time.Now()); got != "a a" {
		t.Errorf("picks %s", got)
	}
}

func TestTargetInRecordsHasNoUserinfo(t *testing.T) {
	t.Parallel()
	ts := newTargets([]string{"[T_ENV:A]http://u:hunter2@h:81/x?token=hush&empty="}, "A")
	if got := ts.urls[0].redacted; got != "http://h:81/x?token=********&empty=" {
		t.Errorf("shown as %s", got)
	}
	if got := string(ts.urls[0].auth); got != "Authorization: Basic dTpodW50ZXIy\r\n" {
		t.Errorf("asked with %q, want the userinfo", got)
	}
}

// TestMessageWithoutURLIsDropped: nothing is asked, and the message is not kept.
func TestMessageWithoutURLIsDropped(t *testing.T) {
	t.Parallel()
	sub := subscription("a")
	sub.URLs = []string{"[T_ENV:PUB]http://pub/"}
	d := &medispatcher.Delivery{Channel: medispatcher.Channel{Subscription: "a"}, EntryID: "1-0", Attempt: 1}
	r := attempt(t, refusing(t, errRefused), &poster{}, newSettings(&sub, "DEV"), d)
	out := outcomeOf(&sub, d, &r, time.Now(), 0)
	if out.Outcome != medispatcher.Dropped || out.Failure != nil || out.EntryID != "1-0" {
		t.Errorf("settled as %+v", out)
	}
}

// TestAttemptsAvoidAURLThatFails: what an attempt came to chooses the next one's URL.
func TestAttemptsAvoidAURLThatFails(t *testing.T) {
	t.Parallel()
	var asked []string
	broken := "a"
	synctest.Test(t, func(t *testing.T) {
		client := clientOf(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Host)
			if r.URL.Host == broken {
				return answering(500, "")(r)
			}
			return answering(200, "")(r)
		}))
		sub := subscription("s")
		sub.URLs = []string{"http://a/", "http://b/"}
		st := newSettings(&sub, "")
		attempts := func(n int, want string) {
			t.Helper()
			asked = nil
			for range n {
				attempt(t, client, &poster{}, st, delivery(nil))
			}
			if got := strings.Join(asked, " "); got != want {
				t.Errorf("asked %s, want %s", got, want)
			}
		}
		attempts(5, "a b b b b")
		broken = "b"
		attempts(4, "b a a a") // b failed last, so a is tried, and works again
		broken = ""
		time.Sleep(avoidFor)   // in the bubble
		attempts(4, "b a b a") // turns again
	})
}

func TestTurnsAreSharedByManyWorkers(t *testing.T) {
	t.Parallel()
	ts := newTargets([]string{"http://a/", "http://b/"}, "")
	got := make(chan string, 100)
	for range 100 {
		go func() {
			tg := ts.pick(time.Now())
			ts.report(tg, true, time.Now())
			got <- tg.host()
		}()
	}
	var hosts []string
	for range 100 {
		hosts = append(hosts, <-got)
	}
	slices.Sort(hosts)
	if hosts[49] != "a" || hosts[50] != "b" {
		t.Errorf("a had %d turns of 100", slices.Index(hosts, "b"))
	}
}
