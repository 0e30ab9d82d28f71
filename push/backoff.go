package push

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/solate/medispatcher"
)

const (
	// maxBackoff keeps a large coefficient from overflowing.
	maxBackoff = 30 * 24 * time.Hour
	// maxRetryAfter keeps a subscriber from putting a message off for ever.
	maxRetryAfter = 24 * time.Hour
	jitterShare   = 0.2
)

// backoffOf is the wait after failed attempt n of a message of a subscription. jitter is in [0, 1).
func backoffOf(s *medispatcher.Subscription, n int, jitter float64) time.Duration {
	if waits := s.RetrySchedule; len(waits) > 0 {
		return Backoff(1, time.Duration(waits[min(n, len(waits))-1]), jitter)
	}
	return Backoff(n, time.Duration(s.RetryCoefficient), jitter)
}

// Backoff is n² × coefficient and 0–20 % more. jitter is in [0, 1).
func Backoff(n int, coefficient time.Duration, jitter float64) time.Duration {
	d := float64(n) * float64(n) * float64(coefficient) * (1 + jitterShare*jitter)
	return time.Duration(math.Min(d, float64(maxBackoff)))
}

// TimeLeft is the shortest time from the attempt after failed attempt n to the last one, if all of them fail.
func TimeLeft(s *medispatcher.Subscription, n int) time.Duration {
	var left time.Duration
	for n++; !exhausted(s, n) && left < maxBackoff; n++ {
		left += backoffOf(s, n, 0)
	}
	return left
}

// retryAfter reads a Retry-After header: seconds or an HTTP date. Zero: none, or unreadable.
func retryAfter(value string, now time.Time) time.Duration {
	var d time.Duration
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		d = time.Duration(max(0, min(seconds, int64(maxRetryAfter/time.Second)))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return max(0, min(d, maxRetryAfter))
}
