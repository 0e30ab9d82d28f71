package push

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/solate/medispatcher"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	const most = 0.9999999999999999 // the largest jitter
	for _, tc := range []struct {
		n           int
		coefficient time.Duration
		jitter      float64
		want        time.Duration
	}{
		{1, 10 * time.Second, 0, 10 * time.Second},
		{2, 10 * time.Second, 0, 40 * time.Second},
		{3, 10 * time.Second, 0, 90 * time.Second},
		{10, 10 * time.Second, 0, 1000 * time.Second},
		{1, 10 * time.Second, 0.5, 11 * time.Second},
		{2, 10 * time.Second, 0.25, 42 * time.Second},
		{1, 10 * time.Second, most, 12 * time.Second},
		{7, 0, most, 0},
		{3, time.Nanosecond, 0, 9},
		{5, 24 * time.Hour, 0, 600 * time.Hour},
		{6, 24 * time.Hour, 0, 720 * time.Hour},    // 36 days, cut to 30
		{6, 24 * time.Hour, most, 720 * time.Hour}, // the limit has no jitter above it
		{10_000, 24 * time.Hour, most, 720 * time.Hour},
		{math.MaxInt32, math.MaxInt64, most, 720 * time.Hour},
	} {
		if got := Backoff(tc.n, tc.coefficient, tc.jitter); got.Round(time.Microsecond) != tc.want.Round(time.Microsecond) {
			t.Errorf("Backoff(%d, %s, %g) = %s, want %s", tc.n, tc.coefficient, tc.jitter, got, tc.want)
		}
	}
}

func TestBackoffIsNeverLess(t *testing.T) {
	t.Parallel()
	for range 20_000 {
		n, coefficient, jitter := 1+rand.IntN(1000), rand.N(24*time.Hour), rand.Float64()
		least := time.Duration(n) * time.Duration(n) * coefficient
		if float64(n)*float64(n)*float64(coefficient) > float64(maxBackoff) {
			least = maxBackoff
		}
		got := Backoff(n, coefficient, jitter)
		if got < least || got > min(least+least/5+1, maxBackoff) {
			t.Fatalf("Backoff(%d, %s, %g) = %s, want %s and at most a fifth more", n, coefficient, jitter, got, least)
		}
	}
}

// TestRetrySchedule: the waits of a schedule come in their order, and the last one repeats. The coefficient means nothing beside it.
func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	s := medispatcher.DefaultSubscription()
	s.MaxRetries, s.RetryCoefficient = 4, medispatcher.Duration(time.Hour)
	for _, wait := range []time.Duration{5 * time.Second, time.Minute, 10 * time.Minute} {
		s.RetrySchedule = append(s.RetrySchedule, medispatcher.Duration(wait))
	}
	failed := &result{status: 500, target: "http://h/"}
	for n, want := range map[int]time.Duration{1: 5 * time.Second, 2: time.Minute, 3: 10 * time.Minute, 4: 10 * time.Minute} {
		for _, jitter := range []float64{0, 0.5} {
			want := want + time.Duration(float64(want)*0.2*jitter)
			got := outcomeOf(&s, &medispatcher.Delivery{Attempt: n}, failed, time.Now(), jitter)
			if got.Outcome != medispatcher.Failed || got.Delay.Round(time.Microsecond) != want {
				t.Errorf("failed attempt %d with jitter %g: %s, wait %s; want %s", n, jitter, got.Outcome, got.Delay, want)
			}
		}
	}
	if got := outcomeOf(&s, &medispatcher.Delivery{Attempt: 5}, failed, time.Now(), 0); got.Outcome != medispatcher.Exhausted {
		t.Errorf("after the last retry: %s", got.Outcome)
	}
	asked := &result{status: 503, target: "http://h/", retryAfter: time.Hour}
	if got := outcomeOf(&s, &medispatcher.Delivery{Attempt: 1}, asked, time.Now(), 0); got.Delay != time.Hour {
		t.Errorf("with Retry-After: 3600 the wait is %s", got.Delay)
	}
	if got, want := TimeLeft(&s, 1), 21*time.Minute; got != want {
		t.Errorf("from the second attempt to the last: %s, want %s", got, want)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	told, err := os.ReadFile("../docs/SUBSCRIBING.md")
	if limit := fmt.Sprintf("more than %g hours count as %[1]g", maxRetryAfter.Hours()); err != nil || !strings.Contains(string(told), limit) {
		t.Errorf("docs/SUBSCRIBING.md does not say of Retry-After: %s (%v)", limit, err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for value, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"1":                              time.Second,
		"120":                            2 * time.Minute,
		"86400":                          24 * time.Hour,
		"86401":                          24 * time.Hour,
		"2147483648":                     24 * time.Hour, // one more than 32 bits hold
		"9223372036854775807":            24 * time.Hour, // × 1e9 overflows
		"18446744074":                    24 * time.Hour, // × 1e9 overflows to a small positive number
		"99999999999999999999999":        24 * time.Hour,
		"-1":                             0,
		"-99999999999999999999999":       0,
		"1.5":                            0,
		"soon":                           0,
		"10s":                            0,
		date(90 * time.Second):           90 * time.Second,
		date(-time.Hour):                 0,
		date(1000 * time.Hour):           24 * time.Hour,
		"Fri, 31 Dec 9999 23:59:59 GMT":  24 * time.Hour,
		"Sunday, 01-Mar-26 12:01:00 GMT": time.Minute, // the old forms of RFC 9110
		"Sun Mar  1 12:01:00 2026":       time.Minute,
		"Sun, 01 Mar 2026":               0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", value, got, want)
		}
	}
}
